"""What options of several subcommands take, and the options that all of them have.

The help of an option that takes something begins with a noun, that of a switch or a subcommand with a verb.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli.progress import fetch_model
from nsfw_caffe.engines.base import require_engine
from nsfw_caffe.options import ENGINES, PRECISIONS, ScoringOptions, parse_device
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier

_LIMITS = (
    ("pixels", "pixels", "width times height"),
    ("side", "side", "the longer of width and height"),
    ("scans", "jpeg_scans", "scans of a JPEG file"),
    ("animation-pixels", "animation_pixels", "frames times pixels, with --frames"),
    ("steps", "steps", "reads and pixels that Pillow works through in Python"),
)
"""Options after ``--max-``, the fields of `Limits` that they set, and their help."""

_TABLES = (".csv", ".jsonl", ".parquet", ".sqlite")


def probability(text: str) -> float:
    """Read a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def probabilities(text: str) -> tuple[float, ...]:
    """Read numbers from 0 to 1 with commas between them."""
    return tuple(probability(part) for part in text.split(","))


def limit(text: str) -> int | None:
    """Read a whole number from 1, or ``none``."""
    return None if text == "none" else positive(text)


def positive(text: str) -> int:
    """Read a whole number from 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def seconds(text: str) -> float:
    """Read a time: seconds, or minutes or hours before a colon."""
    parts = [float(part) for part in text.split(":")]
    value: float = sum(part * 60.0**power for power, part in enumerate(reversed(parts)))
    if len(parts) > 3 or not math.isfinite(value) or min(parts) < 0:
        raise argparse.ArgumentTypeError(f"{text} is no time, such as 90 or 1:30")
    return value


def check_times(
    parser: argparse.ArgumentParser, every: float, start: float | None = None, end: float | None = None
) -> None:
    """Refuse times of frames that make no sense."""
    from nsfw_caffe.sources.timeline import Grid

    try:
        Grid(every, start or 0.0, math.inf if end is None else end)
    except ValueError as error:
        parser.error(f"--{error}")


def add_json_option(parser: argparse._ActionsContainer, what: str) -> None:
    """Add --json: JSON on standard output in place of the text."""
    parser.add_argument("--json", action="store_true", help=f"print {what} in place of the text")


def add_json_file_option(parser: argparse._ActionsContainer) -> None:
    """Add --json that also takes a file: JSON is written there then, and the text is printed too."""
    parser.add_argument(
        "--json",
        nargs="?",
        const=Path("-"),
        type=_json_file,
        metavar="FILE.json",
        help="print JSON in place of the text; with FILE.json: write it there, and print the text too",
    )


def _json_file(text: str) -> Path:
    if text != "-" and not text.lower().endswith(".json"):
        raise argparse.ArgumentTypeError(f"{text}: the file's name has to end in .json; --json alone prints")
    return Path(text)


def join_json_file(arguments: Sequence[str]) -> list[str]:
    """Make of ``--json FILE`` one argument, unless what follows is a table, which is what the JSON is to be made of."""
    joined: list[str] = []
    for argument in arguments:
        if joined and len(joined[-1]) > 2 and "--json".startswith(joined[-1]):
            takes_it = argument == "-" or (not argument.startswith("-") and not argument.lower().endswith(_TABLES))
            joined[-1] = f"--json={argument if takes_it else '-'}"
            if takes_it:
                continue
        joined.append(argument)
    return joined


def all_parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser, those of its subcommands, and so on down."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from all_parsers(below)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add -v and -q to a parser and to all of its subcommands, so that they may stand before a subcommand or after."""
    for each in all_parsers(parser):
        default = False if each is parser else argparse.SUPPRESS  # else a subcommand would reset what stood before it
        each.add_argument(
            "-v", "--verbose", action="store_true", default=default, help="say what is logged, and warned of pictures"
        )
        each.add_argument(
            "-q", "--quiet", action="store_true", default=default, help="show no progress, which terminals alone see"
        )


