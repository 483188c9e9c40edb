"""Names and numbers as people read them."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

# Controls would move the cursor or change the colours of a terminal; those that turn the direction of writing make
# gpj.exe of exe.jpg; a line separator ends a line where it is not expected.
_HIDDEN = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


def visible(name: str) -> str:
    r"""Write a name that strangers gave so that it shows nothing but itself: its control characters as \x1b."""
    return name.translate(_HIDDEN)


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
