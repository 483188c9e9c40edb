"""That errors of one source carry what their messages are made of."""

from __future__ import annotations

import copy
import pickle

import pytest

from nsfw_caffe import Classifier, ImageError, ScoreError
from tests.support import PHOTOS


@pytest.mark.parametrize("kind", [ImageError, ScoreError])
def test_error_is_made_of_source_and_reason_or_of_a_message(kind: type[ImageError | ScoreError]) -> None:
    error = kind("a: b.jpg", "it: is empty")
    assert (str(error), error.source, error.reason, error.index) == (
        "a: b.jpg: it: is empty", "a: b.jpg", "it: is empty", None
    )  # fmt: skip
    message = kind("something")
    assert (str(message), message.source, message.reason) == ("something", None, "something")
    numbered = kind("a.jpg", "bad", index=0)
    assert (str(numbered), numbered.index) == ("source 0: a.jpg: bad", 0)


@pytest.mark.parametrize("error", [ImageError("a.jpg", "bad", index=3), ScoreError("a.jpg", "bad"), ImageError("text")])
def test_error_is_the_same_after_pickling(error: ImageError | ScoreError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_what_the_classifier_raises_and_returns_has_them(portable: Classifier) -> None:
    sources: list[str] = [str(PHOTOS / "rocket.jpg"), "/missing.jpg"]
    with pytest.raises(ImageError) as raised:
        portable.classify_batch(sources)
    error = raised.value
    assert (error.source, error.index) == ("/missing.jpg", 1)
    assert str(error) == f"source 1: /missing.jpg: {error.reason}"
    good, bad = portable.scan(sources)
    assert (good.ok, good.reason) == (True, None)
    assert (bad.ok, bad.reason) == (False, error.reason)
    assert bad.error == f"/missing.jpg: {error.reason}"
