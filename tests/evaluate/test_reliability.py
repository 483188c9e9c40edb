from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, calibration, wilson
from tests.evaluate.data import KINDS, separated


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("bins", [1, 4, 15])
def test_bins_are_scikit_learns_and_the_errors_those_of_loops(kind: str, strategy: str, bins: int) -> None:
    labels, scores = KINDS[kind]
    found = calibration(Samples(labels, scores), bins=bins, strategy=strategy)
    if kind not in ("one score", "two, equal") or strategy == "uniform":  # else all its quantile bins are empty
        fraction, mean = calibration_curve(labels, scores, n_bins=bins, strategy=strategy)
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


def test_quantile_bins_hold_as_many_samples_each() -> None:
    found = calibration(*separated(300, 300), bins=6, strategy="quantile")
    assert found.counts.tolist() == [100] * 6
    assert len(found.edges) == 7


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
    with pytest.raises(EvaluationError, match='strategy=\'even\': expected "uniform" or "quantile"'):
        calibration([0, 1], [0.1, 0.2], strategy="even")


def test_calibrated_scores_have_a_small_error() -> None:
    rng = np.random.default_rng(2)
    scores = rng.random(100_000)
    assert calibration(rng.random(100_000) < scores, scores).ece < 0.01
    assert calibration(rng.random(100_000) < scores**2, scores).ece > 0.1
