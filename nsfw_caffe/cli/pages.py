"""The options of subcommands that write a page, and the writing."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli.arguments import add_json_file_option, positive
from nsfw_caffe.cli.streams import say
from nsfw_caffe.errors import ResultsError

if TYPE_CHECKING:
    from nsfw_caffe.report.figures import Plot
    from nsfw_caffe.report.sections import Report

_PAGE_ENDINGS = (".html", ".htm")


def add_figures_options(parser: argparse._ActionsContainer) -> None:
    """Add the options of figures: as JSON, as plots, and as a page."""
    add_json_file_option(parser)
    add_plots_options(parser)


def add_plots_options(parser: argparse._ActionsContainer) -> None:
    """Add the options of plots and of a page."""
    parser.add_argument("--plots", type=Path, metavar="DIR", help="folder for the plots as PNG files; it is made")
    add_html_option(parser)


def add_html_option(parser: argparse._ActionsContainer) -> None:
    """Add the option of a page."""
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="page to write too, which needs no other file")


def add_thumbnails_options(parser: argparse._ActionsContainer, thumbnails: str) -> None:
    """Add the options of a page's thumbnails; the help says which there may be."""
    parser.add_argument(
        "--thumbnails", type=positive, metavar="N", help=f"thumbnails on the page: {thumbnails}, blurred for good"
    )
    parser.add_argument("--clear", action="store_true", help="do not blur the thumbnails")


def check_page_options(
    options: argparse.Namespace, parser: argparse.ArgumentParser, extra: str | None = "report"
) -> None:
    """Find out before the work whether a page can be drawn: the options go together, and matplotlib is there.

    `extra` is what brings matplotlib; None for a page without figures.
    """
    thumbnails = getattr(options, "thumbnails", None)
    if options.html is None:
        if thumbnails is not None:
            parser.error("--thumbnails goes with --html")
    # The page replaces what is at its path, which is not to be the results by a slip.
    elif options.html.suffix.lower() not in _PAGE_ENDINGS:
        parser.error(f"--html {options.html}: the page's name has to end in .html")
    elif not options.html.parent.is_dir():
        parser.error(f"--html {options.html}: there is no folder {options.html.parent}: make it first")
    if extra is not None and (options.html is not None or getattr(options, "plots", None) is not None):
        from nsfw_caffe.report.figures import check_matplotlib

        check_matplotlib("a page or a plot", extra)
    if thumbnails is None and getattr(options, "clear", False):
        parser.error("--clear goes with --thumbnails")


def write_output(path: Path, content: bytes) -> None:
    """Write a file whole; ResultsError where that cannot be."""
    from nsfw_caffe.system.files import write_file

    with _writing(path):
        write_file(path, content)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error


def write_page(report: Report, options: argparse.Namespace) -> None:
    """Write the page where one is asked for."""
    if options.html is not None:
        write_output(options.html, report.to_html())


def write_report(report: Report, json: str, options: argparse.Namespace) -> None:
    """Print the text; write what else is asked for, JSON for standard output in the text's place."""
    write_page(report, options)
    if options.plots is not None:
        write_plots(report.plots, options.plots)
    if options.json == Path("-"):
        say(json, end="")
        return
    if options.json is not None:
        write_output(options.json, json.encode())
    say(report.to_text(), end="")


def write_plots(plots: Sequence[Plot], folder: Path) -> None:
    """Draw each figure into a PNG file in a folder, which is made if need be; ResultsError where that cannot be."""
    from nsfw_caffe.report.figures import to_png

    for plot in plots:
        path = folder / f"{plot.name}.png"
        png = to_png(plot)
        with _writing(path):
            folder.mkdir(parents=True, exist_ok=True)
        write_output(path, png)
