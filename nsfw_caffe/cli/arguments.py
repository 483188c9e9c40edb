"""What options of several subcommands take, and the options that all of them have.

The help of an option that takes something begins with a noun, that of a switch or a subcommand with a verb.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

_TABLES = (".csv", ".jsonl", ".parquet", ".sqlite")


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


def add_json_option(parser: argparse._ActionsContainer, what: str) -> None:
    """Add --json: JSON on standard output in place of the text."""
    parser.add_argument("--json", action="store_true", help=f"print {what} in place of the text")


def add_json_file_option(parser: argparse._ActionsContainer) -> None:
    """Add --json that also takes a file: JSON is written there then, and the text is printed too."""
    parser.add_argument(
        "--json",
        nargs="?",
        const=Path("-"),
        type=_json_file,
        metavar="FILE.json",
        help="print JSON in place of the text; with FILE.json: write it there, and print the text too",
    )


def _json_file(text: str) -> Path:
    if text != "-" and not text.lower().endswith(".json"):
        raise argparse.ArgumentTypeError(f"{text}: the file's name has to end in .json; --json alone prints")
    return Path(text)


def join_json_file(arguments: Sequence[str]) -> list[str]:
    """Make of ``--json FILE`` one argument, unless what follows is a table, which is what the JSON is to be made of."""
    joined: list[str] = []
    for argument in arguments:
        if joined and len(joined[-1]) > 2 and "--json".startswith(joined[-1]):
            takes_it = argument == "-" or (not argument.startswith("-") and not argument.lower().endswith(_TABLES))
            joined[-1] = f"--json={argument if takes_it else '-'}"
            if takes_it:
                continue
        joined.append(argument)
    return joined


def all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser, those of its subcommands, and so on down."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from all_parsers(below)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add -v and -q to a parser and to all of its subcommands, so that they may stand before a subcommand or after."""
    for each in all_parsers(parser):
        default = False if each is parser else argparse.SUPPRESS  # else a subcommand would reset what stood before it
        each.add_argument(
            "-v", "--verbose", action="store_true", default=default, help="say what is logged, and warned of pictures"
        )
        each.add_argument(
            "-q", "--quiet", action="store_true", default=default, help="show no progress, which terminals alone see"
        )
