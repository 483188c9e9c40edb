#!/usr/bin/env python
"""The service: what a request costs more than the score, how many it answers, and what it does under overload.

    python -m benchmarks.service                  # writes its part of benchmarks/results.md
    python -m benchmarks.service --quick          # shorter, one round, and only prints

The service, the clients and `Classifier.scan`, which it is compared with, are processes of their own. Service and scan
have the same pictures, engine and workers, and take turns; the median of the rounds' ratios counts.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import skimage
from PIL import Image

from benchmarks.bench import HERE, PHOTOS, say, write_part
from benchmarks.memory import resident_megabytes
from nsfw_caffe.engines.base import installed_engines
from nsfw_caffe.fidelity.measure import cpu_name
from nsfw_caffe.options import EngineName
from nsfw_caffe.system.processes import available_cores

WORK = HERE.parent / "build" / "service"
BYTES = 155_000
CLIENTS = 8
HEALTH_CLIENTS = 64
OVERLOAD = 10
OVERLOAD_CLIENTS = 160
QUEUE = 32
ENGINE: EngineName = "onnxruntime"
"""The engine where only the service is looked at."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What pictures took.

    Attributes
    ----------
    cpu : float
        Milliseconds of processor time a picture.
    rate : float
        Pictures a second.
    """

    cpu: float
    rate: float


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round; nothing is written")
    parser.add_argument("--seconds", type=float, help="how long each measurement takes; default: 15, quick 4")
    parser.add_argument("--overload-seconds", type=float, help="and that of overload; default: 120, quick 10")
    parser.add_argument("--engine", action="append", help="engine to measure; default: all that are installed")
    parser.add_argument("--scan", nargs="+", metavar="WHAT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scan:
        engine, duration, *paths = options.scan
        print(json.dumps(dataclasses.asdict(scanned(engine, float(duration), paths))))
        return
    seconds = options.seconds or (4 if options.quick else 15)
    rounds = 1 if options.quick else 3
    pictures = make_pictures()
    lines = [
        f"## The service\n\n`make bench-service` wrote this on {cpu_name()}, {available_cores()} cores, "
        f"{time.strftime('%-d %B %Y')}: {len(pictures)} photographs as JPEG files of {BYTES // 1000} kB, "
        f"{available_cores()} workers, medians of {rounds} rounds in turns. The clients are on the same machine.\n",
        *costs(options.engine or installed_engines(), pictures, seconds, rounds),
        *under_load(pictures, seconds, options.overload_seconds or (10 if options.quick else 120)),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if not options.quick:
        write_part("bench-service", text)


def make_pictures() -> list[str]:
    """Write twelve photographs as JPEG files of the size that is wanted, or a little less."""
    folder = WORK / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, side in itertools.product(PHOTOS, (700, 1000)):
        path = folder / f"{Path(name).stem}-{side}.jpg"
        if not path.exists():
            photo = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
            photo = photo.resize((side, round(side * photo.height / photo.width)), Image.Resampling.LANCZOS)
            for quality in range(98, 20, -2):
                photo.save(path, quality=quality)
                if path.stat().st_size <= BYTES:
                    break
        paths.append(str(path))
    return paths


def costs(engines: list[EngineName], pictures: list[str], seconds: float, rounds: int) -> list[str]:
    """Compare the service with scans."""
    lines = [
        f"CPU milliseconds a picture, and pictures a second, {CLIENTS} clients:\n",
        "| engine | body | scan | service | CPU ratio | scan | service | throughput ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for engine in engines:
        found: dict[str, list[tuple[Cost, Cost]]] = {"raw": [], "multipart": []}
        with service(engine) as (process, host):
            load(host, "/v1/score", pictures, seconds=2)
            for number in range(rounds):
                say(f"{engine}, round {number + 1}")
                for body, pairs in found.items():
                    pairs.append((scan(engine, pictures, seconds), served(process.pid, host, pictures, seconds, body)))
        for body, pairs in found.items():
            medians = [statistics.median(getattr(pair[who], what) for pair in pairs) for what, who in _COLUMNS]
            ratios = [statistics.median(getattr(b, what) / getattr(a, what) for a, b in pairs) for what in _FIELDS]
            lines.append(
                f"| {engine} | {body} | {medians[0]:.1f} | {medians[1]:.1f} | {ratios[0]:.2f} "
                f"| {medians[2]:.1f} | {medians[3]:.1f} | {ratios[1]:.2f} |"
            )
    return [*lines, ""]


_FIELDS = ("cpu", "rate")
_COLUMNS = [(what, who) for what in _FIELDS for who in (0, 1)]


def scan(engine: str, pictures: list[str], seconds: float) -> Cost:
    """Scan the pictures over and over, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.service", "--scan", engine, str(seconds), *pictures]
    child = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=HERE.parent)
    return Cost(**json.loads(child.stdout))


