"""What networks cost, and how they compare: the authors' figure, as text, JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsfw_caffe.errors import ResultsUnreadable
from nsfw_caffe.networks.catalogue import NETWORKS, Accuracy
from nsfw_caffe.networks.cost import Cost, cost
from nsfw_caffe.networks.measuring import Measurement
from nsfw_caffe.report.formatting import count_of, number, size, threshold
from nsfw_caffe.report.json_text import plain
from nsfw_caffe.report.network_plots import Dot, trade_off_plot
from nsfw_caffe.report.sections import Facts, Figure, Paragraph, Part, Report, Section, Table

_TOTALS = (
    "multiply_adds",
    "parameters",
    "statistics",
    "activation_bytes",
    "pynetbuilder_multiply_adds",
    "pynetbuilder_parameters",
)


@dataclass(frozen=True)
class OwnEvaluation:
    """What `nsfw-caffe evaluate --json` found out about a network of this structure on the user's own data."""

    file: str
    data: str
    """What the data is called."""
    nsfw: int
    sfw: int
    auc: float
    """Area under the ROC curve."""
    auc_low: float | None
    auc_high: float | None
    threshold: float | None
    """The chosen one."""
    accuracy: float | None
    """Share of verdicts that are right at that threshold."""


@dataclass(frozen=True)
class ComparedNetwork:
    """A network with all that is known of it."""

    cost: Cost
    structure: str
    """Where the structure is published; the file for a user's own."""
    reconstructed: bool
    accuracy: Accuracy | None
    measurements: tuple[Measurement, ...]
    evaluation: OwnEvaluation | None


