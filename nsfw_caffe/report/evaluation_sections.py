"""What an evaluation says, as words and tables, for the terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Sequence

from nsfw_caffe.evaluate.evaluation import RATES, Evaluation
from nsfw_caffe.evaluate.extracts import Mistake
from nsfw_caffe.evaluate.groups import GroupTest, Strata
from nsfw_caffe.evaluate.intervals import Interval, Share
from nsfw_caffe.report.page import Facts, Paragraph, Part, Section, Table
from nsfw_caffe.report.rates import number, numbers, percent, percents, threshold
from nsfw_caffe.report.shared_sections import failures, made_with, methods
from nsfw_caffe.report.wording import share

RANKING = "How well the classes are told apart"
THRESHOLDS = "Thresholds"
CALIBRATION = "Scores as probabilities"
HIGHEST = "The highest-scored sfw"
LOWEST = "The lowest-scored nsfw"
"""The titles of the sections that have more on a page."""

_GROUPS = 100
"""How many groups of a column are shown."""


def sections(evaluation: Evaluation) -> list[Section]:
    """Return what there is to say, in order; sections with nothing in them are left out.

    Parameters
    ----------
    evaluation : Evaluation
        What to say.
    """
    found = [
        Section("Overview", _overview(evaluation)),
        Section(RANKING, _ranking(evaluation)),
        Section(THRESHOLDS, _thresholds(evaluation)),
        Section("The chosen threshold", _choice(evaluation)),
        Section("Two thresholds, and people between them", _policy(evaluation)),
        Section(CALIBRATION, _calibration(evaluation)),
        *(Section(f"By {name}", _strata(groups)) for name, groups in evaluation.strata),
        Section(HIGHEST, _mistakes(evaluation.highest_sfw)),
        Section(LOWEST, _mistakes(evaluation.lowest_nsfw)),
        Section("Without a score", failures(evaluation.failures)),
        Section("Made with", made_with(evaluation.set_ups, evaluation.versions)),
    ]
    return [section for section in found if section.parts]


def _overview(evaluation: Evaluation) -> list[Part]:
    total = evaluation.nsfw + evaluation.sfw
    facts = [
        ("samples", f"{total:,}"),
        ("nsfw", f"{evaluation.nsfw:,} ({share(evaluation.nsfw, total)})"),
        ("sfw", f"{evaluation.sfw:,} ({share(evaluation.sfw, total)})"),
        ("without a score", f"{len(evaluation.failures):,}"),
        ("area under the ROC curve", number(evaluation.roc.auc)),
        ("average precision", number(evaluation.precision_recall.average_precision)),
    ]
    return [Facts(facts), *(Paragraph(note) for note in evaluation.notes)]


def _ranking(evaluation: Evaluation) -> list[Part]:
    rows = [
        ("area under the ROC curve", evaluation.roc.auc, evaluation.roc.auc_interval),
        (
            "average precision",
            evaluation.precision_recall.average_precision,
            evaluation.average_precision_interval,
        ),
    ]
    return [_measures(rows)]


def _measures(rows: Sequence[tuple[str, float, Interval]]) -> Table:
    level = percent(rows[0][2].level)
    return Table(
        ("measure", "#value", f"#{level} interval", "method"),
        [(name, number(value), numbers(interval), interval.method) for name, value, interval in rows],
    )


def _thresholds(evaluation: Evaluation) -> list[Part]:
    level = evaluation.options.level
    rows, counts, shown = [], [], []
    for value, counted in zip(evaluation.options.thresholds, evaluation.confusions, strict=True):
        shares = [counted.share(rate, level=level) for rate in ("fpr", "fnr", "precision")]
        shown += [rate.interval for rate in shares]
        rows.append((threshold(value), *(cell for rate in shares for cell in _cells(rate))))
        four = (counted.true_positives, counted.false_negatives, counted.false_positives, counted.true_negatives)
        counts.append((threshold(value), *(f"{count:,}" for count in four)))
    held = [
        (name, percent(rate), percent(other), percents(interval), threshold(point.threshold))
        for name, points in (("FPR at FNR", evaluation.fpr_at_fnr), ("FNR at FPR", evaluation.fnr_at_fpr))
        for rate, point in zip(RATES, points, strict=True)
        for other, interval in [
            (point.fpr, point.fpr_interval) if name == "FPR at FNR" else (point.fnr, point.fnr_interval)
        ]
    ]
    return [
        Paragraph(
            "A sample is flagged where its score is the threshold or more. FPR: the share of sfw that is flagged; FNR: "
            "the share of nsfw that is not; precision: the share of nsfw in what is flagged."
        ),
        Table(("#threshold", "#FPR", "#interval", "#FNR", "#interval", "#precision", "#interval"), rows),
        Table(("#threshold", "#nsfw flagged", "#nsfw missed", "#sfw flagged", "#sfw passed"), counts),
        methods(shown),
        Paragraph("The best of one kind of mistake with the other held at or below a rate:"),
        Table(("measure", "#held at", "#rate", "#interval", "#at threshold"), held),
        methods(point.fpr_interval for point in evaluation.fpr_at_fnr),
    ]


def _cells(rate: Share) -> tuple[str, str]:
    # Nothing of nothing has an interval, the whole scale, that tells nothing.
    return percent(rate.value), percents(rate.interval if rate.total else None)


def _choice(evaluation: Evaluation) -> list[Part]:
    chosen = evaluation.choice
    if chosen is None:
        return []
    level = evaluation.options.level
    shares = [
        ("false positive rate", "fpr"),
        ("false negative rate", "fnr"),
        ("precision", "precision"),
        ("accuracy", "accuracy"),
    ]
    rows = [
        ("threshold", threshold(chosen.threshold), numbers(chosen.threshold_interval), chosen.threshold_interval.method)
    ]
    for name, rate in shares:
        counted = chosen.confusion.share(rate, level=level)
        # The wanted rate has an interval of its own, which allows for the choice by it.
        wanted = chosen.rate_interval if evaluation.options.goal == rate else None
        interval = wanted or counted.interval
        rows.append((name, percent(counted.value), percents(interval if counted.total else None), interval.method))
    words = f"Chosen for {chosen.goal}"
    if chosen.confident:
        words += f" on new data too, with a confidence of {percent(level)}"
    parts: list[Part] = [
        Paragraph(f"{words}."),
        Table(("measure", "#value", f"#{percent(level)} interval", "method"), rows),
    ]
    if evaluation.options.goal == "precision":
        parts.append(
            Paragraph(
                "A threshold chosen for its precision is one at which these samples happen to be precise: the interval "
                "holds the true precision less often than its level says."
            )
        )
    parts.append(
        Paragraph(
            "This holds for new pictures of the same kind. Precision and accuracy hold for as large a share of nsfw as in "
            "this data."
        )
    )
    return parts


def _policy(evaluation: Evaluation) -> list[Part]:
    policy = evaluation.policy
    low, high = threshold(policy.low), threshold(policy.high)
    outcomes = [
        (f"pass (below {low})", policy.passed, policy.nsfw_passed, policy.sfw_passed),
        ("to a person", policy.reviewed, policy.nsfw_reviewed, policy.sfw_reviewed),
        (f"blocked ({high} or more)", policy.blocked, policy.nsfw_blocked, policy.sfw_blocked),
    ]
    rows = [
        (name, f"{every.count:,}", *_cells(every), *_cells(nsfw), *_cells(sfw)) for name, every, nsfw, sfw in outcomes
    ]
    return [
        Paragraph(
            f"With {low} and {high}, {percent(policy.reviewed.value)} of the work is for people; "
            f"{percent(policy.nsfw_passed.value)} of the nsfw passes unseen, and {percent(policy.sfw_blocked.value)} of "
            "the sfw is blocked unseen."
        ),
        Table(("outcome", "#samples", "#of all", "#interval", "#of nsfw", "#interval", "#of sfw", "#interval"), rows),
        methods([policy.reviewed.interval]),
    ]


def _calibration(evaluation: Evaluation) -> list[Part]:
    found = evaluation.calibration
    bins = [
        (
            f"{start:.3f} to {end:.3f}",
            f"{count:,}",
            number(mean),
            percent(fraction),
            percents(interval if count else None),
        )
        for start, end, count, mean, fraction, interval in zip(
            found.edges[:-1].tolist(),
            found.edges[1:].tolist(),
            found.counts.tolist(),
            found.mean_score.tolist(),
            found.fraction_nsfw.tolist(),
            found.intervals,
            strict=True,
        )
    ]
    return [
        _measures(
            [
                ("Brier score", found.brier, evaluation.brier_interval),
                ("expected calibration error", found.ece, evaluation.ece_interval),
            ]
        ),
        Paragraph(
            "The Brier score is the mean squared distance of a score from 1 for nsfw and 0 for sfw; the expected "
            f"calibration error is the mean distance of the dots from the diagonal, over {len(bins)} bins, weighted by "
            "their samples. Both are 0 at best."
        ),
        Table(("score", "#samples", "#mean score", "#nsfw", "#interval"), bins),
        methods(found.intervals),
    ]


def _strata(found: Strata) -> list[Part]:
    rows = [
        (
            group.group,
            f"{group.samples:,}",
            f"{group.nsfw:,}",
            "-" if group.auc is None else number(group.auc),
            numbers(group.auc_interval),
            *_cells(group.fpr),
            *_cells(group.fnr),
        )
        for group in found.groups[:_GROUPS]
    ]
    header = ("group", "#samples", "#nsfw", "#AUC", "#interval", "#FPR", "#interval", "#FNR", "#interval")
    tests = (("false positive", found.fpr_test), ("false negative", found.fnr_test))
    parts: list[Part] = [
        Paragraph(
            f"Warning: the groups' {name} rates differ beyond chance (p {_p(test)})."
            if test.differs
            else f"The groups' {name} rates do not differ beyond chance (p {_p(test)})."
        )
        for name, test in tests
        if test.method != "one group"
    ]
    parts += [Paragraph(f"At the threshold {threshold(found.threshold)}:"), Table(header, rows)]
    if len(found.groups) > _GROUPS:
        parts.append(Paragraph(f"The first {_GROUPS} of {len(found.groups):,} groups."))
    intervals = [
        interval for group in found.groups for interval in (group.auc_interval, group.fpr.interval) if interval
    ]
    return [*parts, methods(intervals)]


def _p(test: GroupTest) -> str:
    p_value = "< 0.0001" if test.p_value < 0.0001 else f"= {test.p_value:.4f}"
    return f"{p_value}, {test.method}, adjusted for two tests after Holm"


def _mistakes(mistakes: Sequence[Mistake]) -> list[Part]:
    rows = [(number(mistake.score), mistake.source or f"sample {mistake.index}") for mistake in mistakes]
    return [Table(("#score", "source"), rows)] if rows else []