def scanned(engine: EngineName, seconds: float, pictures: list[str]) -> Cost:
    """Scan the pictures over and over, in this process."""
    import nsfw_caffe

    contents = itertools.cycle([Path(path).read_bytes() for path in pictures])
    results = nsfw_caffe.Classifier(engine=engine).scan(contents, workers=available_cores())
    for _ in range(2 * len(pictures)):  # until all workers are at work
        next(results)
    start, cpu, count = time.perf_counter(), cpu_seconds(os.getpid()), 0
    while time.perf_counter() < start + seconds:
        assert next(results).ok
        count += 1
    wall, cpu = time.perf_counter() - start, cpu_seconds(os.getpid()) - cpu
    results.close()
    return Cost(cpu / count * 1000, count / wall)


def served(process: int, host: str, pictures: list[str], seconds: float, body: str) -> Cost:
    """Have the service score the pictures over and over."""
    cpu = cpu_seconds(process)
    answers = load(host, "/v1/score", pictures, *(["--multipart"] if body == "multipart" else []), seconds=seconds)
    cpu = cpu_seconds(process) - cpu
    assert {status for status, _ in answers.all} == {200}, Counter(status for status, _ in answers.all)
    return Cost(cpu / len(answers.all) * 1000, len(answers.all) / answers.seconds)


@dataclass(frozen=True)
class Answers:
    """What a load generator found."""

    all: list[tuple[int, float]]
    """Status and seconds of each answer."""
    seconds: float
    """From the first request to the last answer."""

    def p99(self, status: int = 200) -> float:
        """Return the seconds within which 99 of 100 answers of a status came."""
        return sorted(seconds for each, seconds in self.all if each == status)[::-1][self.count(status) // 100]

    def count(self, status: int) -> int:
        """Return how many answers had a status."""
        return sum(each == status for each, _ in self.all)


@contextlib.contextmanager
def loading(host: str, path: str, pictures: list[str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a load generator."""
    command = [sys.executable, "-m", "benchmarks.service_load", host, path, *arguments, "--pictures", *pictures]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent) as child:
        yield child


def load(host: str, path: str, pictures: list[str], *arguments: str, seconds: float, clients: int = CLIENTS) -> Answers:
    """Have a load generator do its work."""
    numbers = ("--seconds", str(seconds), "--clients", str(clients))
    with loading(host, path, pictures, *arguments, *numbers) as child:
        return read_answers(child)


def read_answers(child: subprocess.Popen[str]) -> Answers:
    """Wait until a load generator has done its work."""
    output, _ = child.communicate()
    return Answers(**json.loads(output))


@contextlib.contextmanager
def service(engine: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the service, and give its process and its host and port."""
    command = [sys.executable, "-m", "nsfw_caffe", "serve", "--port", "0", "--engine", engine, *arguments]
    log = WORK / "service.log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=HERE.parent)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().split("//")[1].strip("/\n")
    finally:
        process.terminate()
        if process.wait() != 0:
            raise SystemExit(f"the service has ended with {process.returncode}: see {log}")


def cpu_seconds(process: int) -> float:
    """Return the processor time of a process and its children so far."""
    children = itertools.chain.from_iterable(
        path.read_text().split() for path in Path(f"/proc/{process}/task").glob("*/children")
    )
    stats = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in (process, *children)]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / _TICKS


def under_load(pictures: list[str], seconds: float, overload_seconds: float) -> list[str]:
    """Measure what the service does with more than it bears."""
    with service(ENGINE, "--queue", str(QUEUE)) as (process, host):
        say("health under load")
        load(host, "/v1/score", pictures, seconds=2)
        bears = load(host, "/v1/score", pictures, seconds=seconds)
        rate = len(bears.all) / bears.seconds
        numbers = ("--seconds", str(seconds + 2), "--clients", str(HEALTH_CLIENTS))
        with loading(host, "/v1/score", pictures, *numbers) as posting:
            time.sleep(1)
            health = load(host, "/livez", [], "--rate", "50", seconds=seconds, clients=4)
            read_answers(posting)
        say("overload")
        memory = []
        numbers = ("--seconds", str(overload_seconds), "--clients", str(OVERLOAD_CLIENTS))
        with loading(host, "/v1/score", pictures, "--rate", str(OVERLOAD * rate), *numbers) as posting:
            end = time.monotonic() + overload_seconds
            while time.monotonic() < end:
                time.sleep(overload_seconds / 20)
                memory.append(resident_megabytes(process.pid))
            over = read_answers(posting)
    statuses = Counter(status for status, _ in over.all)
    bound = 2 * QUEUE / (over.count(200) / over.seconds)
    return [
        f"With {ENGINE}, and `--queue {QUEUE}`, where the service bears {rate:.0f} pictures a second:\n",
        "| what | found | bound |",
        "|---|---|---|",
        f"| `/livez`, 99th percentile, with {HEALTH_CLIENTS} clients that post pictures | "
        f"{health.p99() * 1000:.1f} ms | 100 ms |",
        f"| {len(over.all) / over.seconds:.0f} requests a second for {overload_seconds:.0f} s: statuses | "
        f"{', '.join(f'{count} x {status}' for status, count in sorted(statuses.items()))} | 200 and 503 |",
        f"| the same: 99th percentile of the 200s | {over.p99():.2f} s | 2 x queue / throughput: {bound:.2f} s |",
        f"| the same: memory of all processes, second and last twentieth | {memory[1]:.0f} and {memory[-1]:.0f} MB | |",
    ]


if __name__ == "__main__":
    main()
