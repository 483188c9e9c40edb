"""The blocks of code in README.md and the documentation are run, or NOT_RUN says why they cannot be.

A page's commands and statements are run one by one, in a folder that has what they name. What is shown beneath a
command, and a number in the comment beside an expression, has to come.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import nsfw_caffe
from nsfw_caffe.cli.main import create_parser, main
from nsfw_caffe.model.folder import write_model_folder
from nsfw_caffe.model.spec import ModelFiles
from tests.cli.test_scan import write_warc
from tests.clips import X264, Clip
from tests.code_blocks import PAGES, Step, blocks, difference, run_statement, steps
from tests.example_files import make_example_files
from tests.support import ATLAS, LINUX, PHOTOS, REPOSITORY, made_once
from tests.training.pictures import labelled

DATA = ("", "ini", "json", "nginx", "text", "{eval-rst}", "{toctree}")
"""Languages of blocks that are no code to run."""

NOT_RUN: dict[str, dict[str, str]] = {
    "any page": {
        "make ": "sets up and tests the checkout that this is a test of",
        "docker ": "needs a Docker daemon; docker/test_images.sh builds the images and runs them",
        "apt-get ": "installs packages of the system",
        "pip install ": "installs packages; tests/test_packaging.py does, in an environment of its own",
        "nsfw-caffe serve": "serves until it is stopped; tests/service/test_server.py",
        "curl ": "asks the service; tests/service/test_scoring.py, tests/service/test_gate.py",
        "nsfw-caffe train": "trains; tests/training/test_fine_tuning.py, tests/training/test_prototxts.py",
        "nsfw-caffe verify": "takes ten seconds on each page; tests/fidelity/test_verify.py",
        "nsfw-caffe networks compare --measure": "takes a minute; tests/cli/test_networks.py",
        "nsfw_caffe.spark.": "takes a Spark session; tests/spark/test_spark.py",
        "nsfw_caffe.Classifier.published()": "a process computes with one BLAS; tests/fidelity/test_published.py",
        'classifier = nsfw_caffe.Classifier(engine="openvino", precision="bfloat16")': "few CPUs have it; "
        "tests/engines/test_openvino.py",
    },
    "docs/install.md": {
        "wheel=": "compiles for minutes; `make test` has run the script before the tests",
        "/path/to/venv": "installs packages",
    },
    "docs/docker.md": {"PICTURES=": "needs a Docker daemon"},
    "docs/service.md": {
        "git clone ": "sets a machine up, as root",
        "python3 -m venv /opt": "the same",
        "/opt/": "the same",
        "mkdir /opt": "the same",
        "export NSFW_CAFFE_MODEL_DIR=/opt": "the same",
        "systemctl ": "the same",
        "UPLOADS=": "serves until it is stopped; tests/service/test_upload_examples.py",
    },
    "docs/spark.md": {"": "tests/spark/test_spark.py runs the page, and tests/spark/test_training.py trains"},
    "docs/thresholds.md": {
        "python examples/evaluation.py": "writes 400 pictures; tests/cli/test_evaluate.py",
        "nsfw-caffe evaluate --nsfw stand-in": "scores them",
    },
    "docs/training.md": {
        "cd caffe && caffe train": "the `caffe` program is not built here; tests/training/test_prototxts.py",
        "python examples/train_on_stamps.py": "trains for minutes; tests/test_examples.py",
    },
}
"""Why what begins so is not run, on one page or on any; with the tests that run the like, where there are."""

OTHER_FIGURES: dict[str, tuple[str, ...]] = {
    "README.md": ("nsfw-caffe scan photos backup.tar.gz -o results.csv",),
    "docs/video.md": ("nsfw-caffe video clip.mp4 ",),
}
"""Beginnings of commands whose numbers are those of other pictures: the text alone has to come."""

ON_LINUX_ALONE = ("docs/networks.md", "docs/scoring.md", "docs/training.md")
"""Pages that ask for Caffe, to score, measure or train with."""

_SOURCES = """
from PIL import Image
image = Image.open("photo.jpg")
data = open("b.jpg", "rb").read()
source, sources, paths = "photo.jpg", ["photo.jpg", image], ["photo.jpg", "a.jpg"]
"""
GIVEN: dict[str, str] = {
    "README.md": _SOURCES,
    "docs/architecture.md": "from typing import Protocol\nimport numpy as np\n",
    "docs/scoring.md": _SOURCES,
}
"""What the Python of a page takes for granted, besides `import nsfw_caffe`."""


def _take_the_rocket(folder: Path) -> None:
    (folder / "photo.jpg").unlink()  # which is a link
    shutil.copy(PHOTOS / "rocket.jpg", folder / "photo.jpg")


def _take_eight(folder: Path) -> None:
    _take_the_rocket(folder)
    shutil.rmtree(folder / "photos")
    (folder / "photos").mkdir()
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "moon.png", "retina.jpg", "rocket.jpg"):
        shutil.copy(PHOTOS / name, folder / "photos" / name)
    (folder / "photos" / "cut.jpg").write_bytes((PHOTOS / "rocket.jpg").read_bytes()[:20_000])
    (folder / "photos" / "notes.txt").write_text("hello\n")


def _take_enough_to_train(folder: Path) -> None:
    shutil.rmtree(folder / "labelled")
    labelled(folder / "labelled", 10, ("animals", "things"))
    labelled(folder, 10, ("a", "b"))
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.write(folder / "photo.jpg", "photo.jpg")


def _take_a_clip(folder: Path) -> None:
    Clip("clip.mp4", "libx264", X264, 8.0, segments=((2.0, 4.0),)).write(folder)


PICTURES: dict[str, Callable[[Path], None]] = {
    "README.md": _take_a_clip,
    "docs/index.md": _take_the_rocket,
    "docs/quick-start.md": _take_eight,
    "docs/training.md": _take_enough_to_train,
    "docs/video.md": _take_a_clip,
}
"""What puts the pictures there that a page has other than most."""

COMMANDS = next(tuple(action.choices) for action in create_parser()._actions if isinstance(action.choices, dict))


def why_not(page: str, step: Step) -> str | None:
    """Return why a step is not run; None where it is."""
    entries = NOT_RUN.get(page, {}) | NOT_RUN["any page"]
    return next((why for begins, why in entries.items() if step.text.startswith(begins)), None)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Path:
    """Return a folder of all that pages name."""

    def make(folder: Path) -> None:
        make_example_files(folder)
        (folder / "photos" / "text.jpg").unlink()  # which is no picture
        for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "lake/a.jpg", "test/animals/a.jpg", "test/things/b.jpg"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PHOTOS / ("rocket.jpg" if name[-5] in "ac" else "retina.jpg"), folder / name)
        (folder / "labels.csv").write_text(_LABELS)
        with tarfile.open(folder / "backup.tar.gz", "w:gz") as archive:
            archive.add(PHOTOS / "rocket.jpg", "rocket.jpg")
        write_warc(folder / "crawl.warc.gz", [PHOTOS / "rocket.jpg"])
        text = model_files.prototxt.read_text()
        (folder / "my.prototxt").write_text(text)
        shutil.copy(model_files.caffemodel, folder / "my.caffemodel")
        for name in ("mymodel", "animals-model"):
            write_model_folder(folder / name, text, model_files.caffemodel, ("cats", "dogs"))
        for name in ("benchmarks", "examples", "models"):
            (folder / name).symlink_to(REPOSITORY / name)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            portable = nsfw_caffe.Classifier(engine="onnxruntime")
            nsfw_caffe.scan(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "results.parquet", classifier=portable)
            shutil.copy("results.parquet", "float32.parquet")
            shutil.copy("results.parquet", "bfloat16.parquet")
            assert main(["evaluate", "labels.csv", "--json", "own.json", "--quiet"]) == 0

    return made_once(tmp_path_factory, "files", make)


_LABELS = """\
source,label,score,camera,source_type
a.jpg,sfw,0.1,front,still
b.jpg,sfw,0.4,back,frame
c.jpg,nsfw,0.35,front,still
d.jpg,nsfw,0.8,back,frame
"""


@pytest.fixture
def folder(files: Path, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Enter a folder of what a page names."""
    if page in ON_LINUX_ALONE and not LINUX:
        pytest.skip("Caffe is there on Linux alone")
    folder = tmp_path / "here"
    shutil.copytree(files, folder, symlinks=True, copy_function=os.link)  # nothing is written into a file that is there
    if page in PICTURES:
        PICTURES[page](folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if steps(page, "console")])
