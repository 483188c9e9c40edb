#!/usr/bin/env python
"""How often the intervals of nsfw_caffe.evaluate hold the truth.

    python -m benchmarks.coverage [SIMULATIONS]    # 2,000 a line by default: six minutes

Each line draws so many data sets whose true areas, rates and thresholds are known in closed form: log odds of scores
are normal with deviation 1, around 0 for sfw and around APART for nsfw. Prints, a line each, the share of data sets of
which the interval holds the truth, or the goal is met in truth.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

import nsfw_caffe.evaluate as ev
from nsfw_caffe.evaluate.labelled import Labels, Scores

NORMAL = NormalDist()
APART = 3.0
"""The true area under the ROC curve is then 0.983, about that of good scores."""

Simulation = Callable[[np.random.Generator], bool]


def main(simulations: int) -> None:
    """Print the table."""
    for name, simulation in lines():
        print(f"{name:<72} {share(simulation, simulations):.4f}", flush=True)


def share(simulation: Simulation, simulations: int, seed: int = 0) -> float:
    """Return the share of simulations that give True."""
    rng = np.random.default_rng(seed)
    return sum(simulation(rng) for _ in range(simulations)) / simulations


def lines() -> Iterator[tuple[str, Simulation]]:
    """Yield every line: what it is, and its simulation."""
    for nsfw, sfw in ((20, 20), (50, 200), (500, 500)):
        yield f"AUC, DeLong, logit, {nsfw} + {sfw}", area(nsfw, sfw)
        yield f"difference of paired AUCs, DeLong, {nsfw} + {sfw}", paired_areas(nsfw, sfw)
    yield "AUC, bootstrap, 50 + 200", bootstrapped_area(50, 200)
    for goal, sfw in ((0.05, 200), (0.01, 1000), (0.01, 10_000)):
        for digits in (None, 2):
            ties = f", {digits} digits" if digits else ""
            name = f"FPR <= {goal} of {sfw} sfw{ties}"
            yield f"{name}: the rate, stated interval", rate("fpr", goal, sfw, digits)
            yield f"{name}: the rate, Wilson's interval", rate("fpr", goal, sfw, digits, wilson=True)
            yield f"{name}: met in truth", met("fpr", goal, sfw, digits, confident=False)
            yield f"{name}: confident, met in truth", met("fpr", goal, sfw, digits, confident=True)
        yield f"FPR <= {goal} of {sfw} sfw: the threshold", threshold("fpr", goal, sfw)
        yield f"FNR <= {goal} of {sfw} nsfw: the rate, stated interval", rate("fnr", goal, sfw, None)
        yield (
            f"FNR <= {goal} of {sfw} nsfw: confident, met in truth",
            met("fnr", goal, sfw, None, confident=True),
        )
    yield "precision >= 0.9 of 200 + 1000: the rate, stated interval", rate("precision", 0.9, 200, None)
    yield (
        "precision >= 0.9 of 200 + 1000: confident, met in truth",
        met("precision", 0.9, 200, None, confident=True),
    )
    yield "precision >= 0.9 of 200 + 1000: the threshold", threshold("precision", 0.9, 200)
    yield "cost ratio 5 of 200 + 1000: the threshold", threshold("cost_ratio", 5, 200)
    yield "strata of one rate said to differ, 3 x 100", strata_differ(100)
    yield "strata of one rate said to differ, 3 x 1000", strata_differ(1000)


def area(nsfw: int, sfw: int) -> Simulation:
    """Return whether DeLong's interval holds the true area."""

    def simulate(rng: np.random.Generator) -> bool:
        return holds(ev.auc_interval(*draw(rng, nsfw, sfw)), true_area(APART))

    return simulate


def paired_areas(nsfw: int, sfw: int) -> Simulation:
    """Return whether the interval of a difference holds it, where scores correlate by 0.8."""

    def simulate(rng: np.random.Generator) -> bool:
        labels = np.repeat([True, False], [nsfw, sfw])
        common, own_a, own_b = rng.normal(size=(3, nsfw + sfw))
        a, b = (math.sqrt(0.8) * common + math.sqrt(0.2) * own for own in (own_a, own_b))
        comparison = ev.compare(labels, expit(a + 2.5 * labels), expit(b + APART * labels), 0.5)
        assert comparison.difference_interval is not None
        return holds(comparison.difference_interval, true_area(APART) - true_area(2.5))

    return simulate


def bootstrapped_area(nsfw: int, sfw: int, apart: float = APART) -> Simulation:
    """Return whether the bootstrap's interval holds the true area."""

    def simulate(rng: np.random.Generator) -> bool:
        return holds(ev.bootstrap(*draw(rng, nsfw, sfw, apart=apart), statistic=weighted_area), true_area(apart))

    return simulate


