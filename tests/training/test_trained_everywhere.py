"""A folder that was trained, in each engine and each command: one score for a picture, wherever it comes from."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import nsfw_caffe
from nsfw_caffe import Classifier, read_results
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import EngineName, ScoringOptions
from nsfw_caffe.training import TrainingOptions, TrainingResult, result, run
from tests.cli.running import call
from tests.training.pictures import draw

ENGINE: EngineName = "onnxruntime"
APART = 5e-6
"""What the engines promise."""


@dataclass(frozen=True)
class Trained:
    """A training on pictures of which some are labelled as what they are not, so that its figures are not all 1."""

    folder: Path
    data: Path
    result: TrainingResult
    scores: npt.NDArray[np.float64]  # of the pictures held out, as they were measured

    @property
    def pictures(self) -> list[str]:
        return sorted(str(path) for path in self.data.rglob("*.png"))

    @property
    def held_out(self) -> list[dict[str, str]]:
        with (self.folder / "held_out.csv").open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Trained:  # noqa: ARG001 - fetched
    place = tmp_path_factory.mktemp("trained")
    for number in range(12):
        draw(place / "data" / "things" / f"{number:02}.png", 2, number)
        draw(place / "data" / "animals" / f"{number:02}.png", 2 if number % 3 == 0 else 0, 100 + number)
    measured: dict[str, Any] = {}

    def measure(asked: Any, dataset: Any, found: Any, **others: Any) -> TrainingResult:
        measured["found"] = found
        return kept(asked, dataset, found, **others)

    kept = result.measure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "measure", measure)
        options = TrainingOptions(iterations=100, decay=0.01, holdout=0.5)
        trained = run.train(place / "data", place / "mine", options=options, scoring=ScoringOptions(engine=ENGINE))
    return Trained(place / "mine", place / "data", trained, measured["found"].last[:, 1])


def test_the_figures_tell_something(trained: Trained) -> None:
    assert 0.5 < trained.result.after.roc.auc < 1
    assert trained.result.score_class == "things"


@pytest.mark.parametrize("engine", ["caffe", "openvino"])
def test_each_engine_gives_the_same_scores(trained: Trained, engine: EngineName) -> None:
    scores = {}
    for name in (ENGINE, engine):
        with Classifier(model=trained.folder, engine=name) as classifier:
            scores[name] = np.array(classifier.classify_batch(trained.pictures))
    assert np.ptp(scores[engine]) > 0.5
    assert np.abs(scores[engine] - scores[ENGINE]).max() < APART


def test_the_commands_give_the_scores_of_the_classifier(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Classifier(model=trained.folder, engine=ENGINE) as classifier:
        expected = dict(zip(trained.pictures, classifier.classify_batch(trained.pictures), strict=True))
    model = ("--model", trained.folder, "--engine", ENGINE)
    lines = call(capsys, "classify", *model, *trained.pictures).stdout.splitlines()
    assert lines == [f"{score!r}\t{source}" for source, score in expected.items()]
    child = call(capsys, "scan", *model, trained.data, "-o", tmp_path / "own.csv")
    assert child.returncode == 0, child.stderr
    assert {record.source: record.score for record in read_results(tmp_path / "own.csv")} == expected


def test_what_was_held_out_gives_the_figures_of_the_training(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, kept = trained.folder / "held_out.csv", tmp_path / "kept.csv"
    child = call(
        capsys, "evaluate", table, "--model", trained.folder, "--engine", ENGINE, "--scores", kept, "--thresholds",
        "0.5", "--json",
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    found, after = json.loads(child.stdout), trained.result.after
    assert found["roc"]["auc"] == after.roc.auc
    assert (found["nsfw"], found["sfw"]) == (after.nsfw, after.sfw)
    assert [found["confusions"][0][name]["value"] for name in ("accuracy", "fpr", "fnr")] == [
        getattr(after.confusions[0], name) for name in ("accuracy", "fpr", "fnr")
    ]
    scores = {record.source: record.score for record in read_results(kept)}
    rows = trained.held_out
    assert {row["class"]: row["label"] for row in rows} == {"animals": "0", "things": "1"}
    assert {name: sum(row["class"] == name for row in rows) for name in trained.result.classes} == dict(
        trained.result.held_out
    )
    scored = np.array([scores[row["source"]] for row in rows], float)
    assert np.abs(scored - trained.scores).max() < 1e-6


def test_compare_gives_the_gain_of_the_training(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, model in (("before", ()), ("after", ("--model", trained.folder))):
        child = call(capsys, "scan", trained.data, *model, "--engine", ENGINE, "-o", tmp_path / f"{name}.csv")
        assert child.returncode == 0, child.stderr
    labels = ("--labels", trained.folder / "held_out.csv")
    child = call(capsys, "compare", tmp_path / "before.csv", tmp_path / "after.csv", *labels, "--json")
    assert child.returncode == 0, child.stderr
    figures, gained = json.loads(child.stdout)["figures"], trained.result.comparison
    assert gained is not None
    for name in ("auc_a", "auc_b", "difference", "corrected", "spoiled"):
        assert figures[name] == pytest.approx(getattr(gained, name)), name
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    child = call(capsys, "compare", tmp_path / "before.csv", trained.folder, *labels, "--engine", ENGINE, "--json")
    assert child.returncode == 0, child.stderr
    compared = json.loads(child.stdout)
    assert (compared["figures"], compared["name_b"]) == (figures, str(trained.folder))


@pytest.mark.usefixtures("model_files")
def test_names_that_are_no_text_are_found_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for number in range(10):
        draw(data / "sfw" / f"{number}.png", 2, number)
        path = draw(data / "nsfw" / f"{number}.png", 0, number)
        path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xe9, %d.png" % number))
    options = TrainingOptions(iterations=20, decay=0.01)
    run.train(data, tmp_path / "own", options=options, scoring=ScoringOptions(engine=ENGINE))
    found = nsfw_caffe.evaluate.evaluate_table(
        tmp_path / "own" / "held_out.csv",
        classifier=Classifier(model=tmp_path / "own", engine=ENGINE),
        scores=tmp_path / "kept.sqlite",
    )
    assert (found.nsfw, found.sfw, found.failures) == (2, 2, ())
