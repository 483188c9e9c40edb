from __future__ import annotations

import pytest

from nsfw_caffe.report.wording import count_of, duration, share, size


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
