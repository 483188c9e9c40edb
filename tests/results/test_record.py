from __future__ import annotations

import dataclasses

import pytest

from tests.records import RECORD


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.001, 1.001, 428.0])
def test_no_record_has_what_is_no_score(score: float) -> None:
    """Written, it would make the whole file unreadable."""
    with pytest.raises(ValueError, match=r"score is .*: expected 0 to 1"):
        dataclasses.replace(RECORD, score=score, error=None)


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_scores(score: float) -> None:
    assert dataclasses.replace(RECORD, score=score, error=None).score == score
