"""`nsfw-caffe verify`: compare this machine's bits with those that are recorded."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED, UNAVAILABLE
from nsfw_caffe.cli.arguments import add_json_option
from nsfw_caffe.cli.progress import fetch_model
from nsfw_caffe.cli.streams import complain, say
from nsfw_caffe.errors import EngineUnavailable, ImageError
from nsfw_caffe.results.names import encode_name, visible

if TYPE_CHECKING:
    from nsfw_caffe.fidelity.measure import Environment
    from nsfw_caffe.fidelity.verify import Expected, Finding, Trial

_VERDICTS = {OK: "equal", SOME_FAILED: "different", UNAVAILABLE: "missing"}


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
    add_json_option(parser, "a JSON object")


def _run(options: argparse.Namespace) -> int:
    from nsfw_caffe.engines.base import require_engine
    from nsfw_caffe.fidelity import verify
    from nsfw_caffe.options import ScoringOptions

    scoring = ScoringOptions.published() if options.published else ScoringOptions(engine="caffe")
    look = functools.partial(require_engine, scoring if options.published else ScoringOptions())
    fetch_model(look, quiet=options.quiet)
    recorded = verify.recorded_pictures()
    others = [] if options.against is None else verify.published_pictures(options.against)
    tell = (lambda _: None) if options.json else say
    found: dict[str, object] = {"environment": None, "pictures": [], "error": None}
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
        found["error"] = encode_name(str(error))
        status = UNAVAILABLE
    else:
        _tell_findings(environment, findings, tell)
        found["environment"] = vars(environment) | {"blas_path": encode_name(environment.blas_path)}
        found["pictures"] = [_finding(each) for each in findings]
        status = OK if all(each.equal for each in findings) else SOME_FAILED
    if not options.published:  # which is a set-up of Caffe's
        tell("")
        engines = verify.check_portable(recorded)
        for engine in engines:
            tell(f"{engine.engine:<24}{engine.verdict:<15}{engine.reason}")
        found["engines"] = [vars(engine) | {"reason": encode_name(engine.reason)} for engine in engines]
        if any(engine.verdict == "different" for engine in engines):
            status = status or SOME_FAILED
        if others:
            found |= _find_family(others, tell)
            if found["best"] is None:
                status = status or SOME_FAILED
    if options.json:
        say(json.dumps({**found, "verdict": _VERDICTS[status]}))
    return status


def _find_family(published: list[Expected], tell: Callable[[str], None]) -> dict[str, object]:
    """Try every set-up on published scores; return all of them, and the one that gives the scores, if there is one."""
    from nsfw_caffe.fidelity.verify import agrees_as_well, find_best, try_all

    tell(f"\n{'engine':<13}{'BLAS':<21}{'JPEG':<40}{'equal':<9}largest difference")
    trials = []
    for trial in try_all(published):
        trials.append(trial)
        engine, blas, jpeg = _names(trial)
        outcome = f"{f'{trial.agreeing} of {trial.total}':<9}{trial.distance:.1e}"
        tell(f"{engine:<13}{blas or '-':<21}{jpeg:<40}{outcome if trial.environment else trial.reason}")
    best = find_best(trials)
    found: dict[str, object] = {"set_ups": [_set_up(trial) for trial in trials]}
    if best is None:
        tell("\nno set-up of this machine gives the published scores: other files, or another model")
        return {**found, "best": None, "as_well": []}
    engine, blas, jpeg = _names(best)
    how = "gives every published digit" if best.agrees else f"comes nearest, within {best.distance:.1e}"
    tell(f"\n{best.family}: {engine}{f' on {blas}' if blas else ''} with {jpeg} {how}")
    as_well = sorted({trial.family for trial in trials if agrees_as_well(trial, best)} - {best.family})
    for family in as_well:
        tell(f"the {family} gives them as well: more pictures, with larger scores, would tell which it is")
    return {**found, "best": _set_up(best), "as_well": as_well}


def _names(trial: Trial) -> tuple[str, str | None, str]:
    """Name a set-up's engine, BLAS, which only Caffe computes with, and JPEG library."""
    options, used = trial.options, trial.environment
    if used is None:
        return options.engine, options.blas, options.jpeg
    return options.engine, used.blas if options.engine == "caffe" else None, used.jpeg


def _set_up(trial: Trial) -> dict[str, object]:
    names = dict(zip(("engine", "blas", "jpeg"), _names(trial), strict=True))
    return {
        **names,
        "family": trial.family,
        "equal": trial.agreeing,
        "total": trial.total,
        "largest_difference": trial.distance if trial.environment else None,
        "reason": encode_name(trial.reason),
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "source": encode_name(str(finding.path)),
        "file": finding.file,
        "tensor": finding.tensor,
        "score": finding.score,
        "measured": vars(finding.measured),
        "reason": encode_name(finding.reason),
    }


def _tell_findings(environment: Environment, findings: list[Finding], tell: Callable[[str], None]) -> None:
    tell(f"JPEG    {environment.jpeg}")
    tell(f"resize  {environment.resize}")
    tell(f"BLAS    {environment.blas}, one thread, {visible(environment.blas_path)}")
    tell(f"CPU     {environment.cpu}")
    tell(f"\n{'picture':<24}{'file':<11}{'tensor':<11}{'score':<11}")
    for finding in findings:
        verdicts = f"{finding.file:<11}{finding.tensor:<11}{finding.score:<11}"
        tell(f"{visible(finding.path.name):<24}{verdicts}{finding.measured.score!r}")
        if finding.reason:
            tell(f"    {finding.reason}")
    equal = all(finding.equal for finding in findings)
    tell(f"\n{'every recorded bit is equal' if equal else 'some bits differ from the record'}")
