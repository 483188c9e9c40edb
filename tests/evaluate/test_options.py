from __future__ import annotations

from typing import Any

import pytest

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.options import Options


def test_the_goal_is_one_percent_of_false_positives_unless_another_is_given() -> None:
    assert (Options().goal, Options().fpr) == ("fpr", 0.01)
    assert (Options(fnr=0.05).goal, Options(fnr=0.05).fpr) == ("fnr", None)
    assert Options(cost_ratio=10).goal == "cost_ratio"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fpr": 0.1, "precision": 0.9}, "one threshold for fpr and precision: give one goal"),
        ({"fpr": 1.1}, "fpr=1.1: expected a share"),
        ({"fnr": float("nan")}, "fnr=nan: expected a share"),
        ({"cost_ratio": 0.0}, "cost_ratio=0.0: expected a number above 0"),
        ({"cost_ratio": 2.0, "confident": True}, "leave out confident"),
        ({"thresholds": (0.5, 2.0)}, "threshold=2.0: expected a share"),
        ({"low": 0.9}, "low=0.9, high=0.8: expected low to be high or less"),
        ({"level": 1.0}, "level=1.0: expected a share between 0 and 1"),
        ({"bins": 0}, "bins=0: expected 1 or more"),
        ({"resamples": 1}, "resamples=1: expected 2 or more"),
        ({"worst": -1}, "worst=-1: expected 0 or more"),
    ],
)
def test_what_is_none_of_its_kind_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        Options(**values)
