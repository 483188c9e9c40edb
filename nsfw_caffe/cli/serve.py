"""`nsfw-caffe serve`: the HTTP service."""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import (
    add_engine_options,
    check_engine_options,
    is_original,
    limits,
    look,
    positive,
    scoring_options,
)
from nsfw_caffe.cli.progress import fetch_model
from nsfw_caffe.cli.streams import complain, finish, say
from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.proc import require_linux
from nsfw_caffe.system.processes import available_cores

_DESCRIPTION = """\
Answer HTTP requests with scores and heat maps, and serve a page at / that shows them. SIGTERM and Ctrl-C end it once
what is under way is answered. It listens on this machine alone unless --host says otherwise.
"""

_LIMITS = dataclasses.replace(DEFAULT_LIMITS, pixels=60_000_000, bytes=20 << 20)
"""Whoever may send pictures here is not always whoever started it."""

_DEFAULTS = ServiceOptions()


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("serve", help="answer HTTP requests, with a page", description=_DESCRIPTION)
    parser.set_defaults(run=lambda options: _run(options, parser))
    group = parser.add_argument_group("where, and for whom")
    group.add_argument("--host", default=_DEFAULTS.host, help=f"address to listen on; default: {_DEFAULTS.host}")
    text = f"port; 0: any that is free; default: {_DEFAULTS.port}"
    group.add_argument("--port", type=_port, default=_DEFAULTS.port, metavar="N", help=text)
    group.add_argument("--api-key-file", type=Path, metavar="FILE", help="file of keys, one of which requests carry")
    group = parser.add_argument_group("how much is done at once, and for how long")
    group.add_argument("--workers", type=positive, metavar="N", help="processes that score; default: cores")
    for option, kind, metavar, what in (
        ("queue", positive, "N", "pictures that may wait; more are answered with 503"),
        ("items", positive, "N", "pictures in one request"),
        ("seconds", _seconds, "S", "time for a picture, after which its worker is killed"),
        ("video-frames", positive, "N", "frames that are looked at of a video, at most"),
        ("video-seconds", _seconds, "S", "time for a video, after which its worker is killed"),
        ("body-seconds", _seconds, "S", "time for a request's body to arrive"),
        ("drain-seconds", _seconds, "S", "time for what is under way at the end"),
    ):
        default = getattr(_DEFAULTS, option.replace("-", "_"))
        text = f"{what}; default: {default:g}"
        group.add_argument(f"--{option}", type=kind, default=default, metavar=metavar, help=text)
    group = parser.add_argument_group("pictures and videos by their URLs")
    group.add_argument("--allow-url", action="store_true", help="fetch from public addresses")
    group.add_argument(
        "--allow-host", action="append", default=[], metavar="HOST", help="host to fetch from, and from no other"
    )
    text = f"time for a fetch; default: {_DEFAULTS.fetch_seconds:g}"
    group.add_argument("--fetch-seconds", type=_seconds, default=_DEFAULTS.fetch_seconds, metavar="S", help=text)
    add_engine_options(parser, _LIMITS)


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    check_engine_options(options, parser)
    if options.max_size is None:
        parser.error("--max-size: requests need a limit")
    if options.allow_host and not options.allow_url:
        parser.error("--allow-host goes with --allow-url")
    require_linux("serving")
    try:
        from nsfw_caffe.service.logs import to_standard_error
        from nsfw_caffe.service.server import serve
        from nsfw_caffe.service.set_up import WorkerSetUp
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nsfw_caffe"):
            raise
        raise NsfwCaffeError(f"serving needs {error.name}: {install_hint('serve')}") from error

    scoring = scoring_options(options)
    if is_original(options):
        fetch_model(lambda: look(scoring), quiet=options.quiet)
    model = {name: getattr(options, name) for name in ("prototxt", "caffemodel", "model", "score_class")}

    def announce(url: str) -> None:
        to_standard_error()  # what is logged from here on is the service's log
        say(f"serving at {url}", flush=True)

    in_time = serve(WorkerSetUp(scoring, model), _service_options(options), announce)
    if in_time:
        return OK
    complain(f"some requests were not answered within {options.drain_seconds:g} s (--drain-seconds)")
    finish()
    os._exit(SOME_FAILED)  # the server's threads still wait for those clients


def _service_options(options: argparse.Namespace) -> ServiceOptions:
    names = ("host", "port", "queue", "items", "seconds", "body_seconds", "drain_seconds", "allow_url", "fetch_seconds")
    return ServiceOptions(
        **{name: getattr(options, name) for name in (*names, "video_frames", "video_seconds", "api_key_file")},
        workers=options.workers or available_cores(),
        body_bytes=limits(options).bytes or 0,
        allow_hosts=tuple(options.allow_host),
    )


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {0xFFFF}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time: give seconds above 0")
    return value
