"""`nsfw-caffe evaluate`: how good scores are on labelled data, and where to put a threshold."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import (
    add_engine_options,
    check_engine_options,
    create_classifier,
    positive,
    probabilities,
    probability,
)
from nsfw_caffe.cli.pages import add_figures_options, add_thumbnails_options, check_page_options, write_report
from nsfw_caffe.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from nsfw_caffe.classifier import Classifier
    from nsfw_caffe.evaluate import Evaluation, Options
    from nsfw_caffe.report.thumbnails import Colour

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
    _add_data_options(parser)
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
    outputs.add_argument(
        "--heat-maps", action="store_true", help="show below each thumbnail which parts make the score, as scored now"
    )


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is evaluated: folders, or a table, with scores or without."""
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


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.evaluate.libraries import check_libraries
    from nsfw_caffe.report.evaluation import evaluation_report
    from nsfw_caffe.report.json_text import to_json

    check_libraries()
    check_page_options(options, parser, "evaluate")
    _check_data_options(options, parser)
    asked = _asked(options)
    classifier = functools.cache(lambda: create_classifier(options))
    colour = _colour(classifier()) if options.heat_maps else None
    evaluation = _evaluate(options, asked, classifier)
    report = evaluation_report(evaluation, pictures=options.thumbnails or 0, clear=options.clear, colour=colour)
    write_report(report, to_json(evaluation), options)
    return SOME_FAILED if evaluation.failures else OK


def _colour(classifier: Classifier) -> Colour:
    """Give what makes heat maps of thumbnails; ModelError or EngineUnavailable where the model has none."""
    from PIL import Image

    from nsfw_caffe.explain.drawing import coloured

    classifier.explain(Image.new("RGB", (1, 1)))  # before the work

    def colour(content: bytes, thumbnail: Image.Image) -> tuple[Image.Image, float]:
        explanation = classifier.explain(content)
        return coloured(thumbnail, explanation), explanation.score

    return colour


def _check_data_options(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End with a usage error where the options do not go together."""
    check_engine_options(options, parser)
    if options.heat_maps and options.thumbnails is None:
        parser.error("--heat-maps goes with --thumbnails")
    if bool(options.nsfw) != bool(options.sfw):
        parser.error("--nsfw and --sfw go together: a ROC needs both")
    if (options.data is not None) == bool(options.nsfw):
        parser.error("give DATA, or --nsfw DIR and --sfw DIR")
    if options.results is not None and options.data is None:
        parser.error("--results goes with DATA")


def _evaluate(options: argparse.Namespace, asked: Options, classifier: Callable[[], Classifier]) -> Evaluation:
    """Evaluate the labelled data that the options name."""
    from nsfw_caffe.evaluate.labelled_data import evaluate_folders, evaluate_table

    with Progress(quiet=options.quiet) as progress:
        evaluate = (
            functools.partial(evaluate_folders, options.nsfw, options.sfw)
            if options.data is None
            else functools.partial(evaluate_table, options.data, results=options.results)
        )
        return evaluate(
            options=asked,
            by=options.by,
            classifier=classifier,
            scores=options.scores,
            workers=options.workers,
            progress=progress.done if progress.shown else None,
        )


def _asked(options: argparse.Namespace) -> Options:
    from nsfw_caffe.evaluate.options import Options

    goals = {"fpr": options.max_fpr, "fnr": options.max_fnr, "precision": options.min_precision}
    given = vars(options) | goals
    values = {field.name: given[field.name] for field in dataclasses.fields(Options)}
    return Options(**{name: value for name, value in values.items() if value is not None})