def test_commands(page: str, folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
    for step in steps(page, "console"):
        if why_not(page, step) or ("--published" in step.text and not ATLAS):
            continue
        child = subprocess.run(
            ["bash", "-o", "pipefail", "-c", step.text], cwd=folder, env=environment, capture_output=True, text=True
        )
        where = f"{page}:{step.line}: {step.text}\n"
        figures = not step.text.startswith(OTHER_FIGURES.get(page, ()))
        failed = figures and re.search(r"\b[1-9]\d* errors", step.shown or "")
        assert child.returncode == (1 if failed else 0), f"{where}{child.stdout}{child.stderr}"
        wrong = None if step.shown is None else difference(step.shown, child.stdout, figures=figures)
        assert wrong is None, where + wrong


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if steps(page, "python")])
@pytest.mark.usefixtures("folder")
def test_python(page: str) -> None:
    names: dict[str, object] = {}
    exec(f"import nsfw_caffe\n{GIVEN.get(page, '')}", names)
    for step in steps(page, "python"):
        if why_not(page, step):
            continue
        value = run_statement(page, step, names)
        wrong = None if step.shown is None else difference(step.shown, repr(value))
        assert wrong is None, f"{page}:{step.line}: {step.text}\n{wrong}"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_is_understood(page: str) -> None:
    """Commands of the library, those in containers too, have the options that are named."""
    for step in steps(page, "console"):
        for command in re.findall(r"(?<![\w.-])nsfw-caffe(?:\S*) (.*)", step.text.replace("\\\n", " ")):
            arguments = shlex.split(re.split(r" [|>]|  # ", command)[0], comments=True)
            if arguments and arguments[0] in COMMANDS:
                create_parser().parse_args(arguments)


