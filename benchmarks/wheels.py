#!/usr/bin/env python
"""Do the engines give the same bits under several Pythons? Each in a clean environment, over the tests' corpus.

    python -m benchmarks.wheels PYTHON...    # interpreters; the wheel of each lies in dist/, the first is compared with

Each environment has the wheel, the portable engines of which there are wheels for that Python, nsfw_caffe from this
checkout, and what they need, of the newest release that there is. There, the corpus's tensors go through each engine,
some of its files with Caffe through `nsfw-caffe classify`, and the recorded pictures through `nsfw-caffe verify
--published`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import ImageError
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.fidelity import corpus

REPOSITORY = Path(__file__).resolve().parents[1]
EVERY = 8
"""One of so many files goes through the command too."""
BINARY = "numpy,pillow,scikit-image,scipy"
"""Nothing of these is compiled here: where the newest Python has but a release candidate, that is taken."""
SCORE = """
import sys
import numpy as np
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.options import ScoringOptions
engine = create_engine(fetch(), ScoringOptions(engine=sys.argv[3], threads=1))
tensors = np.load(sys.argv[1], mmap_mode="r")
np.save(sys.argv[2], np.concatenate([engine.forward(np.array(tensor[np.newaxis])) for tensor in tensors]))
"""
PORTABLE = ("onnxruntime", "openvino")
NONE = "no wheels"
IS_THERE = "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]) is not None)"
DESCRIBE = "import platform, numpy, PIL; print(platform.python_version(), numpy.__version__, PIL.__version__)"


@dataclass(frozen=True)
class Found:
    """What an environment makes of the corpus."""

    versions: str
    libcaffe: str
    """The start of its SHA-256."""
    outputs: dict[str, npt.NDArray[np.uint32]]
    """Of each engine that is there, (pictures, 2): the bits of both probabilities."""
    lines: list[str]
    """What the command printed."""
    verified: str


def main() -> int:
    """Print a row for each Python; return 1 if a bit differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="interpreters")
    parser.add_argument("--tensors", type=int, default=0, help="pictures of the corpus to score; all: 0 (0)")
    options = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["NSFW_CAFFE_MODEL_DIR"] = str(fetch().prototxt.parent)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files, count = write_tensors(folder, options.tensors)
        print(f"{count} tensors of {count} pictures; {len(files[::EVERY])} files through the command\n")
        print("| Python | NumPy | Pillow | libcaffe | Caffe | onnxruntime | OpenVINO | files | verify --published |")
        print("|---|---|---|---|---|---|---|---|---|")
        same = True
        environments = [make_environment(Path(python).absolute(), folder) for python in options.pythons]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            examined = pool.map(partial(examine, folder, files[::EVERY]), environments)
            first = next(examined)
            for found in chain([first], examined):
                differing = [_differing(found, first, engine) for engine in ("caffe", *PORTABLE)]
                lines = sum(one != other for one, other in zip(found.lines, first.lines, strict=True))
                same = same and not any(differing) and lines == 0 and found.verified == "equal"
                counts = (NONE if each is None else f"{each} of {2 * count} differ" for each in differing)
                of_files = f"{lines} of {len(found.lines)} differ"
                cells = (found.versions, found.libcaffe, *counts, of_files, found.verified)
                print("|", " | ".join(cells), "|", flush=True)
    return 0 if same else 1


def _differing(found: Found, first: Found, engine: str) -> int | None:
    """Count outputs that differ; None where the engine is in one of the two environments at most."""
    if engine not in found.outputs or engine not in first.outputs:
        return None
    return int((found.outputs[engine] != first.outputs[engine]).sum())


def write_tensors(folder: Path, most: int) -> tuple[list[Path], int]:
    """Preprocess the corpus's pictures into `tensors.npy`: the files, and how many there are."""
    (folder / "corpus").mkdir()
    files, tensors = [], []
    for path in corpus.generate(folder / "corpus"):
        try:
            tensors.append(preprocess(path, PillowCodec()))
        except ImageError:
            continue
        files.append(path)
        if len(files) == most:
            break
    np.save(folder / "tensors.npy", np.stack(tensors))
    return files, len(files)


def make_environment(python: Path, folder: Path) -> Path:
    """Make a Python's clean environment, named for its tag; a new pip installs, as an old one runs on no new Python."""
    tools = folder / "tools"
    if not tools.exists():
        run(sys.executable, "-m", "venv", tools)
        run(tools / "bin" / "python", "-m", "pip", "install", "--quiet", "--upgrade", "pip")
    tag = run(python, "-c", "import sys; print(sys.implementation.cache_tag)").replace("cpython-", "cp").strip()
    run(python, "-m", "venv", "--without-pip", folder / tag)
    pip: list[str | Path] = [tools / "bin" / "python", "-m", "pip", "--python", folder / tag / "bin" / "python"]
    run(*pip, "install", "--quiet", "--only-binary", BINARY, wheel_of(tag), f"{REPOSITORY}[published]")
    for engine in PORTABLE:
        # What is compiled here would be another engine.
        command = [*pip, "install", "--quiet", "--only-binary", f"{BINARY},{engine},onnx", f"{REPOSITORY}[{engine}]"]
        subprocess.run(command, cwd="/", capture_output=True, check=False)
    return folder / tag


def wheel_of(tag: str) -> Path:
    """Return the wheel for a Python."""
    (wheel,) = (REPOSITORY / "dist").glob(f"caffe-*-{tag}-*.whl")
    return wheel


def examine(folder: Path, files: list[Path], environment: Path) -> Found:
    """Have an environment score."""
    binaries, tag = environment / "bin", environment.name
    outputs = {}
    for engine in ("caffe", *PORTABLE):
        if engine == "caffe" or run(binaries / "python", "-c", IS_THERE, engine).strip() == "True":
            run(binaries / "python", "-c", SCORE, folder / "tensors.npy", folder / f"{tag}-{engine}.npy", engine)
            outputs[engine] = np.load(folder / f"{tag}-{engine}.npy").view(np.uint32)
    verify = subprocess.run([binaries / "nsfw-caffe", "verify", "--published"], capture_output=True, text=True)
    with zipfile.ZipFile(wheel_of(tag)) as archive:
        (name,) = (name for name in archive.namelist() if name.startswith("caffe.libs/libcaffe-"))
        libcaffe = sha256(archive.read(name)).hexdigest()[:8]
    return Found(
        run(binaries / "python", "-c", DESCRIBE).strip().replace(" ", " | "),
        libcaffe,
        outputs,
        run(binaries / "nsfw-caffe", "classify", "--engine", "caffe", *files).splitlines(),
        "equal" if verify.returncode == 0 else f"status {verify.returncode}: {verify.stderr.strip()}",
    )


def run(*command: str | Path) -> str:
    """Run a command outside the checkout and return what it printed; its errors end this program."""
    child = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, text=True, check=False)
    if child.returncode != 0:
        sys.exit(f"status {child.returncode}: {' '.join(map(str, command[:6]))} ...")
    return child.stdout


if __name__ == "__main__":
    sys.exit(main())
