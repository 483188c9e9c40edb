from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, bootstrap, calibration, wilson
from nsfw_caffe.evaluate.curves import average_precision_interval
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.evaluate.reliability import brier_interval, ece_interval
from tests.evaluate.data import KINDS
from tests.evaluate.labelled import simulated

QUICK = Options(resamples=100, seed=3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bins", [1, 4, 15])
def test_bins_are_scikit_learns_and_the_errors_those_of_loops(kind: str, bins: int) -> None:
    labels, scores = KINDS[kind]
    found = calibration(Samples(labels, scores), bins=bins)
    fraction, mean = calibration_curve(labels, scores, n_bins=bins)
    filled = found.counts > 0
    assert found.fraction_nsfw[filled] == pytest.approx(fraction, abs=1e-12)
    assert found.mean_score[filled] == pytest.approx(mean, abs=1e-12)
    assert found.counts.sum() == len(labels)
    assert found.nsfw_counts.sum() == labels.sum()

    error = 0.0
    for index, (low, high) in enumerate(zip(found.edges[:-1], found.edges[1:], strict=True)):
        inside = [
            (float(label), float(score))
            for label, score in zip(labels, scores, strict=True)
            if (index == 0 or score > low) and (index == len(found.counts) - 1 or score <= high)
        ]
        assert len(inside) == found.counts[index]
        assert found.intervals[index] == wilson(int(found.nsfw_counts[index]), len(inside))
        if inside:
            gap = sum(score for _, score in inside) / len(inside) - sum(label for label, _ in inside) / len(inside)
            error += len(inside) / len(labels) * abs(gap)
        else:
            assert math.isnan(found.mean_score[index])
            assert math.isnan(found.fraction_nsfw[index])
    assert found.ece == pytest.approx(error, abs=1e-12)
    squares = [(float(label) - score) ** 2 for label, score in zip(labels, scores, strict=True)]
    assert found.brier == pytest.approx(sum(squares) / len(squares), abs=1e-12)


def test_one_class_works() -> None:
    found = calibration([0, 0], [0.0, 0.5], bins=2)
    assert found.brier == 0.125
    assert found.ece == 0.25
    assert found.counts.tolist() == [2, 0]
    assert calibration([1], [1.0]).brier == 0


def test_the_levels_are_the_intervals() -> None:
    found = calibration(*KINDS["random"], bins=3, level=0.5)
    assert [interval.level for interval in found.intervals] == [0.5] * 3


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(EvaluationError, match="bins=0: expected 1 or more"):
        calibration([0, 1], [0.1, 0.2], bins=0)


def test_calibrated_scores_have_a_small_error() -> None:
    rng = np.random.default_rng(2)
    scores = rng.random(100_000)
    assert calibration(rng.random(100_000) < scores, scores).ece < 0.01
    assert calibration(rng.random(100_000) < scores**2, scores).ece > 0.1


@pytest.mark.parametrize("decimals", [15, 1])
def test_the_same_as_with_scikit_learns_measures(decimals: int) -> None:
    data = simulated(300)
    samples = Samples(data.labels, data.scores.round(decimals))
    for statistic, interval in (
        (average_precision_score, average_precision_interval),
        (brier_score_loss, brier_interval),
    ):
        theirs = bootstrap(samples, statistic=statistic, resamples=100, seed=3, stratified=False)
        ours = interval(samples, QUICK)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
        assert (ours.level, ours.method) == (0.95, "bootstrap")


def test_the_calibration_errors_interval_written_out() -> None:
    data = simulated(300)
    samples = Samples(data.labels, data.scores)
    found = calibration(samples, bins=5)

    def ece(labels: Any, scores: Any, *, sample_weight: Any) -> float:
        gaps = sample_weight * (scores - labels)
        sums = [gaps[(scores > start / 5) & (scores <= (start + 1) / 5)].sum() for start in range(5)]
        return float(np.abs(sums).sum() / sample_weight.sum())

    drawn = bootstrap(samples, statistic=ece, resamples=100, seed=3, stratified=False)
    interval = ece_interval(samples, found, Options(resamples=100, seed=3, bins=5))
    expected = (2 * found.ece - drawn.high, 2 * found.ece - drawn.low)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)
    assert interval.low > 0
    assert interval.method == "basic bootstrap"


def perfect(rng: np.random.Generator, samples: int) -> Samples:
    scores = rng.beta(0.7, 0.9, samples)
    return Samples(rng.random(samples) < scores, scores)


def test_perfect_scores_may_be_perfect() -> None:
    # The true error is 0, and at a level of 95 % about 95 of 100 intervals begin there: 88 or fewer are 3 sigma off.
    rng = np.random.default_rng(0)
    samples = [perfect(rng, 1000) for _ in range(100)]
    lows = [ece_interval(each, calibration(each), QUICK).low for each in samples]
    assert 88 < sum(low == 0 for low in lows) < 100


def test_the_intervals_hold_the_truth() -> None:
    large = perfect(np.random.default_rng(1), 1_000_000)
    truth = average_precision_score(large.labels, large.scores), brier_score_loss(large.labels, large.scores)
    held = np.zeros(2)
    rng = np.random.default_rng(2)
    for seed in range(150):
        samples = perfect(rng, 1000)
        options = Options(resamples=150, seed=seed)
        intervals = average_precision_interval(samples, options), brier_interval(samples, options)
        held += [interval.low <= true <= interval.high for interval, true in zip(intervals, truth, strict=True)]
    assert np.all((held / 150 > 0.89) & (held / 150 < 0.99))
