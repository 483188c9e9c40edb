"""`nsfw-caffe compare`: two sets of scores of the same labelled sources."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from nsfw_caffe.cli import OK
from nsfw_caffe.cli.arguments import probability
from nsfw_caffe.cli.pages import add_figures_options, check_page_options, write_report
from nsfw_caffe.cli.progress import Progress
from nsfw_caffe.options import ENGINES

_DESCRIPTION = """\
Compare the scores of two scans (other engines, other precisions, a fine-tuned model) on the same labelled sources: the
difference of the areas under the ROC curves, and every verdict that changed. A model folder in place of a scan has the
model score the labelled sources first.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("compare", help="compare two sets of scores", description=_DESCRIPTION)
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("first", type=Path, metavar="A", help="RESULTS of a scan, or a folder of a model")
    parser.add_argument("second", type=Path, metavar="B", help="another one")
    parser.add_argument(
        "--labels", type=Path, metavar="LABELS", help="a table with source and label; default: A, with a column label"
    )
    parser.add_argument(
        "--threshold", type=probability, default=0.5, metavar="T", help="threshold of the verdicts; default: 0.5"
    )
    parser.add_argument(
        "--level", type=probability, default=0.95, metavar="P", help="confidence of the interval; default: 0.95"
    )
    parser.add_argument("--engine", choices=(*ENGINES, "auto"), default="auto", help="engine of models; default: auto")
    add_figures_options(parser)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.evaluate.comparison import compare_runs
    from nsfw_caffe.evaluate.libraries import check_libraries
    from nsfw_caffe.evaluate.load import pair, read_labelled
    from nsfw_caffe.report.comparison import comparison_report
    from nsfw_caffe.report.json_text import to_json

    check_libraries()
    check_page_options(options, parser, "evaluate")
    labelled = read_labelled(options.labels or options.first)
    paths = (options.first, options.second)
    runs = pair(labelled, *(_results(path, options) for path in paths))
    first, second = (dataclasses.replace(run, name=str(path)) for run, path in zip(runs, paths, strict=True))
    compared = compare_runs(first, second, threshold=options.threshold, level=options.level)
    write_report(comparison_report(compared), to_json(compared), options)
    return OK


def _results(path: Path, options: argparse.Namespace) -> Path:
    """Give RESULTS: a path itself, or where it is a model's folder, what that makes of the labelled sources."""
    from nsfw_caffe.classifier import Classifier
    from nsfw_caffe.evaluate.labelled_data import keep_scores

    if not path.is_dir():
        return path
    classifier = Classifier(model=path, engine=options.engine)
    with Progress(quiet=options.quiet) as progress:
        return keep_scores(options.labels or options.first, classifier, progress.done if progress.shown else None)
