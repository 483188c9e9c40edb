"""Rates, scores and their intervals as people read them."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Context
from typing import Protocol

_LEAST = 1e-9
"""A rate that is nothing: one in more samples than there are."""


class Interval(Protocol):
    """What is shown of an interval: see `nsfw_caffe.evaluate.Interval`."""

    @property
    def low(self) -> float:
        """Where it begins."""

    @property
    def high(self) -> float:
        """Where it ends."""

    @property
    def level(self) -> float:
        """How often such an interval holds the truth, 0 to 1."""


def percent(rate: float) -> str:
    """Write a rate, 0 to 1, with what tells it from 0 % and from 100 %: 1.25 %, 0.0031 %; nan is a dash."""
    if math.isnan(rate):
        return "-"
    rest = min(rate, 1 - rate)
    if rest < _LEAST:
        return f"{100 * rate:.0f} %"
    decimals = max(2, 1 - math.floor(round(math.log10(100 * rest), 6)))
    return f"{100 * rate:.{decimals}f} %"


def round_percent(share: float) -> str:
    """Write a share that somebody chose, a level for example, as it was given: 95 %."""
    return f"{100 * share:.10g} %"


def number(value: float) -> str:
    """Write a score or an area with four decimals; nan is a dash, and infinity is no score at all."""
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" if math.isfinite(value) else "none"


def threshold(value: float) -> str:
    """Write a threshold with up to nine digits, never rounded up: the sample of this score has to reach it."""
    if not math.isfinite(value):
        return "above every score"
    text = f"{value:.9g}"
    return text if float(text) <= value else f"{Context(prec=9, rounding=ROUND_FLOOR).create_decimal(value):g}"


def percents(interval: Interval | None) -> str:
    """Write the interval of a rate: 0.91 % to 1.22 %."""
    return "-" if interval is None else _between(percent(interval.low), percent(interval.high))


def numbers(interval: Interval | None) -> str:
    """Write the interval of a number: 0.9312 to 0.9415."""
    return "-" if interval is None else _between(number(interval.low), number(interval.high))


def thresholds(interval: Interval) -> str:
    """Write the interval of a threshold: 0.4379 to above every score."""
    return f"{threshold(round(interval.low, 4))} to {threshold(round(interval.high, 4))}"


def p_value(value: float) -> str:
    """Write a p-value: p = 0.0312; below 0.0001 its digits mean nothing."""
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"


def _between(low: str, high: str) -> str:
    return "-" if "-" in (low, high) else f"{low} to {high}"