@pytest.mark.parametrize("page", PAGES)
def test_data_is_data(page: str) -> None:
    for block in blocks(page):
        assert block.language in ("console", "python", *DATA), f"{page}:{block.line}"
        if block.language == "json":
            json.loads(block.content)


def test_nothing_is_listed_in_vain() -> None:
    """Each entry is for something that is there, and names tests that are there."""
    texts = {
        page: [step.text for language in ("console", "python") for step in steps(page, language)] for page in PAGES
    }
    texts["any page"] = [text for page in PAGES for text in texts[page]]
    for page, entries in NOT_RUN.items():
        for begins, why in entries.items():
            assert any(text.startswith(begins) for text in texts[page]), (page, begins)
            assert [path for path in re.findall(r"[\w/]+\.(?:py|sh)\b", why) if not (REPOSITORY / path).exists()] == []
    for page, listed in OTHER_FIGURES.items():
        assert [begins for begins in listed if not any(text.startswith(begins) for text in texts[page])] == []
    assert {*GIVEN, *PICTURES, *ON_LINUX_ALONE} <= set(PAGES)


@pytest.mark.parametrize(
    ("shown", "came", "same"),
    [
        ("0.0317...", "0.031702183187007904", True),
        ("0.0317...", "0.032702183187007904", False),
        ("0.031702183187007904\tphoto.jpg", "0.03170216828584671\tphoto.jpg\n", True),
        ("0.0317\tphoto.jpg", "0.0317\tother.jpg\n", False),
        ("a\n...\nz", "a\nb\nc\nz", True),
        ("a   1.0", "a     1.0", True),
        ("2 scored", "3 scored", False),
        ("1,069.6 M", "1,069.7 M", True),
    ],
)
def test_what_is_shown_is_compared(shown: str, came: str, same: bool) -> None:
    assert (difference(shown, came) is None) == same


def test_without_figures_the_text_is_compared() -> None:
    assert difference("20000 sources, 19,600.5 scored", "3 sources, 2 scored", figures=False) is None
    assert difference("20000 sources", "3 errors", figures=False) is not None
