from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, binom

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import (
    Samples,
    choose_threshold,
    clopper_pearson,
    confusion,
    fnr_at_fpr,
    fpr_at_fnr,
)
from tests.evaluate.data import KINDS, count, separated, thresholds

OVERLAPPING = ["random", "many ties", "few nsfw"]


@pytest.mark.parametrize("kind", OVERLAPPING)
@pytest.mark.parametrize("bound", [0.05, 0.2, 0.5])
def test_error_rates_are_kept_as_the_authors_measure_does(kind: str, bound: float) -> None:
    samples = Samples(*KINDS[kind])
    by_fpr, by_fnr = choose_threshold(samples, fpr=bound), choose_threshold(samples, fnr=bound)
    assert by_fpr.threshold == fnr_at_fpr(samples, fpr=bound).threshold
    assert by_fnr.threshold == fpr_at_fnr(samples, fnr=bound).threshold
    assert (by_fpr.goal, by_fnr.goal) == (f"FPR <= {bound}", f"FNR <= {bound}")
    for choice, rate in ((by_fpr, "fpr"), (by_fnr, "fnr")):
        counts = confusion(samples, threshold=choice.threshold)
        share = counts.share(rate)
        assert choice.confusion == counts
        assert (choice.fpr, choice.fnr, choice.precision) == (counts.fpr, counts.fnr, counts.precision)
        assert share.value <= bound
        assert choice.rate_interval == clopper_pearson(share.count, share.total)
        assert not choice.confident


def test_the_stated_interval_is_the_beta_distributions_of_the_order_statistics() -> None:
    samples = Samples(*separated(50, 1000))
    choice = choose_threshold(samples, fpr=0.02)
    assert choice.confusion.false_positives == 20
    # The threshold is at most the 20th largest sfw score, and above the 21st.
    assert samples.sfw[-21] < choice.threshold <= samples.sfw[-20]
    assert choice.rate_interval is not None
    assert choice.rate_interval.low == pytest.approx(beta(20, 981).ppf(0.025), rel=1e-9)
    assert choice.rate_interval.high == pytest.approx(beta(21, 980).ppf(0.975), rel=1e-9)


@pytest.mark.parametrize("goal", [{"fpr": 0.05}, {"fnr": 0.05}])
def test_confidence_takes_the_most_errors_whose_bound_meets_the_goal(goal: dict[str, Any]) -> None:
    samples = Samples(*separated(400, 500))
    ((rate, bound),) = goal.items()
    choice = choose_threshold(samples, **goal, confident=True)
    share = choice.confusion.share(rate)
    upper = [clopper_pearson(errors, share.total, side="upper").high for errors in range(share.total)]
    assert share.count == max(errors for errors, high in enumerate(upper) if high <= bound)
    assert choice.rate_interval == clopper_pearson(share.count, share.total, side="upper")
    assert choice.rate_interval is not None
    assert choice.rate_interval.high <= bound
    assert choice.confident
    plain = choose_threshold(samples, **goal)
    assert share.count < plain.confusion.share(rate).count
    assert choice.threshold_interval == plain.threshold_interval


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("bound", [0.0, 0.004, 0.03, 0.5, 1.0])
def test_the_thresholds_interval_covers_the_quantile(level: float, bound: float) -> None:
    samples = Samples(*separated(300, 200))
    by_fnr, by_fpr = (
        choose_threshold(samples, fnr=bound, level=level),
        choose_threshold(samples, fpr=bound, level=level),
    )
    for choice, scores, share in ((by_fnr, samples.nsfw, bound), (by_fpr, samples.sfw, 1 - bound)):
        interval = choice.threshold_interval
        ranks = np.array([0.0, *scores, 1.0])
        low, high = np.searchsorted(ranks, interval.low), np.searchsorted(ranks, interval.high)
        # So many scores or more, and less than so many, are below the quantile.
        chance = binom.cdf(high - 1, len(scores), share) - binom.cdf(low - 1, len(scores), share)
        assert chance >= level - 1e-12
        assert interval.method == "order statistics"


