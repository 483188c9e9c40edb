"""`nsfw-caffe video`: score videos and animations."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import (
    add_engine_options,
    add_json_option,
    check_engine_options,
    check_times,
    create_classifier,
    probability,
    seconds,
)
from nsfw_caffe.cli.pages import add_html_option, add_thumbnails_options, check_page_options, write_page
from nsfw_caffe.cli.progress import Seconds
from nsfw_caffe.cli.streams import begin_csv, complain, csv_line, say, standard_input
from nsfw_caffe.results.names import encode_name

if TYPE_CHECKING:
    from nsfw_caffe.classifier import Classifier
    from nsfw_caffe.report.video import Watched

_DESCRIPTION = """\
Score the frames that a video, or an animated GIF, PNG, WebP or AVIF file, shows every so many seconds, and print which
parts of it reach the threshold.
"""

_CSV = ("source", "start", "end", "score")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("video", help="score videos and animations over time", description=_DESCRIPTION)
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a video, or - for one on standard input")
    parser.add_argument(
        "--every", type=seconds, default=1.0, metavar="S", help="seconds between frames; 0: all frames; default: 1"
    )
    parser.add_argument("--start", type=seconds, metavar="TIME", help="time to start at, in seconds or as 1:02:03")
    parser.add_argument("--end", type=seconds, metavar="TIME", help="time to end before")
    parser.add_argument(
        "--threshold", type=probability, default=0.8, metavar="T", help="score that segments reach; default: 0.8"
    )
    parser.add_argument("--stop-at", type=probability, metavar="T", help="score that ends a video")
    form = parser.add_mutually_exclusive_group()
    add_json_option(form, "JSON Lines with all scores, one video a line")
    form.add_argument(
        "--csv", action="store_true", help="print CSV with a header: source, start, end, score of segments"
    )
    add_html_option(parser)
    add_thumbnails_options(parser, "the highest frames of N segments, 12 by default")
    add_engine_options(parser)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.errors import NsfwCaffeError
    from nsfw_caffe.report.video import PICTURES, video_report

    check_engine_options(options, parser)
    check_page_options(options, parser)
    if options.videos.count("-") > 1:
        parser.error("- is standard input, which gives one video, once")
    check_times(parser, options.every, options.start, options.end)
    classifier = create_classifier(options)
    if options.csv:
        begin_csv()
        say(csv_line(_CSV))
    watched = []
    for name in options.videos:
        watched.append(_watch(options, classifier, name))
        _print(options, watched[-1])
    if options.html is not None:
        pictures = PICTURES if options.thumbnails is None else options.thumbnails
        write_page(video_report(watched, pictures=pictures, clear=options.clear), options)
    failed = any(isinstance(video.outcome, NsfwCaffeError) for video in watched)
    return SOME_FAILED if failed else OK


def _watch(options: argparse.Namespace, classifier: Classifier, name: str) -> Watched:
    from nsfw_caffe.errors import ImageError, ScoreError
    from nsfw_caffe.report.video import Watched

    path = None if name == "-" else name
    with Seconds(name, quiet=options.quiet) as progress:
        try:
            found = classifier.classify_video(
                standard_input() if path is None else path,
                options.every,
                options.start,
                options.end,
                threshold=options.threshold,
                stop_at=options.stop_at,
                progress=progress.show,
            )
        except (ImageError, ScoreError) as error:
            complain(str(error))
            return Watched(name, error, path)
    for text in found.warnings:
        complain(f"{name}: {text}")
    return Watched(name, found, path)


def _print(options: argparse.Namespace, video: Watched) -> None:
    """Write what came of a video in the form that was asked for; what failed has none in text and CSV."""
    from nsfw_caffe.errors import NsfwCaffeError
    from nsfw_caffe.report.video import video_report

    source, found = encode_name(video.name), video.outcome
    if isinstance(found, NsfwCaffeError):
        if options.json:
            say(json.dumps({"source": source, "error": encode_name(str(found))}), flush=True)
    elif options.json:
        say(json.dumps({"source": source, "error": None, **found.to_json()}), flush=True)
    elif options.csv:
        for segment in found.segments:
            say(csv_line((source, segment.start, segment.end, segment.score)), flush=True)
    else:
        say(video_report([video]).to_text(), end="", flush=True)
