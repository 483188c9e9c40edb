from __future__ import annotations

import pytest

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import clopper_pearson, confusion, fnr_at_fpr, fpr_at_fnr, wilson
from nsfw_caffe.evaluate.error_rates import allowed
from tests.evaluate.data import KINDS, rates

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
        for count in range(total + 1):
            assert allowed(count / total, total) == count
            if count:
                assert allowed(count / total - 1e-9, total) == count - 1


def test_bad_arguments_are_refused() -> None:
    for function, bounds in ((fpr_at_fnr, {"fnr": 1.5}), (fnr_at_fpr, {"fpr": float("nan")})):
        with pytest.raises(EvaluationError, match="expected a share from 0 to 1"):
            function([0, 1], [0.1, 0.2], **bounds)
        with pytest.raises(EvaluationError, match=r"there are only nsfw samples: .*; add labelled sfw pictures"):
            function([1, 1], [0.1, 0.2], **dict.fromkeys(bounds, 0.5))
