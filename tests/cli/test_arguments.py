from __future__ import annotations

import argparse

import pytest

from nsfw_caffe.cli.arguments import positive, probabilities, probability


def test_what_is_read() -> None:
    assert (probability("0"), probability("1"), probability("0.25")) == (0, 1, 0.25)
    assert probabilities("0.2,0.5") == (0.2, 0.5)
    assert positive("12") == 12


@pytest.mark.parametrize("text", ["-0.1", "1.1", "nan", "inf"])
def test_what_is_no_probability(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not between 0 and 1"):
        probability(text)


@pytest.mark.parametrize("text", ["", "0.2,", "a", "0.2;0.5"])
def test_what_are_no_probabilities(text: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        probabilities(text)


@pytest.mark.parametrize("text", ["0", "-1"])
def test_what_is_not_positive(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not 1 or more"):
        positive(text)
