"""`nsfw-caffe explain`: show which parts of a picture make its score."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import (
    add_engine_options,
    add_json_option,
    check_engine_options,
    create_classifier,
    limits,
)
from nsfw_caffe.cli.pages import write_output
from nsfw_caffe.cli.streams import complain, say, standard_input, warn
from nsfw_caffe.results.names import encode_name, visible

if TYPE_CHECKING:
    from nsfw_caffe.explain import Explanation
    from nsfw_caffe.preprocessing.steps import Source

_DESCRIPTION = """\
Print a picture's score, and the log-odds of its places from top left, whose mean makes the score; with -o, draw them
over the picture.
"""

_COLUMNS = 8
"""Places that are printed beside one another, at most."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "explain", help="show which parts of a picture make its score", description=_DESCRIPTION
    )
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("image", metavar="IMAGE", help="a picture, or - for one on standard input")
    parser.add_argument("-o", "--output", type=Path, metavar="HEAT.png", help="picture of the heat map to write")
    parser.add_argument("--force", action="store_true", help="replace the file that is there")
    parser.add_argument(
        "--fine", action="store_true", help="show smaller places: the mean of 25 shifted crops, and their scores' range"
    )
    add_json_option(parser, "a JSON object")
    add_engine_options(parser)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.errors import ImageError, ScoreError
    from nsfw_caffe.preprocessing.decoder_warnings import collected

    check_engine_options(options, parser)
    _check_output(options, parser)
    classifier = create_classifier(options)
    source: Source = options.image
    with collected() as said:
        try:
            if options.image == "-":
                source = _whole_input(options)
            explanation = classifier.explain(source, detail="fine" if options.fine else "exact")
            if options.output is not None:
                write_output(options.output, _drawn(source, explanation, options))
        except (ImageError, ScoreError) as error:
            complain(str(error))
            return SOME_FAILED
    if options.verbose:
        warn(options.image, said)
    if options.json:
        say(json.dumps({"source": encode_name(options.image), **explanation.to_json()}))
    else:
        say(_text(options.image, explanation))
    return OK


def _check_output(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Find out before the work whether the picture can be written, and would not take a picture's place by a slip."""
    if options.output is None:
        if options.force:
            parser.error("--force goes with -o")
        return
    if options.output.suffix.lower() != ".png":
        parser.error(f"-o {options.output}: the picture's name has to end in .png")
    if options.output.exists() and not options.force:
        parser.error(f"{options.output} is there already; --force replaces it")
    if not options.output.parent.is_dir():
        parser.error(f"-o {options.output}: there is no folder {options.output.parent}: make it first")


def _whole_input(options: argparse.Namespace) -> bytes:
    """Read standard input, which is drawn too after it was scored."""
    from nsfw_caffe.errors import ImageError
    from nsfw_caffe.system.reading import UnreadableError, read_source

    try:
        return read_source(standard_input(), limits(options).bytes)
    except UnreadableError as error:
        raise ImageError("-", str(error)) from error


def _drawn(source: Source, explanation: Explanation, options: argparse.Namespace) -> bytes:
    from nsfw_caffe.explain import overlay

    output = io.BytesIO()
    overlay(source, explanation, limits=limits(options)).save(output, "PNG")
    return output.getvalue()


def _text(name: str, explanation: Explanation) -> str:
    """Write the score and its places, of many the means of neighbours, so that they fit on a line."""
    import numpy as np

    places = explanation.heat_map + explanation.bias
    rows, columns = (min(side, _COLUMNS) for side in places.shape)
    shown = [[part.mean() for part in np.array_split(band, columns, 1)] for band in np.array_split(places, rows)]
    lines = [f"{explanation.score!r}\t{visible(name)}"]
    if explanation.score_range is not None:
        low, high = explanation.score_range
        lines.append(f"of shifted crops: {low:.4f} to {high:.4f}")
    of = f"{explanation.score_class} against {' and '.join(explanation.others)}"
    lines.append(f"log-odds of {visible(of)}: {explanation.log_odds:.2f}; of its places, from top left:")
    lines += ["".join(f"{place:7.1f}" for place in row) for row in shown]
    return "\n".join(lines)
