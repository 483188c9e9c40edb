from __future__ import annotations

from types import SimpleNamespace

import pytest

from nsfw_caffe import ImageError
from nsfw_caffe.parallel import outcome
from nsfw_caffe.parallel.outcome import Outcome, timed


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by the half of a second a look."""
    looks = iter([10.0, 10.5])
    monkeypatch.setattr(outcome, "time", SimpleNamespace(perf_counter=lambda: next(looks)))


def test_a_score_and_its_time() -> None:
    assert timed(lambda: 0.25) == Outcome(0.25, 0.5)


def test_what_is_wrong_with_a_picture_is_its_outcome() -> None:
    error = ImageError("a.jpg: the file is empty")

    def fail() -> float:
        raise error

    assert timed(fail) == Outcome(error, 0.5)


def test_other_errors_are_the_librarys_own() -> None:
    with pytest.raises(ZeroDivisionError):
        timed(lambda: 1 / 0)
