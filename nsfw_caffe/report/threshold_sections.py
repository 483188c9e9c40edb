"""What an evaluation says of thresholds."""

from __future__ import annotations

from nsfw_caffe.evaluate.evaluation import RATES, Evaluation
from nsfw_caffe.report.page import Paragraph, Part, Table
from nsfw_caffe.report.rates import percent, percents, round_percent, threshold, thresholds
from nsfw_caffe.report.shared_sections import cells, methods


def at_thresholds(evaluation: Evaluation) -> list[Part]:
    """Say what each threshold does, and the best of one kind of mistake with the other one held."""
    level = evaluation.options.level
    rows, counts, shown = [], [], []
    for value, counted in zip(evaluation.options.thresholds, evaluation.confusions, strict=True):
        shares = [counted.share(rate, level=level) for rate in ("fpr", "fnr", "precision")]
        shown += [rate.interval for rate in shares]
        rows.append((threshold(value), *(cell for rate in shares for cell in cells(rate))))
        four = (counted.true_positives, counted.false_negatives, counted.false_positives, counted.true_negatives)
        counts.append((threshold(value), *(f"{count:,}" for count in four)))
    held = [
        (name, round_percent(rate), percent(other), percents(interval), threshold(point.threshold))
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


def chosen(evaluation: Evaluation) -> list[Part]:
    """Say which threshold was chosen, and what to expect of it; nothing where none was."""
    choice = evaluation.choice
    if choice is None:
        return []
    level = evaluation.options.level
    shares = [
        ("false positive rate", "fpr"),
        ("false negative rate", "fnr"),
        ("precision", "precision"),
        ("accuracy", "accuracy"),
    ]
    rows = [
        (
            "threshold",
            threshold(choice.threshold),
            thresholds(choice.threshold_interval),
            choice.threshold_interval.method,
        )
    ]
    for name, rate in shares:
        counted = choice.confusion.share(rate, level=level)
        # The wanted rate has an interval of its own, which allows for the choice by it.
        wanted = choice.rate_interval if evaluation.options.goal == rate else None
        interval = wanted or counted.interval
        rows.append((name, percent(counted.value), percents(interval if counted.total else None), interval.method))
    words = f"Chosen for {choice.goal}"
    if choice.confident:
        words += f" on new data too, with a confidence of {round_percent(level)}"
    parts: list[Part] = [
        Paragraph(f"{words}."),
        Table(("measure", "#value", f"#{round_percent(level)} interval", "method"), rows),
    ]
    if evaluation.options.goal == "precision":
        parts.append(
            Paragraph(
                "The threshold was chosen among all for its precision in these samples: nothing ensures that the "
                "interval holds the true precision at its level, though in simulations it did."
            )
        )
    parts.append(
        Paragraph(
            "This holds for new pictures of the same kind. Precision and accuracy hold for as large a share of nsfw as "
            "in this data."
        )
    )
    return parts


def moderated(evaluation: Evaluation) -> list[Part]:
    """Say what two thresholds leave to people."""
    policy = evaluation.policy
    low, high = threshold(policy.low), threshold(policy.high)
    outcomes = [
        ("pass", policy.passed, policy.nsfw_passed, policy.sfw_passed),
        ("review", policy.reviewed, policy.nsfw_reviewed, policy.sfw_reviewed),
        ("block", policy.blocked, policy.nsfw_blocked, policy.sfw_blocked),
    ]
    rows = [(name, *cells(every), *cells(nsfw), *cells(sfw)) for name, every, nsfw, sfw in outcomes]
    return [
        Paragraph(
            f"What scores below {low} passes, what scores {high} or more is blocked, and a person looks at the rest: "
            f"{percent(policy.reviewed.value)} of the samples. Unseen by people, {percent(policy.nsfw_passed.value)} "
            f"of the nsfw passes and {percent(policy.sfw_blocked.value)} of the sfw is blocked."
        ),
        Table(("outcome", "#of all", "#interval", "#of nsfw", "#interval", "#of sfw", "#interval"), rows),
        methods([policy.reviewed.interval]),
    ]
