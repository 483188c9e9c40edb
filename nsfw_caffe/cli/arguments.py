"""What options of several subcommands take."""

from __future__ import annotations

import argparse


def probability(text: str) -> float:
    """Read a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def probabilities(text: str) -> tuple[float, ...]:
    """Read numbers from 0 to 1 with commas between them."""
    return tuple(probability(part) for part in text.split(","))


def limit(text: str) -> int | None:
    """Read a whole number from 1, or ``none``."""
    return None if text == "none" else positive(text)


def positive(text: str) -> int:
    """Read a whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
