"""`nsfw-caffe report`: what a file of results says, as text and as an HTML page."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK
from nsfw_caffe.cli.arguments import add_json_option, positive, probabilities
from nsfw_caffe.cli.pages import add_html_option, add_thumbnails_options, check_page_options, write_page
from nsfw_caffe.cli.streams import say
from nsfw_caffe.results.record import THRESHOLDS

if TYPE_CHECKING:
    from nsfw_caffe.report.summary import Summary


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "report",
        help="summarise results",
        description="Print what a file of results says: counts, a histogram, the highest scores, what failed.",
    )
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a file that a scan has written")
    add_json_option(parser, "a JSON object")
    add_html_option(parser)
    add_thumbnails_options(parser, "the N highest")
    parser.add_argument(
        "--thresholds",
        type=probabilities,
        default=THRESHOLDS,
        metavar="T,T",
        help="thresholds to count at; default: 0.2,0.5,0.8",
    )
    parser.add_argument("--top", type=positive, default=10, metavar="N", help="number of sources to name; default: 10")


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
    if options.json:
        say(_to_json(summary, options.top))
    else:
        say(report.to_text(), end="")
    return OK


def _to_json(summary: Summary, top: int) -> str:
    """Write a summary as a JSON object: its keys are the attributes of `Summary`, and sources are as in results."""
    from nsfw_caffe.results.names import encode_name
    from nsfw_caffe.results.record import COLUMNS
    from nsfw_caffe.results.rows import to_row

    found = vars(summary) | {"set_ups": [set_up._asdict() for set_up in summary.set_ups]}
    for name in ("highest", "slowest", "failures"):
        found[name] = [dict(zip(COLUMNS, to_row(record), strict=True)) for record in getattr(summary, name)[:top]]
    for name in ("formats", "reasons"):
        found[name] = {encode_name(text): count for text, count in getattr(summary, name)}
    found["reached"] = [{"threshold": threshold, "count": count} for threshold, count in summary.reached]
    return json.dumps(found)
