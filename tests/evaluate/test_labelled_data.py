"""From labelled folders and tables to an evaluation in one call."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe import Classifier, read_results
from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Options, evaluate_folders, evaluate_table
from tests.support import PHOTOS

OPTIONS = Options(resamples=20)
NAMES = {"nsfw": ("rocket.jpg", "coffee.png"), "sfw": ("moon.png", "camera.png", "horse.png")}


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    for label, names in NAMES.items():
        (tmp_path / label).mkdir()
        for name in names:
            shutil.copy(PHOTOS / name, tmp_path / label)
    return {label: tmp_path / label for label in NAMES}


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what the classifier is given to score."""
    seen: list[object] = []
    scan: Callable[..., Any] = Classifier.scan

    def spied(self: Classifier, sources: Any, *, workers: int | None = None, every: float | None = None) -> Any:
        def noted() -> Any:
            for source in sources:
                seen.append(source)
                yield source

        return scan(self, noted(), workers=workers, every=every)

    monkeypatch.setattr(Classifier, "scan", spied)
    return seen


def test_folders_are_scored_once(
    folders: dict[str, Path],
    portable: Classifier,
    scored: list[object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    totals: list[int | None] = []
    evaluation = evaluate_folders(
        folders["nsfw"],
        folders["sfw"],
        options=OPTIONS,
        by=["format"],
        classifier=lambda: portable,
        progress=lambda _, total: totals.append(total),
    )
    assert (evaluation.nsfw, evaluation.sfw, evaluation.options) == (2, 3, OPTIONS)
    assert evaluation.name == f"{folders['nsfw']}, {folders['sfw']}"
    assert len(totals) == 5
    assert totals[-1] == 5
    assert len(scored) == 5
    (kept,) = (tmp_path / "cache/nsfw_caffe/evaluate").glob("*.sqlite")
    scores = {record.source: record.score for record in read_results(kept)}
    for label, names in NAMES.items():
        for name in names:
            assert scores[str(folders[label] / name)] == portable.classify(folders[label] / name)
    again = evaluate_folders([folders["nsfw"]], [folders["sfw"]], options=OPTIONS, classifier=portable)
    assert len(scored) == 5
    assert again.roc.auc == evaluation.roc.auc


def test_a_table_of_sources_is_scored_and_its_scores_kept_where_asked(
    folders: dict[str, Path], portable: Classifier, scored: list[object], tmp_path: Path
) -> None:
    table, kept = tmp_path / "labels.csv", tmp_path / "kept.jsonl"
    rows = [f"{folders[label] / name},{label}" for label, names in NAMES.items() for name in names]
    table.write_text("\n".join(["source,label", *rows]) + "\n")
    first = evaluate_table(table, options=OPTIONS, classifier=portable, scores=kept)
    assert len(scored) == 5
    assert evaluate_table(table, options=OPTIONS, classifier=portable, scores=kept).roc.auc == first.roc.auc
    assert evaluate_table(table, options=OPTIONS, results=kept).roc.auc == first.roc.auc
    assert len(scored) == 5


def test_a_table_with_scores_needs_no_classifier(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("label,score\nnsfw,0.9\nnsfw,0.3\nsfw,0.4\nsfw,0.1\n")
    evaluation = evaluate_table(table, options=OPTIONS, classifier=lambda: pytest.fail("a model was loaded"))
    assert (evaluation.roc.auc, evaluation.nsfw, evaluation.sfw) == (0.75, 2, 2)


def test_a_folder_that_is_not_there_or_empty_is_refused(
    folders: dict[str, Path], portable: Classifier, tmp_path: Path
) -> None:
    with pytest.raises(EvaluationError, match="missing: no such folder"):
        evaluate_folders(folders["nsfw"], tmp_path / "missing", classifier=lambda: pytest.fail("a model was loaded"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationError, match="empty: there is nothing to score"):
        evaluate_folders(folders["nsfw"], tmp_path / "empty", classifier=portable, scores=tmp_path / "s.csv")
