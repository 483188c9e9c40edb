"""`nsfw-caffe rank`: the highest and the lowest scores of a file of results."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK
from nsfw_caffe.cli.arguments import add_json_option, positive
from nsfw_caffe.cli.streams import begin_csv, csv_line, say

if TYPE_CHECKING:
    from nsfw_caffe.results.record import Record

_TOP = 10


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "rank",
        help="print the highest or lowest scores of results",
        description="Print 'score<TAB>source', the highest scores first, then the lowest, the lowest of them first.",
    )
    parser.set_defaults(run=_run)
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a file that a scan has written")
    parser.add_argument(
        "--top", type=positive, metavar="N", help=f"the N highest; default: {_TOP}, or none with --bottom"
    )
    parser.add_argument("--bottom", type=positive, default=0, metavar="N", help="the N lowest")
    form = parser.add_mutually_exclusive_group()
    add_json_option(form, "JSON Lines with all columns of the results")
    form.add_argument("--csv", action="store_true", help="print CSV with a header and all columns of the results")


def _run(options: argparse.Namespace) -> int:
    from nsfw_caffe.report.summary import TopK, highest_first, lowest_first
    from nsfw_caffe.results.formats import read_results

    top = options.top or (0 if options.bottom else _TOP)
    highest, lowest = TopK(top, highest_first), TopK(options.bottom, lowest_first)
    for record in read_results(options.results):
        if record.score is not None:
            highest.add(record)
            lowest.add(record)
    _print(options, (*highest.entries(), *lowest.entries()))
    return OK


def _print(options: argparse.Namespace, records: Iterable[Record]) -> None:
    from nsfw_caffe.results.names import visible
    from nsfw_caffe.results.record import COLUMNS
    from nsfw_caffe.results.rows import to_row

    if options.csv:
        begin_csv()
        say(csv_line(COLUMNS))
    for record in records:
        if options.csv:
            say(csv_line(to_row(record)))
        elif options.json:
            say(json.dumps(dict(zip(COLUMNS, to_row(record), strict=True))))
        else:
            say(f"{record.score!r}\t{visible(record.source)}")
