"""`nsfw-caffe verify`: compare this machine's bits with those that are recorded."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.commands.common import OK, SOME_FAILED, UNAVAILABLE, fetch_model
from nsfw_caffe.commands.streams import complain, say
from nsfw_caffe.errors import ImageError
from nsfw_caffe.results.names import visible

if TYPE_CHECKING:
    from nsfw_caffe.measure import SetUp
    from nsfw_caffe.verify import Finding


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "verify",
        help="does this machine give the recorded bits?",
        description="Score known pictures and compare stage by stage with what is recorded of them.",
    )
    parser.set_defaults(run=_run)
    parser.add_argument("--published", action="store_true", help="check the set-up of the published scores")
    parser.add_argument(
        "--against", type=Path, metavar="FILE.json", help="also check the pictures with published scores in this file"
    )


def _run(options: argparse.Namespace) -> int:
    from nsfw_caffe import verify

    fetch_model()
    expected = verify.recorded_pictures()
    if options.against is not None:
        expected += verify.published_pictures(options.against)
    try:
        set_up, findings = verify.check(expected, published=options.published)
    except ImageError as error:
        complain(str(error))
        return UNAVAILABLE
    _print_findings(set_up, findings)
    return OK if all(finding.equal for finding in findings) else SOME_FAILED


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
