"""`nsfw-caffe classify`: score pictures."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import (
    add_engine_options,
    add_json_option,
    check_engine_options,
    create_classifier,
    probability,
)
from nsfw_caffe.cli.progress import Progress
from nsfw_caffe.cli.streams import begin_csv, complain, csv_line, say, standard_input, warn
from nsfw_caffe.results.names import encode_name, visible

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier, Result


_MANY = 20
"""Pictures from which on progress is shown: one takes a moment."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("classify", help="score pictures", description="Print 'score<TAB>path' a picture.")
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture, or - for one on standard input")
    form = parser.add_mutually_exclusive_group()
    add_json_option(form, "JSON Lines with source, score, error (and verdict)")
    form.add_argument("--csv", action="store_true", help="print CSV with a header: source, score, error (and verdict)")
    parser.add_argument("--threshold", type=probability, metavar="T", help="score from which on the verdict is nsfw")
    add_engine_options(parser)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    check_engine_options(options, parser)
    if options.images.count("-") > 1:
        parser.error("- is standard input, which gives one picture, once")
    classifier = create_classifier(options)
    results = classifier.scan([standard_input() if image == "-" else image for image in options.images])
    if options.csv:
        begin_csv()
        say(csv_line(["source", "score", "error"] + (["verdict"] if options.threshold is not None else [])))
    verdicts = _verdicts(classifier)
    count = len(options.images)
    with Progress(quiet=options.quiet or count < _MANY, total=count) as progress:
        for image, result in zip(options.images, results, strict=True):
            _print(options, image, result, verdicts)
            if options.verbose:
                warn(image, result.warnings)
            if result.error is not None:
                complain(result.error + _advice(image))
            progress.add(failed=result.error is not None)
    return SOME_FAILED if progress.errors else OK


def _advice(image: str) -> str:
    if not os.path.isdir(image):  # noqa: PTH112 - any text may come here
        return ""
    return f"; to score a folder: nsfw-caffe scan {shlex.quote(image)} -o results.csv"


def _print(options: argparse.Namespace, image: str, result: Result, verdicts: tuple[str, str]) -> None:
    """Write a result in the form that was asked for; what failed has none in text."""
    verdict = _verdict(result.score, options.threshold, verdicts)
    if not (options.csv or options.json):
        if result.score is not None:
            say(f"{result.score!r}\t{visible(image)}" + (f"\t{verdict}" if verdict else ""), flush=True)
        return
    error = None if result.error is None else encode_name(result.error)
    row: dict[str, object] = {"source": encode_name(image), "score": result.score, "error": error}
    if options.threshold is not None:
        row["verdict"] = verdict
    say(csv_line(row.values()) if options.csv else json.dumps(row), flush=True)


def _verdict(score: float | None, threshold: float | None, verdicts: tuple[str, str]) -> str | None:
    if score is None or threshold is None:
        return None
    return verdicts[score >= threshold]


def _verdicts(classifier: Classifier) -> tuple[str, str]:
    """Name what is below a threshold and what is not: sfw and nsfw, or what a model of one's own has in their place."""
    others = [name for name in classifier.classes if name != classifier.score_class]
    return others[0] if len(others) == 1 else f"not {classifier.score_class}", classifier.score_class
