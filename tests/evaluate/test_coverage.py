"""Intervals of 95 % hold the truth in about 95 % of simulated data sets, those at chosen thresholds in 95 % or more.

With fixed seeds; `benchmarks/coverage.py` has more lines, of more simulations.
"""

from __future__ import annotations

import pytest

from benchmarks import coverage


@pytest.mark.parametrize(
    ("simulation", "lowest", "highest"),
    [
        (coverage.area(500, 500), 0.93, 0.97),
        (coverage.paired_areas(500, 500), 0.93, 0.97),
        (coverage.rate("fpr", 0.01, 2000, None), 0.94, 0.98),
        (coverage.rate("fnr", 0.01, 2000, None), 0.94, 0.98),
        (coverage.met("fpr", 0.01, 2000, None, confident=True), 0.95, 1.0),
        (coverage.met("fnr", 0.01, 2000, None, confident=True), 0.95, 1.0),
        (coverage.threshold("fpr", 0.05, 500), 0.93, 0.98),
        (coverage.threshold("fnr", 0.05, 500), 0.93, 0.98),
        (coverage.strata_differ(1000), 0.03, 0.07),
    ],
    ids=[
        "area",
        "paired",
        "fpr",
        "fnr",
        "confident fpr",
        "confident fnr",
        "threshold by fpr",
        "threshold by fnr",
        "strata",
    ],
)
def test_one_thousand_simulations(simulation: coverage.Simulation, lowest: float, highest: float) -> None:
    assert lowest <= coverage.share(simulation, 1000, seed=1) <= highest


def test_ties_do_not_cost_coverage() -> None:
    assert coverage.share(coverage.rate("fpr", 0.05, 500, digits=2), 1000) >= 0.95


def test_without_confidence_the_goal_is_met_in_truth_only_half_the_time() -> None:
    assert 0.4 <= coverage.share(coverage.met("fpr", 0.01, 2000, None, confident=False), 500) <= 0.6


def test_the_bootstrap() -> None:
    assert 0.91 <= coverage.share(coverage.bootstrapped_area(100, 100, apart=1.0), 200) <= 0.98
