"""`nsfw-caffe sort`: move, copy or link what was scored."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import add_json_option, probability
from nsfw_caffe.cli.streams import complain, say

if TYPE_CHECKING:
    from nsfw_caffe.sorting.plan import Plan


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "sort",
        help="move, copy or link pictures by their scores",
        description="Print 'source -> target' for each picture, and with --yes do it. Targets keep the source's folders"
        " below DIR. Nothing is overwritten; what has changed since the scan is left alone.",
    )
    parser.set_defaults(run=lambda options: _run(options, parser))
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a file that a scan has written")
    parser.add_argument(
        "--threshold", type=probability, required=True, metavar="T", help="score of the pictures meant: T or more"
    )
    parser.add_argument("--below", action="store_true", help="take pictures with a score below T instead")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--move", type=Path, metavar="DIR", help="move files to DIR")
    action.add_argument("--copy", type=Path, metavar="DIR", help="copy files, and members of archives, to DIR")
    action.add_argument("--link", type=Path, metavar="DIR", help="make symbolic links to files in DIR")
    parser.add_argument("--yes", action="store_true", help="do it; without it, only what would be done is printed")
    add_json_option(parser, "JSON Lines with source, target, state and reason")


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.sorting.plan import PAST, Plan

    action = next(action for action in PAST if getattr(options, action) is not None)
    plan = Plan(action, getattr(options, action), options.threshold, options.below)
    if plan.folder.exists() and not plan.folder.is_dir():
        parser.error(f"{plan.folder} is not a folder")
    counts = _sort(options.results, plan, options.yes, as_json=options.json)
    return SOME_FAILED if options.yes and counts["skipped"] else OK


def _sort(results: Path, plan: Plan, do_it: bool, *, as_json: bool) -> Counter[str]:
    from nsfw_caffe.report.formatting import count_of, size
    from nsfw_caffe.results.formats import read_results
    from nsfw_caffe.results.names import encode_name, visible
    from nsfw_caffe.sorting.apply import apply
    from nsfw_caffe.sorting.plan import PAST
    from nsfw_caffe.sorting.preview import preview
    from nsfw_caffe.sources.reopening import Sources

    counts: Counter[str] = Counter()
    total = 0
    with Sources() as sources:
        for record, target in plan.targets(read_results(results)):
            outcome = apply(record, target, plan.action, sources) if do_it else preview(record, target, plan.action)
            counts[outcome.state] += 1
            if outcome.state == "skipped":
                complain(f"skipped {record.source}: {outcome.reason}")
            elif outcome.state != "before":
                total += record.bytes or 0
            if as_json:
                names = {"source": encode_name(record.source), "target": encode_name(str(target))}
                reason = outcome.reason and encode_name(outcome.reason)
                say(json.dumps({**names, "state": outcome.state, "reason": reason}), flush=do_it)
            elif outcome.state in ("ready", "done"):
                say(f"{visible(record.source)} -> {visible(str(target))}", flush=do_it)
    if as_json:
        return counts
    what = f"{count_of(counts['done' if do_it else 'ready'], 'picture')}, {size(total)}"
    rest = f"; {counts['before']:,} there already, {counts['skipped']:,} skipped"
    if do_it:
        say(f"{PAST[plan.action]} {what}{rest}")
    else:
        say(f"would {plan.action} {what}{rest}; nothing has been done: add --yes to do it")
    return counts
