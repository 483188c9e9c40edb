"""The options that docs/training.md names are such as `nsfw-caffe train` has."""

from __future__ import annotations

import re

from nsfw_caffe.cli.main import create_parser
from tests.support import REPOSITORY


def test_options_that_are_named_are_there() -> None:
    page = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")
    train = next(
        iter(action.choices["train"] for action in create_parser()._actions if isinstance(action.choices, dict))
    )
    named = set(re.findall(r"--[a-z][a-z-]+", page)) - {"--volume", "--rm", "--solver", "--weights", "--model"}
    assert named - {*train._option_string_actions, "--max-fpr"} == set()
