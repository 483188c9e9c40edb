"""The options of subcommands that write a page, and the writing."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsfw_caffe.commands.arguments import positive
from nsfw_caffe.errors import ResultsError

_PAGE_ENDINGS = (".html", ".htm")


def add_page_options(parser: argparse._ActionsContainer, thumbnails: str) -> None:
    """Add the options; the help says which thumbnails there may be."""
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="also write a page that needs no other file")
    parser.add_argument("--thumbnails", type=positive, metavar="N", help=f"on the page: {thumbnails}, blurred for good")
    parser.add_argument("--clear", action="store_true", help="do not blur the thumbnails")


def check_page_options(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End with a usage error where the options do not go together."""
    if options.html is None:
        if options.thumbnails is not None:
            parser.error("--thumbnails goes with --html")
    # The page replaces what is at its path, which is not to be the results by a slip.
    elif options.html.suffix.lower() not in _PAGE_ENDINGS:
        parser.error(f"--html {options.html}: the page's name has to end in .html")
    elif not options.html.parent.is_dir():
        parser.error(f"--html {options.html}: there is no folder {options.html.parent}: make it first")
    if options.clear and options.thumbnails is None:
        parser.error("--clear goes with --thumbnails")


def write_output(path: Path, content: bytes) -> None:
    """Write a file whole.

    Raises
    ------
    ResultsError
        It cannot be written.
    """
    from nsfw_caffe.model_file import write_whole

    try:
        write_whole(path, content)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error
