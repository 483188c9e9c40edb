from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import auc_interval, compare
from nsfw_caffe.evaluate.comparing import CELLS, CHANGES, FEW, compare_runs
from tests.evaluate.labelled import of, simulated


def test_it_says_what_the_statistics_say() -> None:
    a, b = simulated(name="a"), dataclasses.replace(simulated(), scores=simulated(seed=2).scores, name="b")
    found = compare_runs(a, b, threshold=0.4, level=0.9)
    expected = compare(a.labels, a.scores, b.scores, 0.4, level=0.9)
    assert repr(found.figures) == repr(expected)
    assert found.auc_interval_b == auc_interval(b.labels, b.scores, level=0.9)
    assert (found.name_a, found.name_b, found.nsfw, found.sfw) == ("a", "b", a.labels.sum(), (~a.labels).sum())
    assert found.grid.sum() == len(found.dots_a) == 400


def test_the_changes_with_the_largest_difference_first() -> None:
    names = ["w.jpg", "x.jpg", "y.jpg", "z.jpg"]
    a, b = of("nsns", [0.4, 0.6, 0.9, 0.45], sources=names), of("nsns", [0.7, 0.1, 0.8, 0.55])
    changes = compare_runs(a, b).changes
    assert [(change.source, change.nsfw) for change in changes] == [("x.jpg", False), ("w.jpg", True), ("z.jpg", False)]
    assert (changes[0].index, changes[0].score_a, changes[0].score_b) == (1, 0.6, 0.1)
    assert compare_runs(b, dataclasses.replace(a, sources=None)).changes[0].source is None


def test_of_many_samples_little_is_kept() -> None:
    a = simulated(FEW + 1)
    found = compare_runs(a, dataclasses.replace(a, scores=1 - a.scores))
    assert (found.grid.shape, found.grid.sum(), len(found.dots_a)) == ((CELLS, CELLS), FEW + 1, 0)
    assert len(found.changes) == CHANGES


def test_one_class_has_verdicts_and_no_area() -> None:
    found = compare_runs(of("nnn", [0.2, 0.5, 0.9]), of("nnn", [0.6, 0.5, 0.9]))
    assert (found.auc_interval_a, found.figures.auc_a, found.sfw, len(found.changes)) == (None, None, 0, 1)


def test_other_samples_are_refused() -> None:
    a = of("ns", [0.2, 0.5], sources=["x", "y"])
    with pytest.raises(EvaluationError, match="2 samples and 3: compare scores of the same sources"):
        compare_runs(a, of("nss", [0.2, 0.5, 0.1]))
    with pytest.raises(EvaluationError, match="sample 0 is x in the one and y in the other: bring both into the same"):
        compare_runs(a, dataclasses.replace(a, sources=["y", "x"]))
    with pytest.raises(EvaluationError, match="y has two labels"):
        compare_runs(a, dataclasses.replace(a, labels=np.array([True, True])))