@pytest.mark.parametrize("kind", OVERLAPPING)
@pytest.mark.parametrize("bound", [0.1, 0.5, 0.75])
def test_no_lower_threshold_is_as_precise(kind: str, bound: float) -> None:
    labels, scores = KINDS[kind]
    choice = choose_threshold(labels, scores, precision=bound)
    precise: dict[float, int] = {}
    for threshold in thresholds(scores)[:-1]:
        found, alarms, _, missed = count(labels, scores, threshold)
        if found / (found + alarms) >= bound:
            precise[threshold] = missed
    assert choice.precision >= bound
    assert choice.confusion.false_negatives == min(precise.values())
    assert choice.threshold >= min(precise)
    found, alarms = choice.confusion.true_positives, choice.confusion.false_positives
    assert choice.rate_interval == clopper_pearson(found, found + alarms)


def test_confidence_in_a_precision_is_in_its_bound() -> None:
    labels, scores = separated(300, 500)
    choice = choose_threshold(labels, scores, precision=0.9, confident=True)
    bounds = {}
    for threshold in sorted(scores[labels].tolist()):
        found, alarms, _, _ = count(labels, scores, threshold)
        bounds[threshold] = clopper_pearson(found, found + alarms, side="lower").low
    assert choice.threshold == min(threshold for threshold, low in bounds.items() if low >= 0.9)
    assert choice.rate_interval is not None
    assert (choice.rate_interval.low, choice.rate_interval.high) == pytest.approx((bounds[choice.threshold], 1))


@pytest.mark.parametrize("kind", OVERLAPPING)
@pytest.mark.parametrize("ratio", [0.5, 1, 20])
def test_no_threshold_costs_less(kind: str, ratio: float) -> None:
    labels, scores = KINDS[kind]
    choice = choose_threshold(labels, scores, cost_ratio=ratio)
    costs = []
    for threshold in thresholds(scores):
        _, alarms, _, missed = count(labels, scores, threshold)
        costs.append(alarms + ratio * missed)
    cost = choice.confusion.false_positives + ratio * choice.confusion.false_negatives
    assert cost == pytest.approx(min(costs), abs=1e-9)
    assert choice.goal == f"lowest cost at a ratio of {ratio}"
    assert choice.rate_interval is None


def test_the_bootstrap_of_a_threshold_is_that_of_samples_drawn_one_by_one() -> None:
    labels, scores = separated(60, 90, digits=2)
    rng = np.random.default_rng(3)
    goals: list[dict[str, Any]] = [{"precision": 0.9}, {"cost_ratio": 2.0}]
    for goal in goals:
        picked = []
        for _ in range(300):
            drawn = np.concatenate([rng.choice(scores[labels], 60), rng.choice(scores[~labels], 90)])
            picked.append(choose_plainly(np.repeat([True, False], [60, 90]), drawn, **goal))
        interval = choose_threshold(labels, scores, **goal).threshold_interval
        assert (interval.low, interval.high) == pytest.approx(np.quantile(picked, [0.025, 0.975]), abs=0.03)
        assert (interval.level, interval.method) == (0.95, "bootstrap")


@pytest.mark.parametrize("goal", [{"precision": 1.0}, {"cost_ratio": 0.01}])
def test_a_bootstrap_counts_no_score_below_the_threshold(goal: dict[str, Any]) -> None:
    interval = choose_threshold([1] * 5 + [0] * 50, [0.9] * 5 + [0.1] * 50, **goal).threshold_interval
    assert (interval.low, interval.high) == (0.9, 0.9)


def choose_plainly(labels: Any, scores: Any, precision: float = 0, cost_ratio: float = 0) -> float:
    """Return the lowest nsfw score of the precision or of the lowest cost."""
    values = np.unique(scores[labels])
    found, alarms = ((scores[part] >= values[:, None]).sum(axis=1) for part in (labels, ~labels))
    if precision:
        return float(values[found / (found + alarms) >= precision].min())
    return float(values[np.argmax(cost_ratio * found - alarms)])


