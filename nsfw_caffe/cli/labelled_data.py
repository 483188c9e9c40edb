"""The options that say what is evaluated: folders, or a table, with scores or without."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli.arguments import positive
from nsfw_caffe.cli.engine_options import add_engine_options, check_engine_options, create_classifier
from nsfw_caffe.cli.progress import Progress

if TYPE_CHECKING:
    from nsfw_caffe.evaluate import Evaluation, Options


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "data",
        nargs="?",
        type=Path,
        metavar="DATA",
        help="a .csv, .jsonl, .parquet or .sqlite table with label (nsfw or sfw, 1 or 0), and source or score",
    )
    parser.add_argument(
        "--nsfw", action="append", default=[], metavar="DIR", help="folder of nsfw pictures, in place of DATA"
    )
    parser.add_argument("--sfw", action="append", default=[], metavar="DIR", help="folder of sfw pictures")
    parser.add_argument(
        "--results", type=Path, metavar="RESULTS", help="a finished scan that has the scores of DATA's sources"
    )
    parser.add_argument(
        "--scores", type=Path, metavar="FILE", help="file for scores that have to be computed; default: in the cache"
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="pictures worked on at a time; default: cores")
    add_engine_options(parser)


def evaluate_data(options: argparse.Namespace, parser: argparse.ArgumentParser, asked: Options) -> Evaluation:
    """Evaluate the labelled data that the options name."""
    from nsfw_caffe.evaluate.labelled_data import evaluate_folders, evaluate_table

    check_engine_options(options, parser)
    if bool(options.nsfw) != bool(options.sfw):
        parser.error("--nsfw and --sfw go together: a ROC needs both")
    if (options.data is not None) == bool(options.nsfw):
        parser.error("give DATA, or --nsfw DIR and --sfw DIR")
    if options.results is not None and options.data is None:
        parser.error("--results goes with DATA")
    with Progress(quiet=options.quiet) as progress:
        evaluate = (
            functools.partial(evaluate_folders, options.nsfw, options.sfw)
            if options.data is None
            else functools.partial(evaluate_table, options.data, results=options.results)
        )
        return evaluate(
            options=asked,
            by=options.by,
            classifier=lambda: create_classifier(options),
            scores=options.scores,
            workers=options.workers,
            progress=progress.done if progress.shown else None,
        )
