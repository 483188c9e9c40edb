"""The command line: `nsfw-caffe`.

Exit status: 0 all went well; 1 some picture failed, or some bits differ; 2 wrong usage; 3 the model or the engine is
missing or unusable; 4 a scan was stopped, or another one is at work; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from nsfw_caffe._version import __version__
from nsfw_caffe.commands import classify, compare, evaluate, model, rank, report, scan, sort, verify
from nsfw_caffe.commands.common import INTERRUPTED, SOME_FAILED, STOPPED, UNAVAILABLE, USAGE, complain
from nsfw_caffe.errors import EngineUnavailable, ModelError, NsfwCaffeError, ScanStopped

_STATUS = {ModelError: UNAVAILABLE, EngineUnavailable: UNAVAILABLE, ScanStopped: STOPPED}
"""Exit status of an error that ends a command; of any other one, what was asked for cannot be done: wrong usage."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    # A path may hold bytes that are no UTF-8; what came in goes out.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except NsfwCaffeError as error:
        complain(str(error))
        return next((status for kind, status in _STATUS.items() if isinstance(error, kind)), USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`): stop quietly, and keep Python from complaining again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SOME_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nsfw-caffe",
        description="Score pictures with the original open_nsfw Caffe model: the probability, 0 to 1, of NSFW.",
        epilog="Exit status: 0 all well, 1 some picture failed or differs, 2 usage, 3 no model or engine, 4 stopped.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (classify, scan, report, rank, sort, evaluate, compare, model, verify):
        command.add(commands)
    return parser