def test_the_seed_decides() -> None:
    samples = Samples(*separated(200, 300))
    first, again, other = (choose_threshold(samples, cost_ratio=1, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.threshold_interval != other.threshold_interval
    assert dataclasses.replace(other, threshold_interval=first.threshold_interval) == first


def test_many_samples_are_drawn_from_in_bins() -> None:
    samples = Samples(*separated(50_000, 60_000))
    choice = choose_threshold(samples, precision=0.9)
    assert choice.threshold_interval.method == "bootstrap of 4096 bins"
    assert choice.threshold_interval.low <= choice.threshold <= choice.threshold_interval.high
    assert choice.threshold_interval.high - choice.threshold_interval.low < 0.02


@pytest.mark.parametrize("kind", ["separated", "two, apart"])
@pytest.mark.parametrize("goal", [{"fpr": 0.0}, {"fnr": 0.0}, {"precision": 1.0}, {"cost_ratio": 1.0}])
def test_classes_apart_are_told_apart(kind: str, goal: dict[str, Any]) -> None:
    labels, scores = KINDS[kind]
    choice = choose_threshold(labels, scores, **goal)
    assert (choice.fpr, choice.fnr, choice.precision) == (0, 0, 1)
    assert choice.threshold == scores[labels].min()


@pytest.mark.parametrize(
    ("kind", "goal", "message"),
    [
        ("reversed", {"fpr": 0.1}, r"FPR <= 0.1 cannot be reached .*: the nearest is FPR 1 at the threshold 0.2"),
        ("reversed", {"precision": 0.9}, r"the highest precision in these samples is 0.6, at the threshold 0"),
        (
            "reversed",
            {"cost_ratio": 0.1},
            r"cheapest to take nothing for nsfw: a threshold pays from a ratio of 0.6666",
        ),
        ("random", {"fpr": 0.01, "confident": True}, r"with 0.95 confidence by 70 sfw samples: 299 are needed"),
        ("random", {"fnr": 0.01, "confident": True}, r"by 40 nsfw samples: 299 are needed, and the nearest is 0.0721"),
        ("random", {"fpr": 0.0, "confident": True}, r"FPR <= 0 cannot be shown .* no number is enough"),
        ("random", {"precision": 1.0, "confident": True}, r"precision >= 1 cannot be reached with 0.95 confidence"),
        ("random", {"cost_ratio": 2.0, "confident": True}, r"leave out confident"),
        ("random", {"cost_ratio": 0.0}, r"cost_ratio=0.0: expected a number above 0"),
        ("random", {"cost_ratio": math.inf}, r"cost_ratio=inf: expected a number above 0"),
        ("random", {"fpr": 1.5}, r"fpr=1.5: expected a share from 0 to 1"),
        ("random", {"precision": math.nan}, r"precision=nan: expected a share from 0 to 1"),
        ("random", {"fpr": 0.1, "level": 95}, r"level=95: expected a share between 0 and 1"),
    ],
)
def test_a_goal_that_cannot_be_reached_is_refused(kind: str, goal: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        choose_threshold(*KINDS[kind], **goal)


def test_so_many_samples_are_needed_as_the_message_says() -> None:
    labels, scores = separated(30, 299)
    assert choose_threshold(labels, scores, fpr=0.01, confident=True).fpr == 0
    with pytest.raises(EvaluationError, match="by 298 sfw samples: 299 are needed"):
        choose_threshold(*separated(30, 298), fpr=0.01, confident=True)


def test_one_goal_is_needed() -> None:
    wrong: list[dict[str, Any]] = [{}, {"fpr": 0.1, "fnr": 0.1}]
    for goals in wrong:
        with pytest.raises(TypeError, match="expected one of fpr, fnr, precision and cost_ratio"):
            choose_threshold(*KINDS["random"], **goals)
    with pytest.raises(EvaluationError, match="there are only sfw samples: choosing a threshold needs both classes"):
        choose_threshold([0, 0], [0.1, 0.2], fpr=0.1)


@pytest.mark.parametrize(
    ("goal", "nsfw", "sfw"),
    [({"precision": 1.0}, [0.9, 0.2], [0.5] * 3), ({"cost_ratio": 1.0}, [0.9], [0.95] + [0.1] * 9)],
    ids=str,
)
def test_a_resample_without_a_threshold_counts_as_the_highest(
    goal: dict[str, Any], nsfw: list[float], sfw: list[float]
) -> None:
    """In a quarter of the resamples no threshold meets the goal: the best nsfw is not drawn, or the worst sfw twice."""
    choice = choose_threshold([1] * len(nsfw) + [0] * len(sfw), nsfw + sfw, **goal)
    assert choice.threshold == 0.9
    assert (choice.threshold_interval.low, choice.threshold_interval.high) == (0.9, 1.0)
