"""The command line: `nsfw-caffe`.

Exit status: 0 all went well; 1 some picture failed, some bits differ, or the output could not be written; 2 wrong
usage; 3 the model or the engine is missing or unusable; 4 a scan was stopped, or another one is at work; 5 a file of
results or of labels is missing, damaged or none; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from nsfw_caffe._version import __version__
from nsfw_caffe.cli import (
    INTERRUPTED,
    OK,
    SOME_FAILED,
    STOPPED,
    UNAVAILABLE,
    UNREADABLE,
    USAGE,
    classify,
    compare,
    evaluate,
    explain,
    model,
    networks,
    rank,
    report,
    scan,
    serve,
    sort,
    streams,
    train,
    verify,
    video,
)
from nsfw_caffe.cli.arguments import add_common_options, all_parsers, join_json_file
from nsfw_caffe.errors import EngineUnavailable, ModelError, NsfwCaffeError, ResultsUnreadable, ScanStopped
from nsfw_caffe.results.names import visible
from nsfw_caffe.system.extras import install_hint

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_STATUS = {
    ModelError: UNAVAILABLE,
    EngineUnavailable: UNAVAILABLE,
    ScanStopped: STOPPED,
    ResultsUnreadable: UNREADABLE,
}
"""Exit status of an error that ends a command; of any other one, what was asked for cannot be done: wrong usage."""

_COMMANDS = (
    classify, video, explain, scan, serve, report, rank, sort, evaluate, compare, train, model, networks, verify,
)  # fmt: skip
_WITH_JSON_FILE = ("evaluate", "compare")

_SHELLS = ("bash", "zsh", "tcsh")

_FILES = ("IMAGE", "VIDEO", "SOURCE", "FILE", "FILE.json", "FILE_OR_NAME")
"""Metavars of files whose names are kept as text; what is a pathlib.Path is a file as well, but for DIR."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    with streams.prepared():
        try:
            status = _run(sys.argv[1:] if arguments is None else arguments)
        except SystemExit as stop:  # argparse's: wrong usage, or help was asked for
            if not streams.finish():
                stop.code = stop.code or SOME_FAILED
            raise
        return status if streams.finish() else status or SOME_FAILED


def _run(arguments: Sequence[str]) -> int:
    try:
        streams.say("", end="")  # to a caller's closed stream, before argparse asks whether it shows colours
        parser = create_parser()
        _check_command(parser, arguments)
        command = next((argument for argument in arguments if not argument.startswith("-")), None)
        options = parser.parse_args(join_json_file(arguments) if command in _WITH_JSON_FILE else arguments)
        if options.version:
            streams.say(_version(verbose=options.verbose))
            parser.exit(OK)
        if options.print_completion:
            streams.say(_completion_script(parser, options.print_completion))
            parser.exit(OK)
        if options.command is None:
            parser.error("the following arguments are required: COMMAND")
        run: Callable[[argparse.Namespace], int] = options.run
        with _logging(options.verbose):
            return run(options)
    except NsfwCaffeError as error:
        streams.complain(str(error))
        return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except streams.OutputLostError:
        return SOME_FAILED


@contextlib.contextmanager
def _logging(verbose: bool) -> Iterator[None]:
    """Show what the library logs, where that is wanted: downloads, the engine that was chosen."""
    if not verbose:
        yield
        return
    logger, handler = logging.getLogger("nsfw_caffe"), streams.LogHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def _version(*, verbose: bool) -> str:
    version = f"nsfw-caffe {__version__}"
    if not verbose:
        return version
    import platform

    from nsfw_caffe.fidelity.measure import describe_installation

    lines = [version, f"Python {platform.python_version()}", platform.platform()]
    return "\n".join([*lines, *map(visible, describe_installation())])


def _completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return a script of shtab's with which a shell completes the command line: no Python runs when Tab is pressed."""
    try:
        import shtab
    except ImportError as error:
        raise NsfwCaffeError(f"completion needs shtab: {install_hint('completion')}") from error

    for each in all_parsers(parser):
        for action in each._actions:
            if action.metavar == "DIR":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # where shtab looks
            elif action.type is Path or action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)


class _Help(argparse.HelpFormatter):
    """Leaves out the line that only says COMMAND, and empty ones: all help is to fit on a screen."""

    def format_help(self) -> str:
        return super().format_help().replace("\n\n", "\n")

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        return text.partition("\n")[2] if isinstance(action, argparse._SubParsersAction) else text


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints show names as what they are, and that notices where its help cannot be written."""

    def error(self, message: str) -> NoReturn:
        super().error(visible(message))

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if file is sys.stdout:
            streams.say(message, end="")
        else:
            super()._print_message(message, file)


def create_parser() -> _Parser:
    """Create the parser of the command line, with all its subcommands."""
    parser = _Parser(
        prog="nsfw-caffe",
        description="Score pictures with the original open_nsfw Caffe model, from 0 (safe) to 1.",
        usage="nsfw-caffe [OPTIONS] COMMAND ...",
        epilog="Exit status: 0 well, 1 failures, 2 usage, 3 no model, 4 stopped, 5 bad results",
        formatter_class=lambda prog: _Help(prog, max_help_position=28),
    )
    parser._optionals.title = None  # no line for it
    parser.add_argument("--version", action="store_true", help="print the version; with -v, of what it runs on too")
    parser.add_argument("--print-completion", choices=_SHELLS, metavar="SHELL", help="script for bash, zsh or tcsh")
    commands = parser.add_subparsers(prog="nsfw-caffe", title="commands", dest="command", metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    add_common_options(parser)
    return parser


def _check_command(parser: _Parser, arguments: Sequence[str]) -> None:
    """Tell those who leave the command out what they may have meant."""
    if not arguments:
        parser.print_help(sys.stderr)
        parser.exit(USAGE)
    first = arguments[0]
    known = {command.__name__.rpartition(".")[2] for command in _COMMANDS}
    if first in known or (first.startswith("-") and first != "-"):
        return
    name = shlex.quote(first)
    if os.path.isdir(first):  # noqa: PTH112 - any text may come here
        parser.error(f"there is no command {name}; to score a folder: nsfw-caffe scan {name} -o results.csv")
    if first == "-" or "." in first or "/" in first or os.path.exists(first):  # noqa: PTH110
        parser.error(f"there is no command {name}; to score a picture: nsfw-caffe classify {name}")
