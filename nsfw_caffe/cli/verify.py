"""`nsfw-caffe verify`: compare this machine's bits with those that are recorded."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED, UNAVAILABLE
from nsfw_caffe.cli.progress import fetch_model
from nsfw_caffe.cli.streams import complain, say
from nsfw_caffe.errors import EngineUnavailable, ImageError
from nsfw_caffe.results.names import visible

if TYPE_CHECKING:
    from nsfw_caffe.fidelity.measure import SetUp
    from nsfw_caffe.fidelity.verify import Finding


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "verify",
        help="check that this machine gives the recorded bits",
        description="Score known pictures and compare stage by stage with what is recorded of them.",
    )
    parser.set_defaults(run=_run)
    parser.add_argument("--published", action="store_true", help="check the set-up of the published scores")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE.json",
        help="file of published scores; the pictures beside it are checked too",
    )


def _run(options: argparse.Namespace) -> int:
    from nsfw_caffe.engines.base import EngineOptions, require_engine
    from nsfw_caffe.fidelity import verify

    look = functools.partial(require_engine, "caffe" if options.published else "auto", EngineOptions())
    fetch_model(look, quiet=options.quiet)
    expected = verify.recorded_pictures()
    if options.against is not None:
        expected += verify.published_pictures(options.against)
    status = OK
    try:
        set_up, findings = verify.check(expected, published=options.published)
    except ImageError as error:
        complain(str(error))
        return UNAVAILABLE
    except EngineUnavailable as error:
        if options.published:
            raise
        complain(str(error))
        status = UNAVAILABLE
    else:
        _print_findings(set_up, findings)
        status = OK if all(finding.equal for finding in findings) else SOME_FAILED
    if options.published:  # a set-up of Caffe's
        return status
    say("")
    for portable in verify.check_portable(expected):
        say(f"{portable.engine:<24}{portable.verdict:<15}{portable.reason}")
        if portable.verdict == "different":
            status = status or SOME_FAILED
    return status


def _print_findings(set_up: SetUp, findings: Iterable[Finding]) -> None:
    say(f"JPEG    {set_up.jpeg}")
    say(f"resize  {set_up.resize}")
    say(f"BLAS    {set_up.blas}, one thread, {visible(set_up.blas_path)}")
    say(f"CPU     {set_up.cpu}")
    say(f"\n{'picture':<24}{'file':<11}{'tensor':<11}{'score':<11}")
    equal = True
    for finding in findings:
        equal = equal and finding.equal
        say(
            f"{visible(finding.path.name):<24}{finding.file:<11}{finding.tensor:<11}{finding.score:<11}{finding.measured.score!r}"
        )
        if finding.reason:
            say(f"    {finding.reason}")
    say(f"\n{'every recorded bit is equal' if equal else 'some bits differ from the record'}")
