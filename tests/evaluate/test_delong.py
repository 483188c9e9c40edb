from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, auc_interval
from nsfw_caffe.evaluate.delong import delong_variance, placements
from nsfw_caffe.evaluate.labelled import Labels, Scores
from tests.evaluate.data import KINDS, area, separated

SMOOTH = ["random", "many ties", "few nsfw"]


def components(labels: Labels, scores: Scores) -> tuple[list[float], list[float]]:
    """Return the structural components V10 and V01 of DeLong, DeLong and Clarke-Pearson (1988), pair by pair."""
    nsfw, sfw = scores[labels].tolist(), scores[~labels].tolist()

    def kernel(x: float, y: float) -> float:
        return 1.0 if y < x else 0.5 if y == x else 0.0

    return [sum(kernel(x, y) for y in sfw) / len(sfw) for x in nsfw], [
        sum(kernel(x, y) for x in nsfw) / len(nsfw) for y in sfw
    ]


def covariance(first: list[float], second: list[float]) -> float:
    """Return the covariance with n - 1, term by term."""
    mean_first, mean_second = sum(first) / len(first), sum(second) / len(second)
    return sum((a - mean_first) * (b - mean_second) for a, b in zip(first, second, strict=True)) / (len(first) - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_placements_are_those_of_all_pairs(kind: str) -> None:
    labels, scores = KINDS[kind]
    placed = placements(np.sort(scores[labels]), np.sort(scores[~labels]))
    v10, v01 = components(labels, scores)
    assert sorted(placed.nsfw.tolist()) == pytest.approx(sorted(v10), abs=1e-12)
    assert sorted(placed.sfw.tolist()) == pytest.approx(sorted(v01), abs=1e-12)
    assert placed.auc == pytest.approx(area(labels, scores), abs=1e-12)


@pytest.mark.parametrize("kind", SMOOTH)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_is_delongs(kind: str, level: float) -> None:
    labels, scores = KINDS[kind]
    auc, (v10, v01) = area(labels, scores), components(labels, scores)
    deviation = math.sqrt(covariance(v10, v10) / len(v10) + covariance(v01, v01) / len(v01))
    z = float(norm.ppf((1 + level) / 2))

    found = auc_interval(Samples(labels, scores), level=level)
    odds, half = math.log(auc / (1 - auc)), z * deviation / (auc * (1 - auc))
    ends = [1 / (1 + math.exp(-(odds + sign * half))) for sign in (-1, 1)]
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-12)
    assert (found.level, found.method) == (level, "DeLong, logit")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SMOOTH])
def test_without_a_variance_the_interval_has_a_width(kind: str) -> None:
    labels, scores = KINDS[kind]
    interval, auc = auc_interval(labels, scores), area(labels, scores)
    assert interval.method == "Newcombe"
    assert 0 <= interval.low <= auc <= interval.high <= 1
    assert interval.high - interval.low > 0.4
    nsfw, sfw = int(labels.sum()), int((~labels).sum())
    for end in (interval.low, interval.high):
        if end != auc:
            assert abs(end - auc) == pytest.approx(1.959964 * math.sqrt(exponential(end, nsfw, sfw)), abs=1e-6)


def exponential(auc: float, nsfw: int, sfw: int) -> float:
    """Return Hanley and McNeil's variance (Radiology 143, 1982), with both numbers' mean as Newcombe has it."""
    q1, q2, mean = auc / (2 - auc), 2 * auc**2 / (1 + auc), (nsfw + sfw) / 2
    return (auc * (1 - auc) + (mean - 1) * (q1 - auc**2) + (mean - 1) * (q2 - auc**2)) / (nsfw * sfw)


@pytest.mark.filterwarnings("error")  # NumPy's own about the variance of one number
@pytest.mark.parametrize(("labels", "method"), [([1, 0, 0, 1, 0], "DeLong, logit"), ([0, 1, 0, 0, 0], "Newcombe")])
def test_two_of_a_class_have_a_variance(labels: list[int], method: str) -> None:
    assert auc_interval(labels, [0.1, 0.2, 0.3, 0.4, 0.5]).method == method


def test_an_area_near_1_stays_below_it() -> None:
    labels, scores = separated(30, 30, seed=1)
    found = auc_interval(labels, scores)
    plain = area(labels, scores) + 1.96 * math.sqrt(
        delong_variance(placements(np.sort(scores[labels]), np.sort(scores[~labels])))
    )
    assert plain > 1 > found.high > area(labels, scores) > found.low


def test_it_is_symmetrical_in_the_classes() -> None:
    labels, scores = separated(20, 35, digits=1)
    mirrored = auc_interval(~labels, 1 - scores)
    interval = auc_interval(labels, scores)
    assert (mirrored.low, mirrored.high) == pytest.approx([interval.low, interval.high], abs=1e-12)
    reversed_ = auc_interval(~labels, scores)
    assert (1 - reversed_.high, 1 - reversed_.low) == pytest.approx([interval.low, interval.high], abs=1e-12)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"there are only sfw samples: .* add labelled nsfw pictures"):
        auc_interval([0, 0], [0.1, 0.2])
    with pytest.raises(EvaluationError, match="level=2"):
        auc_interval([0, 1], [0.1, 0.2], level=2)
