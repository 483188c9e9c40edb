from __future__ import annotations

import math

import pytest
from sklearn import metrics

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Confusion, Samples, clopper_pearson, confusion, fnr_at_fpr, fpr_at_fnr, wilson
from nsfw_caffe.evaluate.error_rates import allowed
from tests.evaluate.data import KINDS, count, rates, thresholds


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
    assert all(math.isnan(rate) for rate in (counts.fnr, counts.recall, counts.precision))
    assert (counts.interval("precision").low, counts.interval("precision").high) == (0, 1)


def test_a_threshold_that_is_none_is_refused() -> None:
    with pytest.raises(EvaluationError, match="threshold=nan: expected a number"):
        confusion([0, 1], [0.1, 0.2], threshold=math.nan)


BOUNDS = [0.0, 0.01, 0.05, 0.1, 1 / 3, 0.5, 0.9, 1.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bound", BOUNDS)
def test_no_threshold_does_better(kind: str, bound: float) -> None:
    labels, scores = KINDS[kind]
    every = list(rates(labels, scores))

    best = fpr_at_fnr(labels, scores, fnr=bound)
    assert best.fnr <= bound
    assert best.fpr == min(fpr for _, fpr, fnr in every if fnr <= bound)
    assert best.threshold == max(threshold for threshold, _, fnr in every if fnr <= bound)

    best = fnr_at_fpr(labels, scores, fpr=bound)
    assert best.fpr <= bound
    assert best.fnr == min(fnr for _, fpr, fnr in every if fpr <= bound)
    assert best.threshold == min(threshold for threshold, fpr, _ in every if fpr <= bound)


def test_the_bounded_rate_has_the_interval_that_allows_for_the_choice() -> None:
    labels, scores = KINDS["random"]
    best = fpr_at_fnr(labels, scores, fnr=0.1, level=0.9)
    counts = confusion(labels, scores, threshold=best.threshold)
    assert (best.fpr, best.fnr) == (counts.fpr, counts.fnr)
    assert best.fnr_interval == clopper_pearson(counts.false_negatives, counts.nsfw, level=0.9)
    assert best.fpr_interval == wilson(counts.false_positives, counts.sfw, level=0.9)
    best = fnr_at_fpr(labels, scores, fpr=0.1, level=0.9)
    counts = confusion(labels, scores, threshold=best.threshold)
    assert best.fpr_interval == clopper_pearson(counts.false_positives, counts.sfw, level=0.9)
    assert best.fnr_interval == wilson(counts.false_negatives, counts.nsfw, level=0.9)


def test_no_rounding_costs_a_sample() -> None:
    for total in range(1, 400):
        for part in range(total + 1):
            assert allowed(part / total, total) == part
            if part:
                assert allowed(part / total - 1e-9, total) == part - 1


def test_bad_arguments_are_refused() -> None:
    for function, bounds in ((fpr_at_fnr, {"fnr": 1.5}), (fnr_at_fpr, {"fpr": float("nan")})):
        with pytest.raises(EvaluationError, match="expected a share from 0 to 1"):
            function([0, 1], [0.1, 0.2], **bounds)
        with pytest.raises(EvaluationError, match=r"there are only nsfw samples: .*; add labelled sfw pictures"):
            function([1, 1], [0.1, 0.2], **dict.fromkeys(bounds, 0.5))
