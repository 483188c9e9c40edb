from __future__ import annotations

import math

import numpy as np
import pytest

from nsfw_caffe.evaluate import Interval
from nsfw_caffe.report.formatting import (
    count_of,
    duration,
    number,
    numbers,
    p_value,
    percent,
    percents,
    round_percent,
    share,
    size,
    threshold,
    thresholds,
)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50.00 %"),
        (0.01234, "1.23 %"),
        (0.000123, "0.012 %"),
        (0.99999, "99.9990 %"),
        (2e-8, "0.0000020 %"),
        (1e-17, "0 %"),
        (math.nan, "-"),
    ],
)
def test_rates_are_told_from_none_and_all(rate: float, text: str) -> None:
    assert percent(rate) == text


def test_numbers() -> None:
    assert (number(0.98765), number(math.nan), number(math.inf)) == ("0.9877", "-", "none")
    assert (threshold(0.123456789), threshold(0.5), threshold(math.inf)) == ("0.123456789", "0.5", "above every score")
    assert (round_percent(0.95), round_percent(0.999), round_percent(0.29)) == ("95 %", "99.9 %", "29 %")
    assert (p_value(0.03), p_value(1e-9)) == ("p = 0.0300", "p < 0.0001")


def test_intervals() -> None:
    interval = Interval(0.1, 0.25, 0.95, "Wilson")
    assert (percents(interval), numbers(interval)) == ("10.00 % to 25.00 %", "0.1000 to 0.2500")
    assert (percents(None), numbers(None)) == ("-", "-")
    assert thresholds(Interval(0.5, math.inf, 0.95, "order statistics")) == "0.5 to above every score"


@pytest.mark.parametrize(
    ("value", "text"), [(0.2, "0.2"), (0.3, "0.3"), (1.0, "1"), (0.0, "0"), (0.9999999999, "0.999999999")]
)
def test_thresholds_are_not_rounded_up(value: float, text: str) -> None:
    assert threshold(value) == text


def test_a_threshold_as_written_takes_the_same_scores() -> None:
    """Scores are float32: the next lower one is further away than what is cut off."""
    scores = np.random.default_rng(1).random(20_000).astype(np.float32) ** 8
    below = np.nextafter(scores, np.float32(0))
    for score, lower in zip(scores.tolist(), below.tolist(), strict=True):
        assert lower < float(threshold(score)) <= score


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_499, "999.5 kB"),
        (999_500, "1.0 MB"),
        (2 * 10**18, "2000.0 PB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "0.012 s"), (12.34, "12.3 s"), (59.99, "60.0 s"), (200.9, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts_and_shares() -> None:
    assert (count_of(1, "picture"), count_of(12345, "picture")) == ("1 picture", "12,345 pictures")
    assert (share(1, 3), share(0, 0)) == ("33.33 %", "-")
