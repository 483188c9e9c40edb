"""The options of subcommands that write a page, and the writing."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsfw_caffe.cli.arguments import add_json_file_option, positive
from nsfw_caffe.cli.streams import say
from nsfw_caffe.errors import ResultsError

_PAGE_ENDINGS = (".html", ".htm")


def add_figures_options(parser: argparse._ActionsContainer) -> None:
    """Add the options of figures: as JSON, as plots, and as a page."""
    add_json_file_option(parser)
    parser.add_argument("--plots", type=Path, metavar="DIR", help="folder for the plots as PNG files; it is made")
    _add_html_option(parser)


def add_page_options(parser: argparse._ActionsContainer, thumbnails: str) -> None:
    """Add the options of a page; the help says which thumbnails there may be."""
    _add_html_option(parser)
    add_thumbnails_options(parser, thumbnails)


def add_thumbnails_options(parser: argparse._ActionsContainer, thumbnails: str) -> None:
    """Add the options of thumbnails."""
    parser.add_argument(
        "--thumbnails", type=positive, metavar="N", help=f"thumbnails on the page: {thumbnails}, blurred for good"
    )
    parser.add_argument("--clear", action="store_true", help="do not blur the thumbnails")


def _add_html_option(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="page to write too, which needs no other file")


def check_page_options(options: argparse.Namespace, parser: argparse.ArgumentParser, extra: str = "report") -> None:
    """Find out before the work whether a page can be drawn: the options go together, and matplotlib is there."""
    thumbnails = getattr(options, "thumbnails", None)
    if options.html is None:
        if thumbnails is not None:
            parser.error("--thumbnails goes with --html")
    # The page replaces what is at its path, which is not to be the results by a slip.
    elif options.html.suffix.lower() not in _PAGE_ENDINGS:
        parser.error(f"--html {options.html}: the page's name has to end in .html")
    elif not options.html.parent.is_dir():
        parser.error(f"--html {options.html}: there is no folder {options.html.parent}: make it first")
    if options.html is not None or getattr(options, "plots", None) is not None:
        from nsfw_caffe.report.figures import check_matplotlib

        check_matplotlib("a page or a plot", extra)
    if thumbnails is None and getattr(options, "clear", False):
        parser.error("--clear goes with --thumbnails")


def write_output(path: Path, content: bytes) -> None:
    """Write a file whole.

    Raises
    ------
    ResultsError
        It cannot be written.
    """
    from nsfw_caffe.system.files import write_file

    try:
        write_file(path, content)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_figures(path: Path | None, json: str, text: str) -> None:
    """Print the text; write the JSON where that is asked for, to standard output in the text's place."""
    if path == Path("-"):
        say(json)
        return
    if path is not None:
        write_output(path, f"{json}\n".encode())
    say(text, end="")
