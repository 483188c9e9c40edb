"""`nsfw-caffe report`: what a file of results says, as text and as an HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsfw_caffe.commands.arguments import positive, probabilities
from nsfw_caffe.commands.common import OK
from nsfw_caffe.errors import ResultsError
from nsfw_caffe.report.summary import THRESHOLDS

_PAGE_ENDINGS = (".html", ".htm")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "report",
        help="summarise results",
        description="Print what a file of results says: counts, a histogram, the highest scores, what failed.",
    )
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a file that a scan has written")
    parser.add_argument("--html", type=Path, metavar="PAGE.html", help="also write a page that needs no other file")
    parser.add_argument(
        "--thumbnails", type=positive, metavar="N", help="show the N highest on the page, blurred for good"
    )
    parser.add_argument("--clear", action="store_true", help="do not blur the thumbnails")
    parser.add_argument(
        "--thresholds", type=probabilities, default=THRESHOLDS, metavar="T,T", help="default: 0.2,0.5,0.8"
    )
    parser.add_argument("--top", type=positive, default=10, metavar="N", help="how many to name; default: 10")


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.report.summary import summarise
    from nsfw_caffe.report.text import to_text
    from nsfw_caffe.results.formats import read_results

    _check(options, parser)
    pictures = options.thumbnails or 0
    summary = summarise(
        read_results(options.results), options.thresholds, top=options.top, highest=max(options.top, pictures)
    )
    if options.html is not None:  # before the text, whose reader may go away (`| head`)
        from nsfw_caffe.report.scan_page import to_html

        _write(options.html, to_html(summary, str(options.results), pictures=pictures, clear=options.clear))
    print(to_text(summary, options.top), end="")
    return OK


def _check(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
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


def _write(path: Path, page: bytes) -> None:
    from nsfw_caffe.model_file import write_whole

    try:
        write_whole(path, page)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error.strerror or error}") from error
