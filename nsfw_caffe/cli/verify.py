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
    from nsfw_caffe.fidelity.measure import Environment
    from nsfw_caffe.fidelity.verify import Expected, Finding


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
        help="file of published scores: find the set-up that gives them; with --published, check that one",
    )


def _run(options: argparse.Namespace) -> int:
    from nsfw_caffe.engines.base import require_engine
    from nsfw_caffe.fidelity import verify
    from nsfw_caffe.options import ScoringOptions

    scoring = ScoringOptions.published() if options.published else ScoringOptions(engine="caffe")
    look = functools.partial(require_engine, scoring if options.published else ScoringOptions())
    fetch_model(look, quiet=options.quiet)
    recorded = verify.recorded_pictures()
    others = [] if options.against is None else verify.published_pictures(options.against)
    status = OK
    try:
        verify.require_pictures(others)
        environment, findings = verify.check(recorded + (others if options.published else []), scoring)
    except ImageError as error:
        complain(str(error))
        return UNAVAILABLE
    except EngineUnavailable as error:
        if options.published:
            raise
        complain(str(error))
        status = UNAVAILABLE
    else:
        _print_findings(environment, findings)
        status = OK if all(finding.equal for finding in findings) else SOME_FAILED
    if options.published:  # a set-up of Caffe's
        return status
    say("")
    for portable in verify.check_portable(recorded):
        say(f"{portable.engine:<24}{portable.verdict:<15}{portable.reason}")
        if portable.verdict == "different":
            status = status or SOME_FAILED
    if others and not _find_family(others):
        status = status or SOME_FAILED
    return status


def _find_family(published: list[Expected]) -> bool:
    """Try every set-up on published scores and name the one that gives them; tell whether there is one."""
    from nsfw_caffe.fidelity.verify import agrees_as_well, find_best, try_all

    say(f"\n{'engine':<13}{'BLAS':<21}{'JPEG':<40}{'equal':<9}largest difference")
    trials = []
    for trial in try_all(published):
        trials.append(trial)
        used = trial.environment
        blas = used.blas if used and trial.options.engine == "caffe" else "-"
        shown = f"{trial.options.engine:<13}{blas if used else trial.options.blas:<21}"
        shown += f"{used.jpeg if used else trial.options.jpeg:<40}"
        say(shown + (f"{f'{trial.agreeing} of {trial.total}':<9}{trial.distance:.1e}" if used else trial.reason))
    best = find_best(trials)
    if best is None or best.environment is None:
        say("\nno set-up of this machine gives the published scores: other files, or another model")
        return False
    by = f"{best.options.engine} on {best.environment.blas}" if best.options.engine == "caffe" else best.options.engine
    how = "gives every published digit" if best.agrees else f"comes nearest, within {best.distance:.1e}"
    say(f"\n{best.family}: {by} with {best.environment.jpeg} {how}")
    for family in sorted({trial.family for trial in trials if agrees_as_well(trial, best)} - {best.family}):
        say(f"the {family} gives them as well: more pictures, with larger scores, would tell which it is")
    return True


def _print_findings(environment: Environment, findings: Iterable[Finding]) -> None:
    say(f"JPEG    {environment.jpeg}")
    say(f"resize  {environment.resize}")
    say(f"BLAS    {environment.blas}, one thread, {visible(environment.blas_path)}")
    say(f"CPU     {environment.cpu}")
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
