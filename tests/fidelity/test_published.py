"""The published set-up: scores that others published, and the JPEG library that they were made with."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from nsfw_caffe.errors import ImageError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.preprocessing.jpeg import Ijg9dCodec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.fidelity.oracle import sha256
from tests.support import needs_atlas

PUBLISHED = "NSFW_CAFFE_PUBLISHED"
CHILD = """
import sys
from nsfw_caffe import Classifier
prototxt, caffemodel, *paths = sys.argv[1:]
classifier = Classifier.published(prototxt=prototxt, caffemodel=caffemodel)
print(*map(repr, classifier.classify_batch(paths)))
"""
OLD_PYTHONS = ("3.10", "3.9", "3.8", "3.7", "3.6")  # those that Pillow 8.4.0 has wheels for
OLD_PACKAGES = ("Pillow==8.4.0", "numpy")
ORIGINAL_STEPS = Path(__file__).with_name("original_steps.py")
# Pillow 8.4 took the four inks of such a file for red, green, blue and transparency.
DECODED_OTHERWISE = [("JPEG2000", "CMYK")]


@needs_atlas
def test_published_scores(model_files: ModelFiles) -> None:
    if PUBLISHED not in os.environ:
        pytest.skip(f"{PUBLISHED} does not name the folder with published.json and its pictures")
    if importlib.util.find_spec("caffe") is None:
        pytest.skip("pycaffe is not installed: 'make caffe' builds it")
    folder = Path(os.environ[PUBLISHED])
    published = json.loads((folder / "published.json").read_text())["scores"]
    files = [model_files.prototxt, model_files.caffemodel, *(folder / entry["file"] for entry in published)]
    # A process of its own: ATLAS has to be loaded before Caffe.
    child = subprocess.run([sys.executable, "-c", CHILD, *map(str, files)], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    for entry, score in zip(published, map(float, child.stdout.split()), strict=True):
        decimals = entry["digits"].partition(" decimals")[0]
        assert entry["nsfw"] == (round(score, int(decimals)) if decimals.isdigit() else score), entry["file"]


@pytest.fixture(scope="module")
def original_sums(corpus_paths: list[Path], request: pytest.FixtureRequest) -> dict[Path, str]:
    """Return what original_steps.py prints under Pillow 8.4.0 and its IJG libjpeg."""
    cache = request.config.cache
    assert cache is not None
    python = _old_python(cache.mkdir("pillow-8.4.0"))
    names = "".join(f"{path}\n" for path in corpus_paths)
    output = subprocess.run([python, ORIGINAL_STEPS], input=names.encode(), stdout=subprocess.PIPE, check=True).stdout
    lines = (line.split("\t") for line in output.decode().splitlines())
    return {Path(path): answer for path, answer in lines}


def _old_python(folder: Path) -> Path:
    """Return the Python of a virtual environment with Pillow 8.4.0, made on the first call."""
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        base = _find_python()
        create = [base, "-m", "venv", "--clear", str(folder)]
        install = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *OLD_PACKAGES]
        for command in (create, install):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no Pillow 8.4.0 for {base}: {done.stderr.strip()[-300:]}")
        ready.touch()
    return python


def _find_python() -> str:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in OLD_PYTHONS:
        for python in (*pyenv.glob(f"{version}.*/bin/python"), shutil.which(f"python{version}")):
            # pyenv's shims are found on the PATH even where they start nothing.
            if python and subprocess.run([python, "-c", "import venv"], capture_output=True).returncode == 0:
                return str(python)
    pytest.skip(f"no Python {OLD_PYTHONS[-1]} to {OLD_PYTHONS[0]} for Pillow 8.4.0")


@pytest.mark.slow
@pytest.mark.network  # the first time; the environment is kept in .pytest_cache
def test_ijg_codec_gives_the_tensors_of_pillow_8_4(corpus_paths: list[Path], original_sums: dict[Path, str]) -> None:
    codec = Ijg9dCodec()
    compared: Counter[bool] = Counter()
    differing = []
    for path in corpus_paths:
        file_format, mode = _kind(path)
        of_jpeg = file_format in ("JPEG", "MPO")
        original = original_sums[path]
        if (original.startswith("error ") and not of_jpeg) or (file_format, mode) in DECODED_OTHERWISE:
            continue
        try:
            ours = sha256(preprocess(path, codec))
        except ImageError:
            ours = "error"
        compared[of_jpeg] += 1
        if ours != original.partition(" ")[0]:
            differing.append((path.name, file_format, mode, original))
    print(f"{compared[True]} JPEG files and {compared[False]} others compared, {len(differing)} differ")
    assert not differing
    assert compared[True] >= 150
    assert compared[False] >= 150


def _kind(path: Path) -> tuple[str | None, str]:
    try:
        with Image.open(path) as picture:
            return picture.format, picture.mode
    except OSError:
        return None, ""
