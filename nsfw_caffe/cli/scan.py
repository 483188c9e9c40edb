"""`nsfw-caffe scan`: score folders, lists and archives into RESULTS."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from nsfw_caffe.__main__ import interrupt
from nsfw_caffe.cli import OK, SOME_FAILED, STOPPED
from nsfw_caffe.cli.arguments import (
    add_engine_options,
    check_engine_options,
    check_times,
    create_classifier,
    positive,
    seconds,
)
from nsfw_caffe.cli.progress import Progress
from nsfw_caffe.cli.streams import complain, say, standard_input, warn
from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.results.names import visible
from nsfw_caffe.system.reading import reason

_DESCRIPTION = """\
Score pictures, and with --videos also videos, in files, folders and archives (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz,
.warc, .warc.gz), and keep the results in a file. Run the same command again to go on with a scan that was broken off,
or to score what is new or has changed: what is known, and identical content, is not scored again.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("scan", help="score folders, lists and archives into a file", description=_DESCRIPTION)
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="a picture, a folder or an archive")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="RESULTS",
        help="the file for the results: .csv, .jsonl, .parquet or .sqlite",
    )
    parser.add_argument(
        "--list",
        action="append",
        default=[],
        metavar="FILE",
        help="a file that lists further sources, one a line; - for standard input",
    )
    parser.add_argument(
        "-0", "--null", action="store_true", help="read lists whose names end with NUL, as of find -print0"
    )
    found = parser.add_argument_group("what of folders and archives")
    found.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="GLOB",
        help="pattern of names to take alone, photo*.jpg for example",
    )
    found.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="pattern of names to leave out")
    found.add_argument("--hidden", action="store_true", help="take hidden files and folders too")
    parser.add_argument(
        "--frames",
        type=positive,
        default=1,
        metavar="N",
        help="frames to score of an animated picture, whose highest score counts; default: 1, the first",
    )
    parser.add_argument(
        "--videos",
        action="store_true",
        help="score videos too, and animated pictures by time; the highest score counts",
    )
    parser.add_argument(
        "--every", type=seconds, metavar="S", help="with --videos: seconds between frames; 0: all frames; default: 1"
    )
    parser.add_argument("--rescore", action="store_true", help="score everything anew, whatever RESULTS has")
    parser.add_argument("--retry", action="store_true", help="score again what is an error in RESULTS")
    parser.add_argument("--workers", type=positive, metavar="N", help="pictures worked on at a time; default: cores")
    add_engine_options(parser)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.scanning.scan import check_scan, scan

    check_engine_options(options, parser)
    _check_sources(options, parser)
    every = _every(options, parser)
    check_scan(options.sources, options.output, videos=options.videos)  # before the model is loaded
    classifier = create_classifier(options)
    sources = itertools.chain(options.sources, _listed(options)) if options.list else options.sources
    try:
        _heed_signals()
        with Progress(quiet=options.quiet) as progress:
            result = scan(
                sources,
                options.output,
                classifier=classifier,
                include=options.include,
                exclude=options.exclude,
                hidden=options.hidden,
                frames=options.frames,
                every=every,
                resume=not options.rescore,
                retry=options.retry,
                workers=options.workers,
                progress=progress.done if progress.shown else None,
                warned=warn if options.verbose else None,
            )
    except KeyboardInterrupt:
        complain("stopped; what was scored is kept: run the same command again to go on")
        return STOPPED
    say(f"{visible(str(options.output))}: {result}")
    return SOME_FAILED if result.errors else OK


def _every(options: argparse.Namespace, parser: argparse.ArgumentParser) -> float | None:
    """Return the seconds between frames of videos; None where videos are not wanted."""
    if not options.videos:
        if options.every is not None:
            parser.error("--every goes with --videos")
        return None
    if options.frames > 1:
        parser.error("--frames and --videos exclude each other: --videos looks at frames by their times, see --every")
    every: float = 1.0 if options.every is None else options.every
    check_times(parser, every)
    return every


def _heed_signals() -> None:
    """Let what ends a scan politely end it as Ctrl-C does, and that raise an error: RESULTS has what is scored then."""
    if threading.current_thread() is not threading.main_thread():
        return  # called from Python, where no signal comes
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt)


def _check_sources(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    if not options.sources and not options.list:
        parser.error("what shall be scanned? Give a SOURCE, or --list FILE")
    if options.list.count("-") > 1:
        parser.error("--list -: standard input can be read once")
    from nsfw_caffe.scanning.scan import not_there

    for path in options.sources + [path for path in options.list if path != "-"]:
        if (error := not_there(path)) is not None:
            parser.error("-: standard input is no source; to scan what it lists: --list -" if path == "-" else error)


def _listed(options: argparse.Namespace) -> Iterator[str]:
    from nsfw_caffe.sources.find import read_list

    for path in options.list:
        try:
            with contextlib.nullcontext(standard_input()) if path == "-" else Path(path).open("rb") as stream:
                yield from read_list(stream, nul=options.null)
        except (OSError, ValueError, TypeError) as error:  # TypeError: a caller from Python has put text there
            raise NsfwCaffeError(f"{path}: cannot be read ({reason(error)})") from error
