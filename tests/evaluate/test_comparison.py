from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import auc_interval, compare, compare_runs
from nsfw_caffe.evaluate.comparison import CELLS, CHANGES, FEW
from nsfw_caffe.evaluate.labelled import Labels, Scores
from tests.evaluate.data import KINDS, area, separated
from tests.evaluate.labelled import of, simulated
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


def test_runs_compared_say_what_the_statistics_say() -> None:
    a, b = simulated(name="a"), dataclasses.replace(simulated(), scores=simulated(seed=2).scores, name="b")
    found = compare_runs(a, b, threshold=0.4, level=0.9)
    expected = compare(a.labels, a.scores, b.scores, 0.4, level=0.9)
    assert repr(found.figures) == repr(expected)
    assert found.auc_interval_b == auc_interval(b.labels, b.scores, level=0.9)
    assert (found.name_a, found.name_b) == ("a", "b")
    assert (found.nsfw, found.sfw) == (int(a.labels.sum()), int((~a.labels).sum()))
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
    assert (found.grid.shape, int(found.grid.sum()), len(found.dots_a)) == ((CELLS, CELLS), FEW + 1, 0)
    assert len(found.changes) == CHANGES


def test_runs_of_one_class_have_verdicts_and_no_area() -> None:
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
