"""`nsfw-caffe evaluate`: how good scores are on labelled data, and where to put a threshold."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import positive, probabilities, probability
from nsfw_caffe.cli.labelled_data import add_data_options, evaluate_data
from nsfw_caffe.cli.pages import add_figures_options, add_thumbnails_options, check_page_options, write_report

if TYPE_CHECKING:
    from nsfw_caffe.evaluate.options import Options

_DESCRIPTION = """\
Plot the ROC curve of the scores on your own labelled data and choose a threshold: the data are two folders, a table
with labels, or a finished scan and a table with labels.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "evaluate", help="plot the ROC, choose a threshold on labelled data", description=_DESCRIPTION
    )
    parser.set_defaults(run=lambda options: _run(options, parser))
    add_data_options(parser)
    parser.add_argument(
        "--by", action="append", default=[], metavar="COLUMN", help="column for whose values the figures are given too"
    )
    goals = parser.add_argument_group("the threshold to choose")
    goal = goals.add_mutually_exclusive_group()
    goal.add_argument(
        "--max-fpr", type=probability, metavar="P", help="share of sfw that is flagged at most; default: 0.01"
    )
    goal.add_argument("--max-fnr", type=probability, metavar="P", help="share of nsfw that is missed at most")
    goal.add_argument(
        "--min-precision", type=probability, metavar="P", help="share of what is flagged that is nsfw at least"
    )
    goal.add_argument(
        "--cost-ratio",
        type=float,
        metavar="R",
        help="false alarms that a missed nsfw costs as much as; the cost is least",
    )
    goals.add_argument(
        "--confident", action="store_true", help="choose it so that new data keep the goal too, at the level"
    )
    figures = parser.add_argument_group("figures")
    figures.add_argument(
        "--thresholds", type=probabilities, metavar="T,T", help="thresholds to give rates at; default: 0.2,0.5,0.8"
    )
    figures.add_argument("--low", type=probability, metavar="T", help="score below which pictures pass; default: 0.2")
    figures.add_argument(
        "--high", type=probability, metavar="T", help="score from which on they are blocked; default: 0.8"
    )
    figures.add_argument("--level", type=probability, metavar="P", help="confidence of the intervals; default: 0.95")
    figures.add_argument("--resamples", type=positive, metavar="N", help="resamples of the bootstrap; default: 1000")
    figures.add_argument("--seed", type=int, metavar="N", help="seed of the bootstrap; default: 0")
    figures.add_argument("--bins", type=positive, metavar="N", help="bins of the calibration; default: 15")
    figures.add_argument("--worst", type=positive, metavar="N", help="mistakes to name on each side; default: 20")
    outputs = parser.add_argument_group("outputs")
    add_figures_options(outputs)
    add_thumbnails_options(outputs, "the N worst mistakes on each side")


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.evaluate.libraries import check_libraries
    from nsfw_caffe.report.evaluation import evaluation_report
    from nsfw_caffe.report.json_text import to_json

    check_libraries()
    check_page_options(options, parser, "evaluate")
    evaluation = evaluate_data(options, parser, _asked(options))
    report = evaluation_report(evaluation, pictures=options.thumbnails or 0, clear=options.clear)
    write_report(report, to_json(evaluation), options)
    return SOME_FAILED if evaluation.failures else OK


def _asked(options: argparse.Namespace) -> Options:
    from nsfw_caffe.evaluate.options import Options

    goals = {"fpr": options.max_fpr, "fnr": options.max_fnr, "precision": options.min_precision}
    given = vars(options) | goals
    values = {field.name: given[field.name] for field in dataclasses.fields(Options)}
    return Options(**{name: value for name, value in values.items() if value is not None})
