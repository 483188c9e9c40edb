"""`nsfw-caffe report`: what a file of results says, as text and as an HTML page."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsfw_caffe.cli.arguments import positive, probabilities
from nsfw_caffe.cli.common import OK
from nsfw_caffe.cli.pages import add_page_options, check_page_options, write_page
from nsfw_caffe.cli.streams import say
from nsfw_caffe.results.record import THRESHOLDS


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "report",
        help="summarise results",
        description="Print what a file of results says: counts, a histogram, the highest scores, what failed.",
    )
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a file that a scan has written")
    add_page_options(parser, "the N highest")
    parser.add_argument(
        "--thresholds", type=probabilities, default=THRESHOLDS, metavar="T,T", help="default: 0.2,0.5,0.8"
    )
    parser.add_argument("--top", type=positive, default=10, metavar="N", help="how many to name; default: 10")


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.report.scan import scan_report
    from nsfw_caffe.report.summary import summarise
    from nsfw_caffe.results.formats import read_results

    check_page_options(options, parser)
    pictures = options.thumbnails or 0
    summary = summarise(
        read_results(options.results), options.thresholds, top=options.top, highest=max(options.top, pictures)
    )
    report = scan_report(summary, str(options.results), top=options.top, pictures=pictures, clear=options.clear)
    write_page(report, options)  # before the text, whose reader may go away (`| head`)
    say(report.to_text(), end="")
    return OK