def read_evaluation(path: Path) -> OwnEvaluation:
    """Read what `nsfw-caffe evaluate --json` wrote; ResultsUnreadable names the file where it is something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        area, interval, choice = found["roc"]["auc"], found["roc"]["auc_interval"] or {}, found["choice"] or {}
        return OwnEvaluation(
            file=str(path),
            data=str(found["name"]),
            nsfw=int(found["nsfw"]),
            sfw=int(found["sfw"]),
            auc=float(area),
            auc_low=interval.get("low"),
            auc_high=interval.get("high"),
            threshold=choice.get("threshold"),
            accuracy=choice["confusion"]["accuracy"]["value"] if choice else None,
        )
    except OSError as error:
        raise ResultsUnreadable(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ResultsUnreadable(f"{path}: is not what 'nsfw-caffe evaluate --json' writes") from error


def compare_networks(
    networks: Sequence[str],
    measurements: Sequence[Measurement] = (),
    evaluations: Mapping[str, OwnEvaluation] | None = None,
) -> tuple[ComparedNetwork, ...]:
    """Put together what is known of networks, by name or prototxt; it raises as `cost` does."""
    compared = []
    for name in networks:
        known = NETWORKS.get(name)
        compared.append(
            ComparedNetwork(
                cost=cost(name),
                structure=known.publisher if known else name,
                reconstructed=known.reconstructed if known else False,
                accuracy=known.accuracy if known else None,
                measurements=tuple(found for found in measurements if found.network == name),
                evaluation=(evaluations or {}).get(name),
            )
        )
    return tuple(compared)


def list_report() -> Report:
    """Return which networks there are."""
    rows = [
        (
            known.name,
            known.title,
            _shape((3, known.side, known.side)),
            _published(known.accuracy, "top1"),
            known.publisher,
        )
        for known in NETWORKS.values()
    ]
    table = Table(("network", "as published", "input", "#top-1", "structure"), rows)
    return Report("Networks", "What there is to build", [Section("Networks", [table])])


def list_json() -> str:
    """Write which networks there are as a JSON array, with a newline at the end."""
    fields = ("name", "title", "side", "publisher", "reconstructed")
    networks = [
        {**{field: getattr(known, field) for field in fields}, "imagenet": plain(known.accuracy)}
        for known in NETWORKS.values()
    ]
    return _to_json(networks)


def cost_report(counted: Cost, *, by_layer: bool = False) -> Report:
    """Return what a network costs, by layer too if wanted."""
    sections = [
        Section("Cost of one picture", [Facts(_totals(counted))]),
        Section("By pynetbuilder's rule", [Facts(_pynetbuilder(counted)), Paragraph(_PYNETBUILDER)]),
    ]
    if by_layer:
        sections.append(Section("By layer", [_layers(counted)]))
    return Report("Cost of a network", counted.name, sections)


_PYNETBUILDER = (
    "As pynetbuilder prints it: each layer's first blob alone, so without biases, and with BatchNorm's means; a "
    "Convolution's once for each pixel of its output."
)


def _totals(counted: Cost) -> list[tuple[str, str]]:
    return [
        ("network", counted.name),
        ("input", _shape(counted.input_shape)),
        ("multiply-adds", f"{counted.multiply_adds:,}"),
        ("parameters", f"{counted.parameters:,}"),
        ("BatchNorm's statistics", f"{counted.statistics:,}"),
        ("weights in float32", size(counted.weight_bytes)),
        ("blobs between layers", size(counted.activation_bytes)),
    ]


def _pynetbuilder(counted: Cost) -> list[tuple[str, str]]:
    return [
        ("multiply-adds", f"{counted.pynetbuilder_multiply_adds:,}"),
        ("parameters", f"{counted.pynetbuilder_parameters:,}"),
    ]


def _layers(counted: Cost) -> Table:
    whole = counted.multiply_adds
    rows = [
        (
            layer.name,
            layer.type,
            ", ".join(map(_shape, layer.shapes)),
            _count(layer.multiply_adds),
            f"{100 * layer.multiply_adds / whole:.1f} %" if layer.multiply_adds else "",
            _count(layer.parameters),
            _count(layer.statistics),
            size(layer.activation_bytes) if layer.activation_bytes else "",
        )
        for layer in counted.layers
    ]
    header = ("layer", "type", "output", "#multiply-adds", "#share", "#parameters", "#statistics", "#memory")
    return Table(header, rows)


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "one number"


def _count(count: int) -> str:
    return f"{count:,}" if count else ""


def comparison_report(compared: Sequence[ComparedNetwork], made_with: Sequence[tuple[str, str]] = ()) -> Report:
    """Return how networks compare; `made_with` says with what the times were measured."""
    sections = [
        Section("Accuracy against cost", _accuracies(compared)),
        Section("Your own evaluations", _evaluations(compared)),
        Section("Forward time measured here", _times(compared)),
        Section("Memory measured here", _memory(compared)),
        Section("Measured with", [Facts(made_with)] if made_with else []),
        Section("Sources", [_sources(compared)]),
    ]
    return Report("Networks compared", ", ".join(each.cost.name for each in compared), sections)


def _accuracies(compared: Sequence[ComparedNetwork]) -> list[Part]:
    rows = [
        (
            each.cost.name,
            f"{each.cost.multiply_adds / 1e6:,.1f} M",
            f"{each.cost.parameters / 1e6:,.2f} M",
            _published(each.accuracy, "top1"),
            _published(each.accuracy, "top5"),
            each.accuracy.crop if each.accuracy else "",
        )
        for each in compared
    ]
    header = ("network", "#multiply-adds", "#parameters", "#top-1", "#top-5", "of each picture")
    dots = [_dot(each, _top1(each)) for each in compared]
    return [
        Figure(trade_off_plot("imagenet", "top-1 on ImageNet, %", dots)),
        Table(header, rows),
        Paragraph(
            "Accuracy is ImageNet's (50,000 validation pictures, 1000 classes) as published; blank where nobody has "
            "published it. How the authors' networks did on NSFW pictures was only ever published as a drawing."
        ),
    ]


def _published(accuracy: Accuracy | None, which: str) -> str:
    value: float | None = getattr(accuracy, which, None)
    return "" if value is None else f"{100 * value:.4g} %"


def _top1(each: ComparedNetwork) -> float | None:
    """Give the accuracy in percent, where it is published."""
    if each.accuracy is None or each.accuracy.top1 is None:
        return None
    return 100 * each.accuracy.top1


def _dot(each: ComparedNetwork, measure: float | None) -> Dot:
    return Dot(Path(each.cost.name).name, each.cost.multiply_adds, each.cost.parameters, measure)


def _evaluations(compared: Sequence[ComparedNetwork]) -> list[Part]:
    found = [(each.cost.name, each.evaluation) for each in compared if each.evaluation is not None]
    if not found:
        return []
    rows = [
        (
            name,
            f"{own.auc:.4f}",
            "" if own.auc_low is None or own.auc_high is None else f"{number(own.auc_low)} to {number(own.auc_high)}",
            "" if own.threshold is None else threshold(own.threshold),
            "" if own.accuracy is None else f"{100 * own.accuracy:.2f} %",
            f"{own.nsfw:,}",
            f"{own.sfw:,}",
            own.data,
        )
        for name, own in found
    ]
    header = ("network", "#ROC AUC", "#interval", "#threshold", "#accuracy there", "#nsfw", "#sfw", "data")
    areas = [_dot(each, None if each.evaluation is None else 100 * each.evaluation.auc) for each in compared]
    parts: list[Part] = [
        Figure(trade_off_plot("nsfw", "area under the ROC curve, %", areas)),
        Table(header, rows),
        Paragraph("As 'nsfw-caffe evaluate --json' wrote them, on your own data."),
    ]
    if len({(own.data, own.nsfw, own.sfw) for _, own in found}) > 1:
        parts.append(Paragraph("The data differ, by name or by number: figures of different data do not compare."))
    return parts


def _times(compared: Sequence[ComparedNetwork]) -> list[Part]:
    table = _measured(compared, lambda found: f"{1000 * found.seconds:.1f}")
    if table is None:
        return []
    rounds = len(compared[0].measurements[0].times)
    return [
        table,
        Paragraph(
            f"Milliseconds of a forward pass of one picture, the median of {count_of(rounds, 'round')} in which all "
            "take turns; random weights, float32."
        ),
    ]


def _memory(compared: Sequence[ComparedNetwork]) -> list[Part]:
    table = _measured(compared, lambda found: f"{found.network_bytes / 1e6:,.0f}")
    if table is None:
        return []
    before = ", ".join(f"{engine} {size(least)}" for engine, least in sorted(_before(compared).items()))
    return [
        table,
        Paragraph(
            "Megabytes that loading and running the network added at most to its process (VmHWM, less what the process "
            f"had before). What it had, Python and the engine: {before}."
        ),
    ]


def _measured(compared: Sequence[ComparedNetwork], show: Callable[[Measurement], str]) -> Table | None:
    """Lay measurements out with a column for each engine and number of threads; None where there are none."""
    columns = list(dict.fromkeys((found.engine, found.threads) for each in compared for found in each.measurements))
    if not columns:
        return None
    header = [f"#{engine}, {count_of(threads, 'thread')}" for engine, threads in columns]
    rows = []
    for each in compared:
        shown = {(found.engine, found.threads): show(found) for found in each.measurements}
        rows.append((each.cost.name, *(shown.get(column, "") for column in columns)))
    return Table(("network", *header), rows)


def _before(compared: Sequence[ComparedNetwork]) -> dict[str, int]:
    before: dict[str, int] = {}
    for each in compared:
        for found in each.measurements:
            before[found.engine] = min(before.get(found.engine, found.bytes_before), found.bytes_before)
    return before


def _sources(compared: Sequence[ComparedNetwork]) -> Table:
    rows = []
    for each in compared:
        what = "structure, in part a reconstruction" if each.reconstructed else "structure"
        rows.append((each.cost.name, what, each.structure))
        if each.accuracy is not None:
            rows.append((each.cost.name, "accuracy", each.accuracy.source))
        if each.evaluation is not None:
            rows.append((each.cost.name, "your own evaluation", each.evaluation.file))
    return Table(("network", "what", "source"), rows)


def cost_json(counted: Cost, *, by_layer: bool = False) -> str:
    """Write what a network costs as a JSON object, its layers too if wanted, with a newline at the end."""
    shown = {"name": counted.name, "input_shape": list(counted.input_shape), **_count_json(counted)}
    if by_layer:
        shown["layers"] = plain(counted.layers)
    return _to_json(shown)


def comparison_json(compared: Sequence[ComparedNetwork], made_with: Sequence[tuple[str, str]] = ()) -> str:
    """Write how networks compare as a JSON object, with a newline at the end; times are in seconds."""
    networks = [
        {
            "name": each.cost.name,
            "input_shape": list(each.cost.input_shape),
            **_count_json(each.cost),
            "structure": each.structure,
            "reconstructed": each.reconstructed,
            "imagenet": plain(each.accuracy),
            "evaluation": plain(each.evaluation),
            "measured": [_measurement_json(found) for found in each.measurements],
        }
        for each in compared
    ]
    return _to_json({"networks": networks, "measured_with": dict(made_with)})


def _count_json(counted: Cost) -> dict[str, Any]:
    return {name: getattr(counted, name) for name in _TOTALS}


def _measurement_json(found: Measurement) -> dict[str, Any]:
    shown: dict[str, Any] = plain(found)
    del shown["network"]
    return {**shown, "seconds": found.seconds, "network_bytes": found.network_bytes}


def _to_json(shown: object) -> str:
    return json.dumps(shown, indent=2, allow_nan=False) + "\n"
