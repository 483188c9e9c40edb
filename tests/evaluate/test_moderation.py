from __future__ import annotations

import pytest

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, Share, policy
from tests.evaluate.data import KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("low", "high"), [(0.2, 0.8), (0.1, 0.9), (0.5, 0.5), (0.0, 1.0)])
def test_each_sample_is_in_one_part(kind: str, low: float, high: float) -> None:
    labels, scores = KINDS[kind]
    parts: dict[bool, list[int]] = {True: [0, 0, 0], False: [0, 0, 0]}
    for label, score in zip(labels.tolist(), scores.tolist(), strict=True):
        parts[label][0 if score < low else 2 if score >= high else 1] += 1
    found = policy(Samples(labels, scores), low=low, high=high, level=0.9)
    nsfw, sfw = int(labels.sum()), int((~labels).sum())
    assert [found.nsfw_passed, found.nsfw_reviewed, found.nsfw_blocked] == [Share(n, nsfw, 0.9) for n in parts[True]]
    assert [found.sfw_passed, found.sfw_reviewed, found.sfw_blocked] == [Share(n, sfw, 0.9) for n in parts[False]]
    assert [found.passed, found.reviewed, found.blocked] == [
        Share(a + b, nsfw + sfw, 0.9) for a, b in zip(parts[True], parts[False], strict=True)
    ]
    assert (found.low, found.high) == (low, high)


def test_the_default_is_the_authors() -> None:
    found = policy([1, 0, 1, 0], [0.8, 0.2, 0.79, 0.19])
    assert (found.low, found.high) == (0.2, 0.8)
    assert (found.blocked.count, found.reviewed.count, found.passed.count) == (1, 2, 1)


def test_one_class_works() -> None:
    assert policy([0, 0], [0.1, 0.9]).nsfw_passed == Share(0, 0)


def test_thresholds_the_wrong_way_round_are_refused() -> None:
    for low, high in ((0.8, 0.2), (float("nan"), 0.5)):
        with pytest.raises(EvaluationError, match=r"expected low to be high or less"):
            policy([0, 1], [0.1, 0.9], low=low, high=high)
