#!/usr/bin/env python
"""Training: its parts' speed against what they could reach at best, and the memory of each.

    python -m benchmarks.training               # writes its part of benchmarks/results.md
    python -m benchmarks.training --quick       # one round, fewer pictures and iterations, to try it out

Each measurement is a process of its own, and those that are compared take turns: A B, A B. The median of the rounds
counts. Large numbers of pictures are made up, their hashes and features, and the rest is done as for real ones.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image, UnidentifiedImageError

from benchmarks.bench import HERE, say, write_part
from benchmarks.make_pictures import make
from nsfw_caffe.fidelity.measure import cpu_name
from nsfw_caffe.options import EngineName
from nsfw_caffe.system.processes import available_cores

WORK = HERE.parent / "build" / "training"
ROUNDS = 3
PICTURES = 1000
LARGE = (10_000, 100_000)
ENGINE: EngineName = "onnxruntime"
BATCH_SIZE = 8

PHASES = {
    "gather": ("pictures read, near-duplicates", "means.gather"),
    "features": ("features", "run.features_of"),
    "decay": ("weight decay chosen", "last_layer.choose_decay"),
    "arrays": ("what the solver is fed with written", "last_layer.write_arrays"),
    "solver": ("Caffe's solver", "last_layer.solve"),
    "held": ("held-out pictures scored", "run.probabilities"),
    "measure": ("figures", "run.measure"),
    "write": ("model folder written", "run.write_model"),
}
"""What a training does, one after the other: a name for the table, and the function that does it."""

Answer = dict[str, Any]


def main() -> None:
    """Measure, and write the results; or be one of the measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round, few pictures and iterations")
    parser.add_argument("--measure", nargs="+", metavar="WHAT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, *arguments = options.measure
        print(json.dumps(MEASUREMENTS[what](*arguments)))
        return
    rounds, count, iterations = (1, 100, 3) if options.quick else (ROUNDS, PICTURES, 15)
    table = pictures(count)
    answers = in_turns(rounds, [("scan", str(table)), ("train", str(table))])
    steps = in_turns(rounds, [(name, str(table), str(iterations)) for name in ("bare", "fed")])
    large = [measured("synthetic", str(number // (10 if options.quick else 1))) for number in LARGE]
    text = document(count, rounds, answers, steps, large)
    write_part("bench-training", text)
    print(text)


def in_turns(rounds: int, commands: list[tuple[str, ...]]) -> dict[str, list[Answer]]:
    """Take measurements in turns."""
    answers: dict[str, list[Answer]] = {command[0]: [] for command in commands}
    for number in range(rounds):
        for command in commands:
            say(f"round {number + 1}: {command[0]}")
            answers[command[0]].append(measured(*command))
    return answers


def measured(*command: str) -> Answer:
    """Take a measurement in a process of its own."""
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--measure", *command], stdout=subprocess.PIPE, check=True
    )
    answer: Answer = json.loads(child.stdout.splitlines()[-1])
    say(json.dumps(answer))
    return answer


def pictures(count: int) -> Path:
    """Make a table of so many labelled pictures, none of them broken."""
    folder = WORK / f"pictures-{count}"
    table = folder.with_suffix(".csv")
    if not table.exists():
        say(f"making {count} pictures")
        make(folder, count + count // 40, 1)
        found = [path for path in sorted(folder.rglob("*.*")) if readable(path)][:count]
        rows = [f"{path},{'nsfw' if number % 2 else 'sfw'}" for number, path in enumerate(found)]
        table.write_text("\n".join(["source,label", *rows]) + "\n")
    return table


def readable(path: Path) -> bool:
    """Tell whether a picture can be decoded."""
    try:
        with Image.open(path) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError):
        return False
    return True


def sources(table: str) -> list[str]:
    """Read the pictures' names."""
    return [line.rpartition(",")[0] for line in Path(table).read_text().splitlines()[1:]]


# ---- measurements, each in a process of its own ----


def scan(table: str) -> Answer:
    """Scan the pictures."""
    import nsfw_caffe

    with tempfile.TemporaryDirectory(dir=WORK) as folder, nsfw_caffe.Classifier(engine=ENGINE) as classifier:
        start = time.perf_counter()
        result = nsfw_caffe.scan(sources(table), Path(folder) / "results.csv", classifier=classifier)
        return {"seconds": time.perf_counter() - start, "pictures": result.scored, "megabytes": peak_megabytes()}


def train(table: str) -> Answer:
    """Train the last layer on the pictures."""
    from nsfw_caffe.options import ScoringOptions
    from nsfw_caffe.training import run

    with tempfile.TemporaryDirectory(dir=WORK) as folder, Phases() as phases:
        result = run.train(table, Path(folder) / "model", scoring=ScoringOptions(engine=ENGINE))
    known = sum(result.trained_on.values()) + sum(result.held_out.values())
    return {"pictures": known + result.repeats + result.too_near, "phases": phases.found}


def synthetic(count: str) -> Answer:
    """Train the last layer on pictures that are made up: their hashes, their features, and what they look like."""
    from nsfw_caffe.training import data, features, means, run

    random = np.random.default_rng(1)
    labels = random.integers(0, 2, int(count))
    looks = random.integers(0, 2**64, int(count) // 20, np.uint64).repeat(20)  # twenty that look alike
    looks ^= np.uint64(1) << random.integers(0, 64, int(count)).astype(np.uint64)

    def gather(given: object, *, holdout: float, seed: int, **_: object) -> data.Dataset:  # noqa: ARG001
        found = data.Finds(("sfw", "nsfw"))
        for row in range(int(count)):
            digest = random.bytes(32).hex()
            found._pictures[digest] = data.Picture(
                f"/data/pictures/{row // 1000:04}/{row:08}.jpg", int(labels[row]), digest, int(looks[row]), None
            )
        return found.dataset(holdout, seed)

    def compute(dataset: data.Dataset, given: object, files: object, *others: Any) -> None:  # noqa: ARG001, ANN401
        kept: features.FeatureFile = others[0]
        width = kept.rows.shape[1]
        towards = random.standard_normal(width, np.float32) / 20
        for row, picture in enumerate(dataset.pictures):
            noise = random.standard_normal(width, np.float32) / 2
            kept.put(row, np.abs(0.5 + noise + (2 * picture.label - 1) * towards))

    made_up = mock.patch.object(means, "gather", gather), mock.patch.object(means, "compute", compute)
    with made_up[0], made_up[1], tempfile.TemporaryDirectory(dir=WORK) as folder, Phases() as phases:
        result = run.train({"sfw": "a", "nsfw": "b"}, Path(folder) / "model")
    return {"pictures": int(count), "auc": result.after.roc.auc, "phases": phases.found}


def bare(table: str, iterations: str) -> Answer:  # noqa: ARG001
    """Step over one batch that is there, again and again: nothing is faster."""
    from nsfw_caffe.engines.caffe import import_caffe
    from nsfw_caffe.training.solver_job import SolverJob, solver_prototxt

    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        net, weights = whole_network(Path(folder))
        caffe = import_caffe()
        caffe.set_mode_cpu()
        text = Path(folder) / "solver.prototxt"
        text.write_text(solver_prototxt(SolverJob(net, folder, arrays=folder, batch_size=BATCH_SIZE), net))
        solver = caffe.get_solver(str(text))
        solver.net.copy_from(weights)
        random = np.random.default_rng(1)
        solver.net.blobs["data"].data[...] = random.normal(0, 60, solver.net.blobs["data"].data.shape)
        solver.net.blobs["label"].data[...] = np.arange(BATCH_SIZE) % 2
        seconds = []
        for _ in range(int(iterations) + 1):
            start = time.perf_counter()
            solver.step(1)
            seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "megabytes": peak_megabytes()}


def fed(table: str, iterations: str) -> Answer:
    """Train the whole network on pictures, which processes make ready meanwhile."""
    from nsfw_caffe.training.solving import SolverJob, solve

    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        net, weights = whole_network(Path(folder))
        rows = [{"source": source, "label": number % 2} for number, source in enumerate(sources(table))]
        listed = Path(folder) / "pictures.json"
        listed.write_text(json.dumps(rows))
        job = SolverJob(
            net, folder, weights, pictures=str(listed), batch_size=BATCH_SIZE, iterations=int(iterations) + 1
        )
        with Phases() as phases:
            history = solve(job).history
    return {"seconds": [step.seconds for step in history[1:]], "megabytes": phases.children()}


def whole_network(folder: Path) -> tuple[str, str]:
    """Write the network as it is trained as a whole, for `BATCH_SIZE` pictures; give it and its weights."""
    from nsfw_caffe.model.locate import fetch
    from nsfw_caffe.model.network import read_prototxt
    from nsfw_caffe.training.network import read_training_network
    from nsfw_caffe.training.training_form import training_form

    files = fetch()
    path = folder / "train.prototxt"
    path.write_text(str(training_form(read_prototxt(files.prototxt))))
    path.write_text(read_training_network(path, BATCH_SIZE).text)
    return str(path), str(files.caffemodel)


MEASUREMENTS: dict[str, Callable[..., Answer]] = {
    "scan": scan, "train": train, "synthetic": synthetic, "bare": bare, "fed": fed
}  # fmt: skip


class Phases:
    """Takes the seconds and the peak memory of each phase of a training, and of the processes that it has started."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self._processes: dict[str, float] = {}
        self._over = threading.Event()

    def __enter__(self) -> Phases:
        for name, (_, place) in PHASES.items():
            module = importlib.import_module(f"nsfw_caffe.training.{place.partition('.')[0]}")
            function = place.partition(".")[2]
            setattr(module, function, functools.partial(self._phase, name, getattr(module, function)))
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()

    def _phase(self, name: str, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        self._processes = {}
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: proc(5)
        start = time.perf_counter()
        made = function(*arguments, **options)
        before = self.found.get(name, {"seconds": 0.0, "megabytes": 0.0, "children": 0.0})
        self.found[name] = {
            "seconds": before["seconds"] + time.perf_counter() - start,
            "megabytes": max(before["megabytes"], peak_megabytes()),
            "children": max(before["children"], self.children()),
        }
        return made

    def children(self) -> float:
        """Give the largest peak of the processes that were started in this phase."""
        return max(self._processes.values(), default=0.0)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            for process in descendants("self"):
                try:
                    self._processes[process] = peak_megabytes(process)
                except (OSError, StopIteration):  # it has just ended
                    continue


def descendants(process: str) -> Iterator[str]:
    """Find a process's children, and theirs."""
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            found = path.read_text().split()
        except OSError:
            continue
        for child in found:
            yield child
            yield from descendants(child)


def peak_megabytes(process: str = "self") -> float:
    """Give the most memory that a process has had."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


# ---- what is written ----


def document(
    count: int,
    rounds: int,
    answers: dict[str, list[Answer]],
    steps: dict[str, list[Answer]],
    large: list[Answer],
) -> str:
    """Return the results as Markdown."""
    scans, trainings = answers["scan"], answers["train"]
    rate = statistics.median(answer["pictures"] / answer["seconds"] for answer in scans)
    seconds = {name: statistics.median(answer["phases"][name]["seconds"] for answer in trainings) for name in PHASES}
    features = statistics.median(answer["pictures"] / answer["phases"]["features"]["seconds"] for answer in trainings)
    both = count / (seconds["gather"] + seconds["features"])
    step = {name: statistics.median(chain.from_iterable(a["seconds"] for a in found)) for name, found in steps.items()}
    lines = [
        "## Training",
        "",
        f"`make bench-training` wrote this on {cpu_name()}, {available_cores()} cores, "
        f"{time.strftime('%-d %B %Y')}: {count} pictures of 20 to 300 kB, {ENGINE}; medians of {rounds} rounds in "
        "turns.",
        "",
        "| what | against | figures | ratio |",
        "|---|---|---|---|",
        f"| features | `scan` of the same | {features:.1f} and {rate:.1f} pictures/s | {features / rate:.2f} |",
        f"| all that pictures are read for, features too | the same | {both:.1f} pictures/s | {both / rate:.2f} |",
        f"| an iteration of the whole network, batch {BATCH_SIZE}, pictures made ready meanwhile "
        f"| `solver.step` on one batch that is there | {step['fed']:.3f} and {step['bare']:.3f} s "
        f"| {step['fed'] / step['bare']:.3f} |",
        f"| its peak memory | | {peak(steps['fed']):.0f} and {peak(steps['bare']):.0f} MB | |",
        f"| `scan`'s peak memory | | {peak(scans):.0f} MB | |",
        "",
        "The last layer: seconds, and the peak MB of the process and of the largest that it has started. Of "
        + " and ".join(f"{answer['pictures']:,}" for answer in large)
        + " pictures, hashes and features are made up, in groups of twenty that look alike.",
        "",
        "| phase | " + " | ".join(f"{number:,} pictures" for number in [count, *(a["pictures"] for a in large)]) + " |",
        "|---|---|" + "---|" * len(large),
    ]
    trained = [trainings[0], *large]
    for name, (said, _) in PHASES.items():
        cells = []
        for number, answer in enumerate(trained):
            found = answer["phases"][name]
            took = found["seconds"] if number else seconds[name]
            child = f" + {found['children']:.0f}" if found["children"] > 1 else ""
            made_up = " (made up)" if number and name == "features" else ""
            cells.append(f"{took:.2f} s, {found['megabytes']:.0f}{child} MB{made_up}")
        lines.append(f"| {said} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def peak(answers: list[Answer]) -> float:
    """Give the largest peak of the rounds."""
    return max(float(answer["megabytes"]) for answer in answers)


if __name__ == "__main__":
    main()
