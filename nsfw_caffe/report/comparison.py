"""What a comparison says."""

from __future__ import annotations

from nsfw_caffe.evaluate.comparison import RunsCompared
from nsfw_caffe.evaluate.intervals import Interval
from nsfw_caffe.report.evaluation import made_with
from nsfw_caffe.report.formatting import describe_set_up, number, p_value, round_percent, threshold
from nsfw_caffe.report.plots import comparison_plot
from nsfw_caffe.report.sections import Facts, Figure, Paragraph, Part, Report, Section, Table


def comparison_report(compared: RunsCompared) -> Report:
    """Return what a comparison says."""
    sections = [
        Section("Overview", _overview(compared)),
        Section("How well the classes are told apart", _areas(compared)),
        Section("How far the scores are apart", [Figure(comparison_plot(compared)), _distances(compared)]),
        Section("Verdicts", _verdicts(compared)),
        Section("Verdicts that differ", _changes(compared)),
        Section("Made with", _made_with(compared)),
    ]
    return Report("Comparison of NSFW scores", f"A: {compared.name_a}, B: {compared.name_b}", sections)


def _overview(compared: RunsCompared) -> list[Part]:
    facts = [
        ("samples", f"{compared.nsfw + compared.sfw:,}"),
        ("nsfw", f"{compared.nsfw:,}"),
        ("sfw", f"{compared.sfw:,}"),
        ("verdicts that differ", f"{_differing(compared):,}"),
    ]
    return [Facts(facts), Table(("scores", "what"), (("A", compared.name_a), ("B", compared.name_b)))]


def _areas(compared: RunsCompared) -> list[Part]:
    figures = compared.figures
    if figures.auc_a is None or figures.auc_b is None or figures.difference is None:
        return [Paragraph("The samples are of one class: there is nothing to tell apart.")]
    level = round_percent(compared.level)
    rows = [
        ("area under the ROC curve, A", f"{figures.auc_a:.6f}", *_interval(compared.auc_interval_a, "")),
        ("area under the ROC curve, B", f"{figures.auc_b:.6f}", *_interval(compared.auc_interval_b, "")),
        ("B less A", f"{figures.difference:+.6f}", *_interval(figures.difference_interval, "+")),
    ]
    return [Table(("measure", "#value", f"#{level} interval", "method"), rows), Paragraph(_by_chance(compared))]


def _interval(interval: Interval | None, sign: str) -> tuple[str, str]:
    # With six decimals: two engines of one model are as close.
    if interval is None:
        return "-", ""
    return f"{interval.low:{sign}.6f} to {interval.high:{sign}.6f}", interval.method


def _by_chance(compared: RunsCompared) -> str:
    chance = compared.figures.p_value
    if chance is None:
        return "Whether the difference is chance cannot be told: it does not vary in these samples."
    words = "The areas differ beyond chance" if chance < 1 - compared.level else "The areas do not differ beyond chance"
    return f"{words} ({p_value(chance)}, DeLong's paired test)."


def _distances(compared: RunsCompared) -> Table:
    figures = compared.figures
    rows = [
        ("largest difference of two scores", f"{figures.max_difference:.3g}"),
        ("mean difference, without sign", f"{figures.mean_difference:.3g}"),
        ("correlation (Pearson)", number(figures.correlation)),
    ]
    return Table(("measure", "#value"), rows)


def _verdicts(compared: RunsCompared) -> list[Part]:
    figures = compared.figures
    rows = [
        ("A flags, B does not", f"{len(figures.became_sfw):,}"),
        ("B flags, A does not", f"{len(figures.became_nsfw):,}"),
        ("B alone is right", f"{figures.corrected:,}"),
        ("A alone is right", f"{figures.spoiled:,}"),
    ]
    differ = figures.mcnemar_p_value < 1 - compared.level
    words = "One is right more often beyond chance" if differ else "Neither is right more often beyond chance"
    return [
        Paragraph(f"A sample is flagged where its score is {threshold(figures.threshold)} or more."),
        Table(("verdict", "#samples"), rows),
        Paragraph(f"{words} ({p_value(figures.mcnemar_p_value)}, McNemar's exact test)."),
    ]


def _changes(compared: RunsCompared) -> list[Part]:
    rows = [
        (
            number(change.score_a),
            number(change.score_b),
            "nsfw" if change.nsfw else "sfw",
            change.source or f"sample {change.index}",
        )
        for change in compared.changes
    ]
    if not rows:
        return []
    parts: list[Part] = [Table(("#A", "#B", "label", "source"), rows)]
    if len(rows) < _differing(compared):
        parts.insert(0, Paragraph(f"The {len(rows):,} with the largest difference between the two scores:"))
    return parts


def _differing(compared: RunsCompared) -> int:
    return len(compared.figures.became_nsfw) + len(compared.figures.became_sfw)


def _made_with(compared: RunsCompared) -> list[Part]:
    rows = [
        (name, describe_set_up(set_up))
        for name, set_ups in (("A", compared.set_ups_a), ("B", compared.set_ups_b))
        for set_up in set_ups
    ]
    known: list[Part] = [Table(("scores", "set-up"), rows)] if rows else []
    return [*known, made_with((*compared.set_ups_a, *compared.set_ups_b), compared.versions)]
