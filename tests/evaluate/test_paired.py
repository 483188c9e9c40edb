from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import auc_interval, compare
from nsfw_caffe.evaluate.labelled import Labels, Scores
from tests.evaluate.data import KINDS, area, separated
from tests.evaluate.test_delong import components, covariance


def pair(nsfw: int, sfw: int, digits: int | None = None) -> tuple[Labels, Scores, Scores]:
    """Return labels and two sets of scores that are alike but not the same."""
    labels, a = separated(nsfw, sfw, seed=1)
    b = (a + np.random.default_rng(2).normal(0, 0.15, len(a))).clip(0, 1)
    return (labels, a, b) if digits is None else (labels, a.round(digits), b.round(digits))


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_difference_is_delongs_with_its_covariance(digits: int | None, level: float) -> None:
    labels, a, b = pair(35, 50, digits)
    (v10_a, v01_a), (v10_b, v01_b) = components(labels, a), components(labels, b)
    variances = [covariance(v10, v10) / 35 + covariance(v01, v01) / 50 for v10, v01 in ((v10_a, v01_a), (v10_b, v01_b))]
    both = covariance(v10_a, v10_b) / 35 + covariance(v01_a, v01_b) / 50
    deviation = math.sqrt(variances[0] + variances[1] - 2 * both)

    found = compare(labels, a, b, 0.5, level=level)
    assert found.auc_a == pytest.approx(area(labels, a), abs=1e-12)
    assert found.auc_b == pytest.approx(area(labels, b), abs=1e-12)
    difference = area(labels, b) - area(labels, a)
    assert found.difference == pytest.approx(difference, abs=1e-12)
    assert found.difference_interval is not None
    half = float(norm.ppf((1 + level) / 2)) * deviation
    ends = (found.difference_interval.low, found.difference_interval.high)
    assert ends == pytest.approx((difference - half, difference + half), abs=1e-12)
    assert (found.difference_interval.level, found.difference_interval.method) == (level, "DeLong, paired")
    assert found.p_value == pytest.approx(2 * norm.sf(abs(difference) / deviation), abs=1e-12)


def test_verdicts_are_counted_one_by_one() -> None:
    labels, a, b = pair(60, 80)
    found = compare(labels, a, b, 0.4)
    became_nsfw = [i for i in range(140) if a[i] < 0.4 <= b[i]]
    became_sfw = [i for i in range(140) if b[i] < 0.4 <= a[i]]
    assert became_nsfw
    assert became_sfw
    assert (found.became_nsfw.tolist(), found.became_sfw.tolist()) == (became_nsfw, became_sfw)
    corrected = sum(bool(labels[i]) for i in became_nsfw) + sum(not labels[i] for i in became_sfw)
    spoiled = len(became_nsfw) + len(became_sfw) - corrected
    assert (found.corrected, found.spoiled, found.threshold) == (corrected, spoiled, 0.4)
    assert found.mcnemar_p_value == pytest.approx(binomtest(corrected, corrected + spoiled).pvalue, abs=1e-12)
    apart = [abs(x - y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert found.max_difference == max(apart)
    assert found.mean_difference == pytest.approx(sum(apart) / 140, abs=1e-12)
    assert found.correlation == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)


def test_mcnemars_test_is_the_binomial_one() -> None:
    for corrected, spoiled in itertools.product([0, 1, 3, 20], repeat=2):
        labels = np.ones(corrected + spoiled + 1, bool)
        a = np.repeat([0.1, 0.9, 0.9], [corrected, spoiled, 1])
        b = np.repeat([0.9, 0.1, 0.9], [corrected, spoiled, 1])
        found = compare(labels, a, b, 0.5)
        expected = binomtest(corrected, corrected + spoiled).pvalue if corrected + spoiled else 1.0
        assert (found.corrected, found.spoiled) == (corrected, spoiled)
        assert found.mcnemar_p_value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_scores_do_not_differ(kind: str) -> None:
    labels, scores = KINDS[kind]
    found = compare(labels, scores, scores.copy(), 0.5)
    assert (found.difference, found.p_value, found.mcnemar_p_value) == (0, 1, 1)
    assert found.difference_interval is not None
    assert (found.difference_interval.low, found.difference_interval.high) == (0, 0)
    assert (len(found.became_nsfw), len(found.became_sfw), found.max_difference) == (0, 0, 0)
    if len(set(scores.tolist())) == 1:
        assert math.isnan(found.correlation)
    else:
        assert found.correlation == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "a", "b"),
    [
        ([1, 1, 0, 0], [0.9, 0.8, 0.1, 0.2], [1.0, 0.7, 0.0, 0.1]),
        ([1, 0, 0], [0.9, 0.95, 0.1], [0.9, 0.2, 0.1]),
        ([1, 0], [0.1, 0.9], [0.9, 0.1]),
    ],
)
def test_without_a_variance_the_difference_has_a_width(labels: list[int], a: list[float], b: list[float]) -> None:
    found = compare(labels, a, b, 0.5)
    assert found.p_value is None
    assert found.difference_interval is not None
    assert found.difference_interval.method == "Newcombe"
    assert found.difference is not None
    assert found.auc_a is not None
    assert found.auc_b is not None
    low, high = (auc_interval(labels, scores) for scores in (a, b))
    down = math.sqrt((found.auc_b - high.low) ** 2 + (low.high - found.auc_a) ** 2)
    up = math.sqrt((high.high - found.auc_b) ** 2 + (found.auc_a - low.low) ** 2)
    ends = (max(found.difference - down, -1), min(found.difference + up, 1))
    assert (found.difference_interval.low, found.difference_interval.high) == pytest.approx(ends, abs=1e-12)
    assert found.difference_interval.high - found.difference_interval.low > 0.3


def test_one_class_leaves_the_areas_out() -> None:
    found = compare([0, 0, 0], [0.1, 0.2, 0.9], [0.1, 0.8, 0.2], 0.5)
    assert (found.auc_a, found.auc_b, found.difference, found.difference_interval, found.p_value) == (None,) * 5
    assert (found.corrected, found.spoiled, found.mcnemar_p_value) == (1, 1, 1)


def test_swapping_the_two_swaps_the_signs() -> None:
    labels, a, b = pair(30, 30)
    there, back = compare(labels, a, b, 0.5), compare(labels, b, a, 0.5)
    assert there.difference == -(back.difference or math.nan)
    assert (there.corrected, there.spoiled) == (back.spoiled, back.corrected)
    assert there.p_value == pytest.approx(back.p_value, abs=1e-12)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(EvaluationError, match="2 labels and 3 scores"):
        compare([0, 1], [0.1, 0.2], [0.1, 0.2, 0.3], 0.5)
    with pytest.raises(EvaluationError, match="threshold=nan"):
        compare([0, 1], [0.1, 0.2], [0.1, 0.2], math.nan)
