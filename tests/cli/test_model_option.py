"""`--model DIR` and `--class NAME`, in every command that scores or takes two files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nsfw_caffe import Classifier, read_results
from nsfw_caffe.model.folder import write_model_folder
from nsfw_caffe.model.spec import ModelFiles
from tests.cli.running import call
from tests.engines.test_caffe import SMALL, write
from tests.model.folders import CLASSES, of_original
from tests.support import PHOTOS

COFFEE, ROCKET = PHOTOS / "coffee.png", PHOTOS / "rocket.jpg"
ENGINE = ("--engine", "onnxruntime")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Return a small model folder with three classes."""
    text = SMALL.replace("num_output: 2", "num_output: 3")
    return write_model_folder(tmp_path / "mine", text, write(tmp_path, text, outputs=3).caffemodel, CLASSES).path


def test_classify(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    total = 0.0
    for name in CLASSES:
        child = call(capsys, "classify", *ENGINE, "--model", mine, "--class", name, COFFEE)
        score = Classifier(engine="onnxruntime", model=mine, score_class=name).classify(COFFEE)
        assert (child.returncode, child.stdout) == (0, f"{score!r}\t{COFFEE}\n"), child.stderr
        total += score
    assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("classes", "options", "expected"),
    [
        (("sfw", "nsfw"), (), {"sfw", "nsfw"}),
        (("animals", "things"), (), {"animals", "things"}),
        (CLASSES, ("--class", "dogs"), {"not dogs", "dogs"}),
    ],
)
def test_verdicts_have_the_classes_names(
    classes: tuple[str, ...],
    options: tuple[str, ...],
    expected: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = SMALL.replace("num_output: 2", f"num_output: {len(classes)}")
    weights = write(tmp_path, text, outputs=len(classes)).caffemodel
    folder = write_model_folder(tmp_path / "mine", text, weights, classes).path
    found = {}
    for threshold in ("0", "1"):
        command = ("classify", "--json", *ENGINE, "--model", folder, "--threshold", threshold, *options, COFFEE)
        found[threshold] = json.loads(call(capsys, *command).stdout)["verdict"]
    assert set(found.values()) == expected
    assert found["0"] == Classifier(engine="onnxruntime", model=folder, score_class=found["0"]).score_class


def test_the_originals_files(model_files: ModelFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = of_original(tmp_path / "mine", model_files).path
    plain, own = (call(capsys, "classify", *ENGINE, *model, COFFEE, ROCKET) for model in ((), ("--model", folder)))
    assert own.stdout == plain.stdout != ""


def test_scan_and_evaluate(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, results = tmp_path / "labels.csv", tmp_path / "results.csv"
    labels.write_text(f"source,label\n{COFFEE},1\n{ROCKET},0\n")
    model = ("--model", mine, "--class", "dogs")
    child = call(capsys, "scan", *ENGINE, *model, COFFEE, ROCKET, "-o", results)
    assert child.returncode == 0, child.stderr
    classifier = Classifier(engine="onnxruntime", model=mine, score_class="dogs")
    records = list(read_results(results))
    assert [record.score for record in records] == classifier.classify_batch([COFFEE, ROCKET])
    assert {record.model for record in records} == {classifier.model_sha256}
    child = call(capsys, "evaluate", labels, *ENGINE, *model, "--scores", tmp_path / "kept.csv", "--json")
    assert child.returncode == 0, child.stderr
    assert json.loads(child.stdout)["roc"]["auc"] == float(records[0].score > records[1].score)  # type: ignore[operator]
    assert [record.score for record in read_results(tmp_path / "kept.csv")] == [record.score for record in records]
    child = call(capsys, "scan", *ENGINE, "--model", mine, "--class", "cats", COFFEE, "-o", results)
    assert child.returncode == 2
    assert "was made with model=" in child.stderr


def test_export(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = call(capsys, "model", "export", "--model", mine, tmp_path / "own.onnx")
    assert child.returncode == 0, child.stderr
    files = ("--prototxt", mine / "deploy.prototxt", "--caffemodel", mine / "mine.caffemodel")
    assert call(capsys, "model", "export", *files, tmp_path / "same.onnx").returncode == 0
    assert (tmp_path / "own.onnx").read_bytes() == (tmp_path / "same.onnx").read_bytes()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--model", "missing"), 3, "missing: no such folder"),
        (("--model", "mine"), 3, "mine has the classes cats, dogs, red things: say which one the score is of (--class"),
        (("--model", "mine", "--class", "birds"), 3, "there is no class 'birds'; the classes are cats, dogs, red"),
        (("--class", "birds"), 3, "there is no class 'birds'; the classes are sfw, nsfw"),
        (("--model", "damaged", "--class", "dogs"), 3, "mine.caffemodel is not what model.json says"),
        (("--model", "mine", "--prototxt", "a", "--caffemodel", "b"), 2, "--model says all"),
    ],
)
@pytest.mark.parametrize("command", ["classify", "scan", "evaluate"])
def test_what_is_no_model(
    command: str,
    options: tuple[str, ...],
    status: int,
    message: str,
    mine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(mine, tmp_path / "damaged")
    with (tmp_path / "damaged" / "mine.caffemodel").open("ab") as file:
        file.write(b"\0")
    (tmp_path / "labels.csv").write_text(f"source,label\n{COFFEE},1\n{ROCKET},0\n")
    monkeypatch.chdir(tmp_path)
    words = {
        "classify": ("classify", COFFEE),
        "scan": ("scan", COFFEE, "-o", "r.csv"),
        "evaluate": ("evaluate", "labels.csv", "--scores", "kept.csv"),
    }
    child = call(capsys, *words[command], *ENGINE, *options)
    assert (child.returncode, child.stdout) == (status, "")
    assert message in child.stderr
    assert "Traceback" not in child.stderr
    assert not {"r.csv", "kept.csv"} & {path.name for path in tmp_path.iterdir()}


def test_export_of_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = call(capsys, "model", "export", "--model", tmp_path, tmp_path / "own.onnx")
    assert (child.returncode, list(tmp_path.iterdir())) == (3, [])
    assert "it has no model.json" in child.stderr