def rate(goal: str, value: float, count: int, digits: int | None, *, wilson: bool = False) -> Simulation:
    """Return whether the interval of the wanted rate holds the true rate at the threshold that was chosen."""

    def simulate(rng: np.random.Generator) -> bool:
        choice = choose(goal, value, rng, count, digits)
        interval = choice.confusion.interval(goal) if wilson else choice.rate_interval
        assert interval is not None
        return holds(interval, true_rate(goal, choice.threshold, digits))

    return simulate


def met(goal: str, value: float, count: int, digits: int | None, *, confident: bool) -> Simulation:
    """Return whether the goal is met in truth at the threshold that was chosen."""

    def simulate(rng: np.random.Generator) -> bool:
        choice = choose(goal, value, rng, count, digits, confident=confident)
        rate = true_rate(goal, choice.threshold, digits)
        return rate >= value if goal == "precision" else rate <= value

    return simulate


def threshold(goal: str, value: float, count: int) -> Simulation:
    """Return whether the interval of the threshold holds the one that is right in truth."""
    grid = expit(np.linspace(-3, 6, 100_001))
    if goal == "cost_ratio":
        costs = [1000 * true_rate("fpr", t, None) + value * count * true_rate("fnr", t, None) for t in grid[::10]]
        truth = float(grid[::10][int(np.argmin(costs))])
    else:
        rising = goal != "fpr"
        good = np.array([(true_rate(goal, t, None) >= value) == rising for t in grid])
        truth = float(grid[int(good.argmax())])

    def simulate(rng: np.random.Generator) -> bool:
        return holds(choose(goal, value, rng, count, None).threshold_interval, truth)

    return simulate


def strata_differ(count: int) -> Simulation:
    """Return whether three groups whose rates are one and the same are said to differ, in either rate."""

    def simulate(rng: np.random.Generator) -> bool:
        found = ev.strata(*draw(rng, count, 2 * count), groups=rng.integers(0, 3, 3 * count), threshold=0.8)
        return found.fpr_test.differs or found.fnr_test.differs

    return simulate


def choose(
    goal: str, value: float, rng: np.random.Generator, count: int, digits: int | None, *, confident: bool = False
) -> ev.ThresholdChoice:
    """Choose by as many samples of the class that the goal is of; for precision and costs, of nsfw and 1,000 sfw."""
    nsfw, sfw = {"fpr": (50, count), "fnr": (count, 50)}.get(goal, (count, 1000))
    wanted: dict[str, Any] = {goal: value}
    return ev.choose_threshold(*draw(rng, nsfw, sfw, digits), **wanted, confident=confident)


def draw(
    rng: np.random.Generator, nsfw: int, sfw: int, digits: int | None = None, apart: float = APART
) -> tuple[Labels, Scores]:
    """Draw labels and scores; rounded to so many digits, scores have ties."""
    labels = np.repeat([True, False], [nsfw, sfw])
    scores = expit(rng.normal(size=nsfw + sfw) + apart * labels)
    return labels, scores if digits is None else scores.round(digits)


def true_rate(goal: str, threshold: float, digits: int | None) -> float:
    """Return the true rate at a threshold; precision is that of 200 nsfw to 1,000 sfw."""
    if digits is not None:
        threshold = min(threshold - 0.5 * 10**-digits, 1.0)
    odds = math.log(threshold / (1 - threshold)) if 0 < threshold < 1 else math.copysign(math.inf, threshold - 0.5)
    fpr, fnr = NORMAL.cdf(-odds), NORMAL.cdf(odds - APART)
    return {"fpr": fpr, "fnr": fnr, "precision": 200 * (1 - fnr) / (200 * (1 - fnr) + 1000 * fpr)}[goal]


def true_area(apart: float) -> float:
    """Return the true area under the ROC curve of normal log odds with means so far apart."""
    return NORMAL.cdf(apart / math.sqrt(2))


def expit(odds: npt.NDArray[np.float64]) -> Scores:
    """Return the probabilities of log odds."""
    return 1 / (1 + np.exp(-odds))


def weighted_area(labels: Labels, scores: Scores, sample_weight: npt.NDArray[np.int64]) -> float:
    """Return the area under the ROC curve of weighted samples without ties: faster than scikit-learn's on few."""
    order = np.argsort(scores)
    nsfw = (sample_weight * labels)[order]
    sfw = sample_weight[order] - nsfw
    return float(nsfw @ np.cumsum(sfw) / (nsfw.sum() * sfw.sum()))


def holds(interval: ev.Interval, truth: float) -> bool:
    """Return whether the truth lies within."""
    return interval.low <= truth <= interval.high


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
