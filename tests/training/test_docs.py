"""The commands and programs in docs/training.md are such as the library has."""

from __future__ import annotations

import re
import shlex

import pytest

from nsfw_caffe.cli.main import create_parser
from tests.support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "training.md").read_text(encoding="utf-8")

COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ nsfw-caffe ")
]


def test_there_are_commands() -> None:
    assert len([command for command in COMMANDS if command.startswith("nsfw-caffe train ")]) >= 4


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    create_parser().parse_args(shlex.split(command, comments=True)[1:])


def test_options_that_are_named_are_there() -> None:
    parser = create_parser()
    train = next(iter(action.choices["train"] for action in parser._actions if isinstance(action.choices, dict)))
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE)) - {"--volume", "--rm", "--solver", "--weights", "--model"}
    assert named - {*train._option_string_actions, "--max-fpr"} == set()


def test_python_is_python() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        compile(block, "docs/training.md", "exec")
