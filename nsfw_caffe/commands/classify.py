"""`nsfw-caffe classify`: score pictures."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from nsfw_caffe.commands.arguments import positive, probability
from nsfw_caffe.commands.common import OK, SOME_FAILED, complain, fetch_model
from nsfw_caffe.engines.base import ENGINES, PRECISIONS, parse_device

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier, Result

_PUBLISHED = ("cpu", "exact", "float32", None)
"""What the options after the engine are by default, and with --published have to be."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("classify", help="score pictures", description="Print 'score<TAB>path' a picture.")
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture, or - for one on standard input")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON Lines: source, score, error (and verdict)")
    form.add_argument("--csv", action="store_true", help="CSV with a header: source, score, error (and verdict)")
    parser.add_argument(
        "--threshold", type=probability, metavar="T", help="add a verdict: nsfw where score >= T, else sfw"
    )
    parser.add_argument(
        "--published", action="store_true", help="the bits published before 2022: Caffe on ATLAS, IJG libjpeg 9d"
    )
    parser.add_argument("--engine", choices=(*ENGINES, "auto"), default="auto", help="default: the first installed")
    parser.add_argument("--device", type=_device, default="cpu", help="cpu (default) or gpu:N")
    parser.add_argument(
        "--decode",
        choices=("exact", "fast"),
        default="exact",
        help="fast: decode large JPEG files smaller; other scores",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="bfloat16: faster, other scores")
    parser.add_argument("--threads", type=positive, metavar="N", help="that compute; default: all cores")
    parser.add_argument("--prototxt", metavar="FILE", help="the network of your own model")
    parser.add_argument("--caffemodel", metavar="FILE", help="the weights of your own model")


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if (options.prototxt is None) != (options.caffemodel is None):
        parser.error("--prototxt and --caffemodel go together")
    set_up = (options.engine, options.device, options.decode, options.precision, options.threads)
    if options.published and set_up not in (("auto", *_PUBLISHED), ("caffe", *_PUBLISHED)):
        parser.error("--published says all: leave --engine, --device, --decode, --precision and --threads out")
    classifier = _create_classifier(options)
    results = classifier.scan([sys.stdin.buffer if image == "-" else image for image in options.images])
    print_result = _printer(options)
    failed = False
    for image, result in zip(options.images, results, strict=True):
        print_result(image, result)
        if result.error is not None:
            failed = True
            complain(result.error)
    return SOME_FAILED if failed else OK


def _create_classifier(options: argparse.Namespace) -> Classifier:
    from nsfw_caffe.classifier import Classifier

    if options.prototxt is None:
        fetch_model()
    files = {"prototxt": options.prototxt, "caffemodel": options.caffemodel}
    if options.published:
        return Classifier.published(**files)
    names = ("engine", "device", "decode", "precision", "threads")
    return Classifier(**{name: getattr(options, name) for name in names}, **files)


def _printer(options: argparse.Namespace) -> Callable[[str, Result], None]:
    """Return what writes one result in the form that was asked for."""

    def row(image: str, result: Result) -> dict[str, str | float | None]:
        columns: dict[str, str | float | None] = {"source": image, "score": result.score, "error": result.error}
        if options.threshold is not None:
            columns["verdict"] = _verdict(result.score, options.threshold)
        return columns

    def print_json(image: str, result: Result) -> None:
        print(json.dumps(row(image, result)), flush=True)

    def print_csv(image: str, result: Result) -> None:
        writer.writerow(row(image, result))
        sys.stdout.flush()

    def print_text(image: str, result: Result) -> None:
        if result.score is not None:
            verdict = _verdict(result.score, options.threshold)
            print(f"{result.score!r}\t{image}" + (f"\t{verdict}" if verdict else ""), flush=True)

    if options.csv:
        names = ["source", "score", "error"] + (["verdict"] if options.threshold is not None else [])
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        return print_csv
    return print_json if options.json else print_text


def _verdict(score: float | None, threshold: float | None) -> str | None:
    if score is None or threshold is None:
        return None
    return "nsfw" if score >= threshold else "sfw"


def _device(text: str) -> str:
    try:
        parse_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
