from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import nsfw_caffe
from nsfw_caffe.model.spec import ModelFiles
from tests.support import PHOTOS, REPOSITORY, run
from tests.training.pictures import draw

SCRIPT = REPOSITORY / "examples" / "classify_nsfw.py"
PHOTO = PHOTOS / "coffee.png"


@pytest.mark.parametrize("with_files", [True, False])
def test_classify_nsfw(classifier: nsfw_caffe.Classifier, model_files: ModelFiles, with_files: bool) -> None:
    files = ["--model_def", model_files.prototxt, "--pretrained_model", model_files.caffemodel]
    child = run(SCRIPT, *map(str, files if with_files else []), PHOTO)
    assert child.stdout == f"NSFW score:   {classifier.classify(PHOTO)!r}\n"
    assert (child.returncode, child.stderr) == (0, "")


def test_classify_nsfw_says_what_is_wrong() -> None:
    child = run(SCRIPT, "/missing.jpg")
    assert child.returncode == 1
    assert child.stderr == "classify_nsfw.py: /missing.jpg: cannot be read (No such file or directory)\n"


def test_batch(classifier: nsfw_caffe.Classifier) -> None:
    child = run(REPOSITORY / "examples" / "batch.py", PHOTO)
    assert child.stdout == f"{classifier.classify(PHOTO):.6f}  {PHOTO}\n"


def test_batch_goes_on_after_a_bad_picture(classifier: nsfw_caffe.Classifier) -> None:
    child = run(REPOSITORY / "examples" / "batch.py", "/missing.jpg", PHOTO)
    stopped, failed, scored = child.stdout.splitlines()
    assert stopped.startswith("classify_batch stopped: source 0: /missing.jpg: ")
    assert failed.startswith("failed    /missing.jpg: ")
    assert scored == f"{classifier.classify(PHOTO):.6f}  {PHOTO}"


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
def test_train_on_stamps(tmp_path: Path, model_files: ModelFiles) -> None:  # noqa: ARG001 - fetched first
    """A package with as little in it as can be trained on."""
    control = tmp_path / "tree" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: stamps\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.com>\nDescription: x\n"
    )
    stamps = tmp_path / "tree" / "usr" / "share" / "tuxpaint" / "stamps"
    for number in range(10):
        draw(stamps / "animals" / "birds" / f"{number}.png", 0, number)
        draw(stamps / ("food", "town")[number % 2] / f"{number}.png", 2, number)
    (stamps / "animals" / "birds" / "0.ogg").write_bytes(b"a sound")
    subprocess.run(["dpkg-deb", "--build", tmp_path / "tree", tmp_path / "stamps.deb"], check=True, capture_output=True)
    script = REPOSITORY / "examples" / "train_on_stamps.py"
    child = run(script, tmp_path / "work", "--package", tmp_path / "stamps.deb", "--iterations", "300")
    title, _, before, last, majority = child.stdout.splitlines()
    assert title.endswith("stand-ins for labels: trained on 12, measured on 8 held out"), child.stderr
    assert re.match(r"before  \d\.\d{3} \(", before)
    assert last.startswith("last    1.000 (")
    assert "  1.000 (" in last
    assert majority == "always answering with the largest class is right in 0.500"
    assert (tmp_path / "work" / "last" / "model.json").exists()


@pytest.mark.slow
def test_tour(classifier: nsfw_caffe.Classifier) -> None:
    """The notebook runs from its first cell to its last, and shows what it says; with a quarter of its pictures."""
    notebook = nbformat.reads((REPOSITORY / "examples" / "tour.ipynb").read_text(), as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells)
    (making,) = (cell for cell in notebook.cells if '"--count", "60"' in cell.source)
    making.source = making.source.replace('"60"', '"15"')
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(REPOSITORY / "examples")}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output.get("text") or output["data"]["text/plain"] for output in outputs]
    assert texts[0] == repr(classifier.classify(PHOTOS / "astronaut.png"))
    assert texts[1].startswith("Classifier(engine='caffe', ")
    assert "30 sources, 30 scored, 0 errors\n30 sources, 30 scored, 0 errors, 30 of them known before\n" in texts
    assert any(text.startswith("area under the ROC curve: 0.") for text in texts)
    assert "image/png" in outputs[-1]["data"]
