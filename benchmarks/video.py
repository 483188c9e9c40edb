#!/usr/bin/env python
"""Videos: what decoding costs beside scoring, how fast they are scored beside opennsfw2's way, and in what memory.

    python -m benchmarks.video            # writes its part of benchmarks/results.md
    python -m benchmarks.video --quick    # one round over shorter videos, and only prints

Each measurement is a process of its own, and they take turns: A B C, A B C. The median of the rounds counts, and for a
ratio that of the rounds' ratios. The videos are made here, of scikit-image's photos.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from benchmarks.bench import CONTENDERS, HERE, KERNEL, PHOTOS, WORK, environment, say, with_kernel, write_part
from benchmarks.service import cpu_seconds
from benchmarks.training import peak_megabytes
from nsfw_caffe.classifier import Classifier
from nsfw_caffe.engines.base import installed_engines
from nsfw_caffe.fidelity.measure import cpu_name
from nsfw_caffe.options import EngineName
from nsfw_caffe.sources.frames import frames
from nsfw_caffe.system.processes import available_cores
from tests.clips import Clip, Pixels, write
from tests.support import PHOTOS as FOLDER

SIZE = (1280, 720)
RATE = 30
"""Frames a second."""
SHOT = 7
"""Seconds that a photo is shown: a cut, and with it a key frame, seldom is at a time that is looked at."""
VIEW = 0.8
"""What of a photo is shown at a time."""
GRAIN = 4.0
"""Standard deviation of the noise on top, in grey levels: without it, enlarged photos would be too easy to decode."""
ENCODER = {"preset": "medium", "bf": "3", "b": "3M"}
KEYS = 2
"""Seconds from one key frame to the next where they are frequent; else they are where x264 puts them by default."""

MINUTE = 60
ROUNDS = 3
GOAL = 2.5
"""Of decoding's processor time to scoring's, at a step of a second."""
STEPS = {"each second": 1.0, "sparse": 5.0, "all": 0.0}
"""What is decoded: the step in seconds."""
KEYED = "sparse, frequent key frames"
QUIET = 0.3
"""Load average below which nobody else has been at work."""
WARM_UP = 4
ENGINE: EngineName = "onnxruntime"
"""The engine where only memory is looked at."""

RIVAL = "opennsfw2"
WAYS = {
    f"{RIVAL}, its defaults": ("8", "YAHOO"),
    f"{RIVAL}, a score for each frame": ("1", "YAHOO"),
    f"{RIVAL}, without its JPEG step": ("8", "SIMPLE"),
}
"""`aggregation_size` and `preprocessing` of its call; one frame a second in each."""
FIRST, *_ = WAYS

Answer = dict[str, Any]


def main() -> None:
    """Measure, and write the results; or be one of the measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round over shorter videos; nothing is written")
    parser.add_argument("--measure", nargs="+", metavar="WHAT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, *arguments = options.measure
        print(json.dumps(MEASUREMENTS[what](*arguments)))
        return
    load = os.getloadavg()[0]
    rounds, seconds = (1, MINUTE // 4) if options.quick else (ROUNDS, MINUTE)
    (contender,) = (one for one in CONTENDERS if one.name.split()[0] == RIVAL)
    python = environment(contender)
    if python is None:
        raise SystemExit(f"{RIVAL} could not be installed")
    video = make_video(f"{seconds}", seconds, ENCODER)
    keyed = make_video(f"{seconds}-keys", seconds, ENCODER | {"g": str(KEYS * RATE)})
    double, long = (repeated(video, times) for times in (2, 10))
    engines = installed_engines()
    decoding = {name: own("decode", video, every) for name, every in STEPS.items()}
    decoding |= {KEYED: own("decode", keyed, STEPS["sparse"])}
    scoring: dict[str, Command] = {engine: own("score", video, engine) for engine in engines}
    whole = {f"nsfw_caffe {engine}": own("whole", double, engine) for engine in engines}
    whole |= {name: rival(python, double, way) for name, way in WAYS.items()}
    costs = in_turns(rounds, decoding | scoring)
    speeds = in_turns(rounds, whole)
    looks = {name: measured(rival(python, video, way)) for name, way in WAYS.items() if "YAHOO" in way}
    looks[f"nsfw_caffe {ENGINE}"] = measured(own("whole", video, ENGINE))
    memory = [measured(own("memory", path))["megabytes"] for path in (video, long)]
    text = "\n".join(
        [
            *head(video, seconds, rounds, load, speeds[FIRST][0]["versions"]),
            *costs_document(costs, engines, seconds),
            *speeds_document(speeds, 2 * seconds),
            *looks_document(looks, seconds * RATE),
            f"`classify_video` with {ENGINE}, peak memory: {memory[0]:.0f} MB over {seconds} s of video, "
            f"{memory[1]:.0f} MB over {10 * seconds} s.",
        ]
    )
    print(text)
    if not options.quick:
        write_part("bench-video", text + "\n")


Command = tuple[list[str], dict[str, str]]
"""A command, and the environment variables that it is run with."""


def own(*what: object) -> Command:
    """Return the command of one of the measurements below."""
    return [sys.executable, "-m", "benchmarks.video", "--measure", *map(str, what)], with_kernel(KERNEL)


def rival(python: str, path: Path, way: Sequence[str]) -> Command:
    """Return the command that has opennsfw2 look at a frame a second."""
    command = [python, str(HERE / "opennsfw2_video.py"), str(path), str(RATE), *way]
    return command, dict(os.environ) | {"KERAS_BACKEND": "jax", "PYTHONWARNINGS": "ignore"}


def in_turns(rounds: int, commands: dict[str, Command]) -> dict[str, list[Answer]]:
    """Take measurements in turns."""
    answers: dict[str, list[Answer]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            say(f"round {number + 1}: {name}")
            answers[name].append(measured(command))
    return answers


def measured(command: Command) -> Answer:
    """Take a measurement in a process of its own."""
    child = subprocess.run(command[0], env=command[1], stdout=subprocess.PIPE, check=True, cwd=HERE.parent)
    answer: Answer = json.loads(child.stdout.splitlines()[-1])
    return answer


# ---- the videos ----


def make_video(name: str, seconds: int, options: dict[str, str]) -> Path:
    """Write a video of so many seconds, unless it is there."""
    path = WORK / "videos" / f"{name}.mp4"
    if not path.exists():
        say(f"making {seconds} s of video")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{path.name}")
        write(unfinished, "libx264", pictures(seconds), Clip(path.name, "libx264", options, rate=RATE))
        unfinished.replace(path)
    return path


def pictures(seconds: int) -> Iterator[tuple[float, Pixels]]:
    """Yield the frames with their times: photos that are panned over from corner to corner, one after the other."""
    random = np.random.default_rng(1)
    photos = [Image.open(FOLDER / name).convert("RGB") for name in PHOTOS]
    grain = random.normal(0, GRAIN, SIZE[::-1]).astype(np.int16)
    for number in range(seconds * RATE):
        shot, place = divmod(number / RATE, SHOT)
        photo = photos[int(shot) % len(photos)]
        width = VIEW * min(photo.width, photo.height * SIZE[0] / SIZE[1])
        height = width * SIZE[1] / SIZE[0]
        left, top = ((photo.width - width) * place / SHOT, (photo.height - height) * place / SHOT)
        view = photo.resize(SIZE, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
        noise = np.roll(grain, tuple(random.integers(0, SIZE[::-1])), (0, 1))
        yield number / RATE, (np.asarray(view) + noise[..., np.newaxis]).clip(0, 255).astype(np.uint8)


def repeated(path: Path, times: int) -> Path:
    """Write a video so many times after itself, unless that is there: nothing is encoded anew."""
    import av

    target = path.with_name(f"{path.stem}x{times}.mp4")
    if not target.exists():
        unfinished = target.with_name(f"unfinished-{target.name}")
        with av.open(str(path)) as source, av.open(str(unfinished), "w") as container:
            stream = source.streams.video[0]
            copy = container.add_stream_from_template(stream)
            assert stream.duration is not None
            for lap in range(times):
                source.seek(0)
                for packet in source.demux(stream):
                    if packet.pts is None or packet.dts is None:  # the last one, which is empty
                        continue
                    packet.pts += lap * stream.duration
                    packet.dts += lap * stream.duration
                    packet.stream = copy
                    container.mux(packet)
        unfinished.replace(target)
    return target


# ---- measurements, each in a process of its own ----


def decode(path: str, every: str) -> Answer:
    """Decode, and score nothing."""
    cpu = time.process_time()
    count = sum(1 for _ in frames(path, float(every)))
    return {"cpu": time.process_time() - cpu, "frames": count}


def score(path: str, engine: str) -> Answer:
    """Score what is decoded already, with one thread."""
    shown = [picture for _, picture in frames(path)]
    with Classifier(engine=cast("EngineName", engine), threads=1) as classifier:
        classifier.classify_batch(shown[:WARM_UP], workers=1)
        cpu = time.process_time()
        classifier.classify_batch(shown, workers=1)
        return {"cpu": time.process_time() - cpu, "frames": len(shown)}


def whole(path: str, engine: str) -> Answer:
    """Do all of it twice, once for all workers to be at work, and once to take the time."""
    with Classifier(engine=cast("EngineName", engine)) as classifier:
        classifier.classify_video(path)
        start, cpu = time.perf_counter(), cpu_seconds(os.getpid())
        result = classifier.classify_video(path)
        return {
            "seconds": time.perf_counter() - start,
            "cpu": cpu_seconds(os.getpid()) - cpu,
            "sampled": [round(shown * RATE) for shown in result.times.tolist()],
            "scored": len(result.scores),
        }


def memory(path: str) -> Answer:
    """Score a video, and nothing else."""
    with Classifier(engine=ENGINE) as classifier:
        classifier.classify_video(path)
    return {"megabytes": peak_megabytes()}


MEASUREMENTS: dict[str, Callable[..., Answer]] = {"decode": decode, "score": score, "whole": whole, "memory": memory}


# ---- what is written ----


def head(video: Path, seconds: int, rounds: int, load: float, versions: dict[str, str]) -> list[str]:
    """Say what was measured on what."""
    rate = video.stat().st_size * 8 / seconds / 1e6
    named = {"PyAV": metadata.version("av")} | versions
    busy = "" if load < QUIET else f" Others were at work: the load average was {load:.1f} when it began."
    return [
        "## Videos",
        "",
        f"`make bench-video` wrote this on {cpu_name()}, {available_cores()} cores, {time.strftime('%-d %B %Y')}, "
        f"{', '.join(f'{name} {version}' for name, version in named.items())}: {len(PHOTOS)} photographs, panned over "
        f"for {SHOT} s each, with grain; {SIZE[0]}x{SIZE[1]}, {RATE} frames a second, H.264 with B-frames, {rate:.1f} "
        f"Mbit/s. Medians of {rounds} rounds in turns; Caffe's OpenBLAS has the {KERNEL} kernel.{busy}",
        "",
    ]


def costs_document(costs: dict[str, list[Answer]], engines: Sequence[str], seconds: int) -> list[str]:
    """Return decoding beside scoring as Markdown."""
    lines = [
        "CPU milliseconds of one thread for a second of video, of which one frame is scored. The goal is a ratio of at "
        f"most {GOAL}.",
        "",
        "| engine | decode | score | ratio | goal |",
        "|---|---|---|---|---|",
    ]
    decoded = [answer["cpu"] / seconds * 1e3 for answer in costs["each second"]]
    for engine in engines:
        scored = [answer["cpu"] / answer["frames"] * 1e3 for answer in costs[engine]]
        ratio = statistics.median(a / b for a, b in zip(decoded, scored, strict=True))
        lines.append(
            f"| {engine} | {statistics.median(decoded):.1f} | {statistics.median(scored):.1f} | {ratio:.2f} "
            f"| {'met' if ratio <= GOAL else 'missed'} |"
        )
    sparse, keyed, everything = (
        statistics.median(answer["cpu"] for answer in costs[name]) / seconds * 1e3 for name in ("sparse", KEYED, "all")
    )
    return [
        *lines,
        "",
        f"Decoding takes {sparse:.1f} ms for a second of video at a step of {STEPS['sparse']:g} s, with x264's own key "
        f"frames, 5 to 8 s apart; {keyed:.1f} with one every {KEYS} s at least; and {everything:.1f} with `every=0`, "
        f"which gives all {RATE} frames.",
        "",
    ]


def speeds_document(speeds: dict[str, list[Answer]], seconds: int) -> list[str]:
    """Return how fast each contender is as Markdown."""
    lines = [
        f"{seconds} s of video, from the file to the scores, a frame a second, on all cores; what was loaded and "
        f"started before does not count. The ratio is the throughput to {RIVAL}'s with its defaults, on Keras with JAX "
        "and random weights.",
        "",
        "| contender | seconds of video a second | ratio | frames scored a second | CPU ms for a second of video |",
        "|---|---|---|---|---|",
    ]
    for name, answers in speeds.items():
        took = [answer["seconds"] for answer in answers]
        ratio = statistics.median(b["seconds"] / a for a, b in zip(took, speeds[FIRST], strict=True))
        cpu = statistics.median(answer["cpu"] for answer in answers) / seconds * 1e3
        scored = statistics.median(answer["scored"] / answer["seconds"] for answer in answers)
        lines.append(f"| {name} | {seconds / statistics.median(took):.1f} | {ratio:.2f} | {scored:.1f} | {cpu:.0f} |")
    return [*lines, ""]


def looks_document(looks: dict[str, Answer], count: int) -> list[str]:
    """Return in how many of its places each contender looks at a scene of one second as Markdown."""
    places = range(count - RATE + 1)
    lines = [
        f"A scene of exactly 1 s can begin at {len(places)} frames of {count / RATE:g} s of video. For how many of "
        "them is a frame of the scene sampled, for how many is one given to the network, and how many frames share a "
        "score:",
        "",
        "| contender | sampled | scored | frames to a score |",
        "|---|---|---|---|",
    ]
    for name, answer in looks.items():
        found = []
        for numbers in (answer["sampled"], answer["sampled"][: answer["scored"]]):
            seen = {place for number in numbers for place in range(number - RATE + 1, number + 1)}
            found.append(len(seen.intersection(places)))
        shared = WAYS[name][0] if name in WAYS else "1"
        lines.append(f"| {name} | {share(found[0], len(places))} | {share(found[1], len(places))} | {shared} |")
    return [*lines, ""]


def share(found: int, count: int) -> str:
    """Write a share in percent, rounded down: what is not all is not 100 %."""
    return f"{math.floor(1000 * found / count) / 10:g} %"


if __name__ == "__main__":
    main()
