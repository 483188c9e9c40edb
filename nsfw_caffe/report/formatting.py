"""Numbers, sizes, times and set-ups as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_FLOOR, Context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nsfw_caffe.evaluate.intervals import Interval
    from nsfw_caffe.results.record import Provenance

_LEAST = 1e-9
"""A rate that is nothing: one in more samples than there are."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


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
    return _between(interval, percent)


def numbers(interval: Interval | None) -> str:
    """Write the interval of a number: 0.9312 to 0.9415."""
    return _between(interval, number)


def thresholds(interval: Interval) -> str:
    """Write the interval of a threshold: 0.4379 to above every score."""
    return f"{threshold(round(interval.low, 4))} to {threshold(round(interval.high, 4))}"


def p_value(value: float) -> str:
    """Write a p-value: p = 0.0312; below 0.0001 its digits mean nothing."""
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"


def count_of(count: int, what: str) -> str:
    """Write a count with its noun: 1 picture, 12,345 pictures."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """Write a part as a percentage of the whole; nothing of nothing is a dash."""
    return f"{100 * part / whole:.2f} %" if whole else "-"


def size(count: int) -> str:
    """Write a number of bytes with a decimal unit: 1.5 MB."""
    value = float(count)
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Write a time: 0.123 s, 12.3 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.3f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def describe_set_up(set_up: Provenance) -> str:
    """Write a set-up in a line, with the first eight digits of the model's SHA-256."""
    engine = f"{set_up.engine} on the GPU" if set_up.device == "gpu" else set_up.engine
    others = [value for value, usual in ((set_up.jpeg, "pillow"), (set_up.blas, "system")) if value != usual]
    model = f"model {set_up.model[:8]}"
    frames = f"frames {set_up.frames}" if set_up.every is None else f"videos every {set_up.every:g} s"
    return ", ".join([engine, *others, set_up.precision, f"{set_up.decode} decoding", frames, model])


def _between(interval: Interval | None, write: Callable[[float], str]) -> str:
    if interval is None:
        return "-"
    low, high = write(interval.low), write(interval.high)
    return "-" if "-" in (low, high) else f"{low} to {high}"
