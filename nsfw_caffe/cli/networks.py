"""`nsfw-caffe networks`: the networks that the original's was chosen among; building, counting, comparing them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.cli import OK
from nsfw_caffe.cli.arguments import add_json_option, positive
from nsfw_caffe.cli.pages import add_html_option, add_plots_options, check_page_options, write_page, write_plots
from nsfw_caffe.cli.progress import Steps
from nsfw_caffe.cli.streams import say
from nsfw_caffe.results.names import visible

if TYPE_CHECKING:
    from nsfw_caffe.networks import Measurement
    from nsfw_caffe.options import EngineName
    from nsfw_caffe.report.networks import OwnEvaluation

_FILE_NAMES = {"deploy": "deploy.prototxt", "train": "train_val.prototxt"}
"""What Caffe's own models call them."""

_COMPARE = """\
Show accuracy on ImageNet, as published, against multiply-adds and parameters: of the six networks that the authors of
open_nsfw compared, or of those that are named. A prototxt of your own may be among them.
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("networks", help="build, count and compare networks like the model's")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    _add_list(actions)
    _add_build(actions)
    _add_cost(actions)
    _add_compare(actions)


def _add_list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "list the networks that there are"
    parser = actions.add_parser("list", help=text, description=text)
    parser.set_defaults(run=_run_list)
    add_json_option(parser, "a JSON array")


def _add_build(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "write a network's prototxt, for scoring or for training"
    parser = actions.add_parser("build", help=text, description=text)
    parser.set_defaults(run=lambda options: _run_build(options, parser))
    parser.add_argument("name", metavar="NAME", help="network, as 'networks list' has it")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the prototxt; it is made"
    )
    _add_shape_options(parser)
    parser.add_argument(
        "--form",
        choices=tuple(_FILE_NAMES),
        default="deploy",
        help="form; deploy (default): deploy.prototxt, for scoring; train: train_val.prototxt, with losses",
    )
    parser.add_argument("--force", action="store_true", help="replace the file that is there")


def _add_shape_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--classes", type=int, metavar="N", help="classes, 2 or more; default: ImageNet's 1000")
    parser.add_argument(
        "--width", type=float, metavar="W", help="factor of the filters of all layers but the last; default: 1"
    )


def _add_cost(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "count a network's multiply-adds, parameters and memory"
    parser = actions.add_parser("cost", help=text, description=text)
    parser.set_defaults(run=lambda options: _run_cost(options, parser))
    parser.add_argument("network", metavar="FILE_OR_NAME", help="prototxt, or network as 'networks list' has it")
    _add_shape_options(parser)
    parser.add_argument("--by-layer", action="store_true", help="show a row a layer too")
    add_json_option(parser, "a JSON object")
    add_html_option(parser)


def _add_compare(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser("compare", help="show accuracy against cost", description=_COMPARE)
    parser.set_defaults(run=lambda options: _run_compare(options, parser))
    parser.add_argument(
        "networks", nargs="*", metavar="FILE_OR_NAME", help="networks to compare; default: the authors' six"
    )
    parser.add_argument(
        "--evaluation",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="file of 'nsfw-caffe evaluate --json' for one of them, trained by you",
    )
    parser.add_argument(
        "--measure", action="store_true", help="time them here too, with random weights, in all installed engines"
    )
    parser.add_argument("--rounds", type=positive, metavar="N", help="rounds to take the median of; default: 20")
    add_json_option(parser, "a JSON object")
    add_plots_options(parser)


def _run_list(options: argparse.Namespace) -> int:
    from nsfw_caffe.report.networks import list_json, list_report

    say(list_json() if options.json else list_report().to_text(), end="")
    return OK


def _run_build(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.networks import build
    from nsfw_caffe.system.files import write_file

    path = options.output / _FILE_NAMES[options.form]
    classes, width = _shape(options)
    try:
        content = build(options.name, classes=classes, width=width, form=options.form)
    except ValueError as error:
        parser.error(str(error))
    if path.exists() and not options.force:
        parser.error(f"{path} is there already; --force replaces it")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        write_file(path, content.encode())
    except OSError as error:
        parser.error(f"{path} cannot be written: {error.strerror}")
    say(visible(str(path)))
    return OK


def _shape(options: argparse.Namespace) -> tuple[int, float]:
    """Return the classes and the width that were asked for."""
    from nsfw_caffe.networks.builder import PUBLISHED_CLASSES

    classes, width = options.classes, options.width
    return PUBLISHED_CLASSES if classes is None else classes, 1.0 if width is None else width


def _run_cost(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.networks import NETWORKS, cost
    from nsfw_caffe.report.networks import cost_json, cost_report

    check_page_options(options, parser, None)
    if (options.classes, options.width) != (None, None) and options.network not in NETWORKS:
        parser.error(f"--classes and --width go with the networks that there are: {', '.join(NETWORKS)}")
    classes, width = _shape(options)
    try:
        counted = cost(options.network, classes=classes, width=width)
    except ValueError as error:
        parser.error(str(error))
    report = cost_report(counted, by_layer=options.by_layer)
    write_page(report, options)
    say(cost_json(counted, by_layer=options.by_layer) if options.json else report.to_text(), end="")
    return OK


def _run_compare(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from nsfw_caffe.networks.catalogue import COMPARED
    from nsfw_caffe.report.networks import compare_networks, comparison_json, comparison_report

    check_page_options(options, parser)
    if options.rounds is not None and not options.measure:
        parser.error("--rounds goes with --measure")
    names = tuple(dict.fromkeys(options.networks or COMPARED))
    evaluations = _evaluations(options.evaluation, names, parser)
    try:
        compared = compare_networks(names, evaluations=evaluations)  # what is wrong with one is said before the work
    except ValueError as error:
        parser.error(str(error))
    machine: list[tuple[str, str]] = []
    if options.measure:
        compared = compare_networks(names, _measure(names, options), evaluations)
        machine = _machine(sorted({found.engine for each in compared for found in each.measurements}))
    report = comparison_report(compared, machine)
    write_page(report, options)
    if options.plots is not None:
        write_plots(report.plots, options.plots)
    say(comparison_json(compared, machine) if options.json else report.to_text(), end="")
    return OK


def _evaluations(given: list[str], names: tuple[str, ...], parser: argparse.ArgumentParser) -> dict[str, OwnEvaluation]:
    from nsfw_caffe.report.networks import read_evaluation

    found = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not (equals and file):
            parser.error(f"--evaluation {text}: expected NAME=FILE")
        if name not in names:
            parser.error(f"--evaluation {text}: {name} is not compared; compared are {', '.join(names)}")
        found[name] = read_evaluation(Path(file))
    return found


def _measure(names: tuple[str, ...], options: argparse.Namespace) -> tuple[Measurement, ...]:
    from nsfw_caffe.networks.measuring import ROUNDS, measure

    with Steps(quiet=options.quiet) as steps:
        return measure(names, rounds=options.rounds or ROUNDS, progress=steps.show)


def _machine(engines: list[EngineName]) -> list[tuple[str, str]]:
    """Say what was measured with."""
    from nsfw_caffe.engines.blas import loaded_blas
    from nsfw_caffe.fidelity.measure import cpu_name, engine_version
    from nsfw_caffe.system.processes import available_cores

    blas = loaded_blas()  # which has come with Caffe
    return [
        ("CPU", cpu_name()),
        ("cores", str(available_cores())),
        *((engine, engine_version(engine)) for engine in engines),
        *([("Caffe's BLAS", blas.title)] if blas is not None and "caffe" in engines else []),
    ]
