"""What several subcommands share: exit status, the model's download."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from nsfw_caffe.cli.streams import complain

OK, SOME_FAILED, USAGE, UNAVAILABLE, STOPPED, INTERRUPTED = 0, 1, 2, 3, 4, 130


def add_verbose_option(parser: argparse.ArgumentParser) -> None:
    """Add --verbose."""
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say what Pillow and its libraries warn of, picture by picture"
    )


def warn(name: str, warnings: Iterable[str]) -> None:
    """Write what was said of a picture on standard error."""
    for text in warnings:
        complain(f"{name}: warning: {text}")


def fetch_model(look: Callable[[], object] = lambda: None) -> None:
    """Fetch the original model unless it is here, with progress bars where standard error is a terminal.

    Parameters
    ----------
    look : callable
        Called before a download: it raises the error of what the model is fetched for and is not there.
    """
    from nsfw_caffe.model import locate as model

    if model.is_here():
        return  # whether it is whole, too, is checked where it is loaded
    look()
    if sys.stderr is None or not sys.stderr.isatty():
        model.fetch()
        return
    from tqdm import tqdm

    from nsfw_caffe.cli.streams import complain

    with contextlib.ExitStack() as bars:
        shown: dict[str, tqdm[NoReturn]] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if total is None:  # a line of pip's
                complain(what)
                return
            if what not in shown:
                shown[what] = bars.enter_context(tqdm(desc=what, total=total, unit="B", unit_scale=True))
            shown[what].update(done - shown[what].n)

        model.fetch(show)