def add_engine_options(parser: argparse.ArgumentParser, defaults: Limits = DEFAULT_LIMITS) -> None:
    """Add the options that say what scores, and how much a picture may ask for."""
    group = parser.add_argument_group("what scores")
    group.add_argument(
        "--published", action="store_true", help="give the bits published before 2022: Caffe on ATLAS, IJG libjpeg 9d"
    )
    group.add_argument(
        "--engine", choices=(*ENGINES, "auto"), default="auto", help="engine; default: the first installed"
    )
    group.add_argument("--device", type=device, default="cpu", help="device: cpu (default) or gpu:N")
    group.add_argument(
        "--decode",
        choices=("exact", "fast"),
        default="exact",
        help="decoding; fast: large JPEG files smaller, other scores",
    )
    group.add_argument(
        "--precision", choices=PRECISIONS, default="float32", help="precision; bfloat16: faster, other scores"
    )
    group.add_argument("--threads", type=positive, metavar="N", help="threads that compute; default: all cores")
    add_model_options(group)
    group.add_argument(
        "--class", dest="score_class", metavar="NAME", help="class of the model that the score is of; default: nsfw"
    )

    group = parser.add_argument_group("how much a picture may ask for: more is an error; 'none' is no limit")
    for option, field, what in _LIMITS:
        default = getattr(defaults, field)
        text = f"{what}; default: {_in_words(default)}"
        group.add_argument(f"--max-{option}", dest=field, type=limit, default=default, metavar="N", help=text)
    default = (defaults.bytes or 0) >> 20
    group.add_argument(
        "--max-size", type=limit, default=default, metavar="MIB", help=f"size of the file; default: {default}"
    )


def _in_words(number: int) -> str:
    for unit, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if number >= unit and number % unit == 0:
            return f"{number // unit} {name}"
    return str(number)


def add_model_options(parser: argparse._ActionsContainer) -> None:
    """Add the options that name a model of one's own."""
    parser.add_argument("--model", metavar="DIR", help="folder of your own model, with model.json")
    parser.add_argument("--prototxt", metavar="FILE", help="network of your own model, without a folder")
    parser.add_argument("--caffemodel", metavar="FILE", help="weights of your own model")


def limits(options: argparse.Namespace) -> Limits:
    """Return the limits that the options say."""
    size = None if options.max_size is None else options.max_size << 20
    return Limits(**{field: getattr(options, field) for _, field, _ in _LIMITS}, bytes=size)


def check_engine_options(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End with a usage error where the options do not go together."""
    check_model_options(options, parser)
    set_up = (options.engine, options.device, options.decode, options.precision, options.threads)
    usual = ("cpu", "exact", "float32", None)
    if options.published and set_up not in (("auto", *usual), ("caffe", *usual)):
        parser.error("--published says all: leave --engine, --device, --decode, --precision and --threads out")


def check_model_options(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """End with a usage error where the options name no model, or two."""
    if (options.prototxt is None) != (options.caffemodel is None):
        parser.error("--prototxt and --caffemodel go together")
    if options.model is not None and options.prototxt is not None:
        parser.error("--model says all: leave --prototxt and --caffemodel out")


def is_original(options: argparse.Namespace) -> bool:
    """Tell whether no model of one's own is named."""
    return options.model is None and options.prototxt is None


def create_classifier(options: argparse.Namespace) -> Classifier:
    """Create the Classifier that the options say; the original model is fetched first, with progress bars."""
    from nsfw_caffe.classifier import Classifier

    scoring = scoring_options(options)
    if is_original(options):
        fetch_model(lambda: look(scoring), quiet=options.quiet)
    names = ("prototxt", "caffemodel", "model", "score_class")
    return Classifier.from_options(scoring, **{name: getattr(options, name) for name in names})


def scoring_options(options: argparse.Namespace) -> ScoringOptions:
    """Return what the options say of how pictures are scored."""
    if options.published:
        return ScoringOptions.published(limits=limits(options))
    names = ("engine", "device", "decode", "precision", "threads")
    return ScoringOptions(**{name: getattr(options, name) for name in names}, limits=limits(options))


def look(options: ScoringOptions) -> None:
    """Raise the error of an engine that is not there, before the model is downloaded for it."""
    create_codec(options.jpeg, options.decode)
    require_engine(options)


def device(text: str) -> str:
    """Read the name of a device."""
    try:
        return parse_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
