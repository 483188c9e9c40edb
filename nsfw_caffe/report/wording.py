"""Names and numbers as people read them."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


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
