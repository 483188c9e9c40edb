from __future__ import annotations

import math

import pytest
from sklearn import metrics

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Confusion, Samples, confusion, wilson
from tests.evaluate.data import KINDS, count, thresholds


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_one_sample_after_the_other(kind: str) -> None:
    labels, scores = KINDS[kind]
    samples = Samples(labels, scores)
    for threshold in [-1.0, 0.0, 0.123, 1.0, *thresholds(scores)]:
        counts = confusion(samples, threshold=threshold)
        assert counts == confusion(labels, scores, threshold=threshold)
        assert counts == Confusion(*count(labels, scores, threshold))
        theirs = metrics.confusion_matrix(labels, scores >= threshold, labels=[False, True]).ravel().tolist()
        assert [
            counts.true_negatives,
            counts.false_positives,
            counts.false_negatives,
            counts.true_positives,
        ] == theirs


def test_rates_and_their_intervals() -> None:
    counts = Confusion(true_positives=30, false_positives=5, true_negatives=45, false_negatives=20)
    assert (counts.nsfw, counts.sfw) == (50, 50)
    assert (counts.fpr, counts.fnr, counts.recall) == (0.1, 0.4, 0.6)
    assert (counts.precision, counts.accuracy) == (30 / 35, 0.75)
    assert counts.f1 == pytest.approx(2 / (35 / 30 + 50 / 30), abs=1e-12)
    for rate, part, whole in (
        ("fpr", 5, 50),
        ("fnr", 20, 50),
        ("recall", 30, 50),
        ("precision", 30, 35),
        ("accuracy", 75, 100),
    ):
        assert counts.interval(rate) == wilson(part, whole)
        assert counts.interval(rate, level=0.5) == wilson(part, whole, level=0.5)
    with pytest.raises(EvaluationError, match="rate='tpr': expected one of fpr, fnr, recall, precision, accuracy"):
        counts.share("tpr")


def test_one_class_leaves_the_others_rates_undefined() -> None:
    counts = confusion([0, 0, 0], [0.1, 0.2, 0.9], threshold=0.95)
    assert counts == Confusion(0, 0, 3, 0)
    assert (counts.fpr, counts.accuracy) == (0, 1)
    assert all(math.isnan(rate) for rate in (counts.fnr, counts.recall, counts.precision, counts.f1))
    assert (counts.interval("precision").low, counts.interval("precision").high) == (0, 1)


def test_a_threshold_that_is_none_is_refused() -> None:
    with pytest.raises(EvaluationError, match="threshold=nan: expected a number"):
        confusion([0, 1], [0.1, 0.2], threshold=math.nan)
