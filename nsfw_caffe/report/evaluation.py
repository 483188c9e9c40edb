"""What an evaluation says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from nsfw_caffe.evaluate.evaluation import RATES, Evaluation
from nsfw_caffe.evaluate.groups import GroupTest, Strata
from nsfw_caffe.evaluate.intervals import Interval, Share
from nsfw_caffe.evaluate.libraries import library_versions
from nsfw_caffe.evaluate.samples import Mistake
from nsfw_caffe.report.formatting import (
    count_of,
    describe_set_up,
    number,
    numbers,
    p_value,
    percent,
    percents,
    round_percent,
    share,
    threshold,
    thresholds,
)
from nsfw_caffe.report.plots import evaluation_plots
from nsfw_caffe.report.sections import Facts, Figure, Gallery, Paragraph, Part, Report, Section, Table
from nsfw_caffe.report.thumbnails import Colour, thumbnails
from nsfw_caffe.results.record import Provenance

FEW = 30
"""Samples of a class below which intervals say little: one sample is over three percent."""

FEW_SCORES = 0.5
"""Where less than this share of the scores are different ones, a note says so."""

_OF_PRECISION = (
    "The threshold was chosen among all for its precision in these samples: nothing ensures that the interval holds "
    "the true precision at its level, though in simulations it did."
)

_ROWS = 100
"""How many groups of a column, and how many sources without a score, are shown."""


def evaluation_report(
    evaluation: Evaluation, *, pictures: int = 0, clear: bool = False, colour: Colour | None = None
) -> Report:
    """Return what an evaluation says.

    A page has thumbnails, blurred unless `clear`, of up to `pictures` of the worst mistakes on each side, made when it
    is written; one that is not where its name says has none. `colour` gives each a heat map.
    """
    gallery = partial(_mistakes, pictures=pictures, clear=clear, colour=colour)
    roc, roc_log, precision_recall, scores, rates, reliability = map(Figure, evaluation_plots(evaluation))
    sections = [
        Section("Overview", _overview(evaluation)),
        Section("How well the classes are told apart", [roc, roc_log, precision_recall, _ranking(evaluation)]),
        Section("Thresholds", [scores, rates, *_at_thresholds(evaluation)]),
        Section("The chosen threshold", _chosen(evaluation)),
        Section("Two thresholds, and people between them", _moderated(evaluation)),
        Section("Scores as probabilities", [reliability, *_calibration(evaluation)]),
        *(Section(f"By {name}", _strata(groups)) for name, groups in evaluation.strata),
        Section("The highest-scored sfw", gallery(evaluation.highest_sfw)),
        Section("The lowest-scored nsfw", gallery(evaluation.lowest_nsfw)),
        Section("Without a score", _failures(evaluation.failures)),
        Section("Made with", [made_with(evaluation.set_ups, evaluation.versions)]),
    ]
    return Report("Evaluation of NSFW scores", evaluation.name, sections)


def made_with(set_ups: Sequence[Provenance], versions: Sequence[str]) -> Table:
    """Say what made the scores, where that is known, and what made the evaluation."""
    rows = [("scores: set-up", describe_set_up(set_up)) for set_up in set_ups]
    rows += [("scores: model's SHA-256", model) for model in sorted({set_up.model for set_up in set_ups})]
    if versions:
        rows.append(("scores: nsfw_caffe", ", ".join(versions)))
    rows += [(f"evaluation: {name}", version) for name, version in library_versions().items()]
    return Table(("what", "value"), rows)


def notes(evaluation: Evaluation) -> Iterator[str]:
    """Yield what a reader has to know before the numbers, a sentence each."""
    samples = evaluation.nsfw + evaluation.sfw
    for name, count in (("nsfw", evaluation.nsfw), ("sfw", evaluation.sfw)):
        if count < FEW:
            there = f"There is only {count} {name} sample" if count == 1 else f"There are only {count} {name} samples"
            yield f"{there}: the intervals are wide and say little; with {FEW} or more they begin to."
    if evaluation.failures:
        yield f"{count_of(len(evaluation.failures), 'labelled source')} without a score: left out of all figures."
    if evaluation.repeats:
        yield f"{count_of(evaluation.repeats, 'source')} more than once in the data: counted once."
    if evaluation.same_content:
        yield (
            f"{count_of(evaluation.same_content, 'source')} with the content of another one: counted, but the "
            "intervals, which take samples for independent, are a little too narrow."
        )
    if evaluation.contradictions:
        pictures = count_of(evaluation.contradictions, "picture")
        yield f"{pictures} labelled nsfw in one place and sfw in another: decide for one."
    different = len(set(evaluation.set_ups))
    if different > 1:
        yield f"The scores are of {different} different set-ups: the figures are of their mixture."
    if evaluation.distinct_scores < samples * FEW_SCORES:
        yield (
            f"{samples:,} samples have {count_of(evaluation.distinct_scores, 'different score')}: equal ones cannot be "
            "told apart, and rates change in steps from one to the next."
        )
    if evaluation.no_choice is not None:
        yield f"No threshold was chosen: {evaluation.no_choice}."


def _overview(evaluation: Evaluation) -> list[Part]:
    total = evaluation.nsfw + evaluation.sfw
    facts = [
        ("samples", f"{total:,}"),
        ("nsfw", f"{evaluation.nsfw:,} ({share(evaluation.nsfw, total)})"),
        ("sfw", f"{evaluation.sfw:,} ({share(evaluation.sfw, total)})"),
        ("without a score", f"{len(evaluation.failures):,}"),
        ("ROC AUC", number(evaluation.roc.auc)),
        ("average precision", number(evaluation.precision_recall.average_precision)),
    ]
    return [Facts(facts), *(Paragraph(note) for note in notes(evaluation))]


def _ranking(evaluation: Evaluation) -> Table:
    curve = evaluation.precision_recall
    return _measures(
        ("area under the ROC curve", evaluation.roc.auc, evaluation.roc.auc_interval),
        ("average precision", curve.average_precision, evaluation.average_precision_interval),
    )


def _at_thresholds(evaluation: Evaluation) -> list[Part]:
    """Say what each threshold does, and the best of one kind of mistake with the other one held."""
    level = evaluation.options.level
    rows, counts, shown = [], [], []
    for value, counted in zip(evaluation.options.thresholds, evaluation.confusions, strict=True):
        shares = [counted.share(rate, level=level) for rate in ("fpr", "fnr", "precision")]
        shown += [rate.interval for rate in shares]
        rows.append((threshold(value), *(cell for rate in shares for cell in _cells(rate))))
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
        _methods(shown),
        Paragraph("The best of one kind of mistake with the other held at or below a rate:"),
        Table(("measure", "#held at", "#rate", "#interval", "#at threshold"), held),
        _methods(point.fpr_interval for point in evaluation.fpr_at_fnr),
    ]


def _chosen(evaluation: Evaluation) -> list[Part]:
    """Say which threshold was chosen, and what to expect of it; nothing where none was."""
    choice = evaluation.choice
    if choice is None:
        return []
    level = evaluation.options.level
    found = choice.threshold_interval
    rows = [("threshold", threshold(choice.threshold), thresholds(found), found.method)]
    rates = {
        "false positive rate": "fpr",
        "false negative rate": "fnr",
        "precision": "precision",
        "accuracy": "accuracy",
    }
    for name, rate in rates.items():
        counted = choice.confusion.share(rate, level=level)
        # The wanted rate has an interval of its own, which allows for the choice by it.
        wanted = choice.rate_interval if evaluation.options.goal == rate else None
        interval = wanted or counted.interval
        rows.append((name, percent(counted.value), percents(interval if counted.total else None), interval.method))
    sure = f" on new data too, with a confidence of {round_percent(level)}" if choice.confident else ""
    of_precision = [Paragraph(_OF_PRECISION)] if evaluation.options.goal == "precision" else []
    return [
        Paragraph(f"Chosen for {choice.goal}{sure}."),
        Table(("measure", "#value", f"#{round_percent(level)} interval", "method"), rows),
        *of_precision,
        Paragraph(
            "This holds for new pictures of the same kind. Precision and accuracy hold for as large a share of nsfw as "
            "in this data."
        ),
    ]


def _moderated(evaluation: Evaluation) -> list[Part]:
    """Say what two thresholds leave to people."""
    policy = evaluation.policy
    low, high = threshold(policy.low), threshold(policy.high)
    outcomes = [
        ("pass", policy.passed, policy.nsfw_passed, policy.sfw_passed),
        ("review", policy.reviewed, policy.nsfw_reviewed, policy.sfw_reviewed),
        ("block", policy.blocked, policy.nsfw_blocked, policy.sfw_blocked),
    ]
    rows = [(name, *_cells(every), *_cells(nsfw), *_cells(sfw)) for name, every, nsfw, sfw in outcomes]
    return [
        Paragraph(
            f"What scores below {low} passes, what scores {high} or more is blocked, and a person looks at the rest: "
            f"{percent(policy.reviewed.value)} of the samples. Unseen by people, {percent(policy.nsfw_passed.value)} "
            f"of the nsfw passes and {percent(policy.sfw_blocked.value)} of the sfw is blocked."
        ),
        Table(("outcome", "#of all", "#interval", "#of nsfw", "#interval", "#of sfw", "#interval"), rows),
        _methods([policy.reviewed.interval]),
    ]


def _calibration(evaluation: Evaluation) -> list[Part]:
    found = evaluation.calibration
    columns = (found.edges[:-1], found.edges[1:], found.counts, found.mean_score, found.fraction_nsfw)
    rows = zip(*(column.tolist() for column in columns), found.intervals, strict=True)
    bins = [
        (f"{start:.3f} to {end:.3f}", f"{count:,}", number(mean), percent(part), percents(interval if count else None))
        for start, end, count, mean, part, interval in rows
    ]
    return [
        _measures(
            ("Brier score", found.brier, evaluation.brier_interval),
            ("expected calibration error", found.ece, evaluation.ece_interval),
        ),
        Paragraph(
            "The Brier score is the mean squared distance of a score from 1 for nsfw and 0 for sfw; the expected "
            f"calibration error is the mean distance of the dots from the diagonal, over {len(bins)} bins, weighted by "
            "their samples. Both are 0 at best. Chance makes the latter too large, which its interval allows for."
        ),
        Table(("#score", "#samples", "#mean score", "#nsfw", "#interval"), bins),
        _methods(found.intervals),
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
        for group in found.groups[:_ROWS]
    ]
    header = ("group", "#samples", "#nsfw", "#AUC", "#interval", "#FPR", "#interval", "#FNR", "#interval")
    tests = (("false positive", found.fpr_test), ("false negative", found.fnr_test))
    parts: list[Part] = [
        Paragraph(f"{'Warning: the' if test.differs else 'The'} groups' {name} rates {_beyond_chance(test)}.")
        for name, test in tests
        if test.method != "one group"
    ]
    parts += [Paragraph(f"At the threshold {threshold(found.threshold)}:"), Table(header, rows)]
    if len(found.groups) > _ROWS:
        parts.append(Paragraph(f"The first {_ROWS} of {len(found.groups):,} groups."))
    intervals = [
        interval for group in found.groups for interval in (group.auc_interval, group.fpr.interval) if interval
    ]
    return [*parts, _methods(intervals)]


def _beyond_chance(test: GroupTest) -> str:
    words = "differ" if test.differs else "do not differ"
    return f"{words} beyond chance ({p_value(test.p_value)}, {test.method}, adjusted for two tests after Holm)"


def _mistakes(mistakes: Sequence[Mistake], *, pictures: int, clear: bool, colour: Colour | None) -> list[Part]:
    rows = [(number(mistake.score), mistake.source or f"sample {mistake.index}") for mistake in mistakes]
    if not rows:
        return []
    table = Table(("#score", "source"), rows)
    sources = [mistake.source for mistake in mistakes[:pictures] if mistake.source is not None]
    if not sources:  # none is asked for, or the data has no names
        return [table]
    read = partial(thumbnails, sources, clear=clear, colour=colour)
    return [Gallery([score for score, _ in rows[: len(sources)]], read, clear, table)]


def _failures(failed: Sequence[tuple[str, str]]) -> list[Part]:
    """Say which labelled sources have no score, the first hundred by name."""
    if not failed:
        return []
    first = "" if len(failed) <= _ROWS else f" The first {_ROWS}:"
    return [
        Paragraph(f"{count_of(len(failed), 'labelled source')} without a score, left out of all figures.{first}"),
        Table(("source", "reason"), failed[:_ROWS]),
    ]


def _methods(intervals: Iterable[Interval]) -> Paragraph:
    """Say at what level intervals are, and what they were computed with."""
    listed = list(intervals)
    names = "; ".join(dict.fromkeys(interval.method for interval in listed))
    return Paragraph(f"Intervals: {round_percent(listed[0].level)} ({names}).")


def _measures(*rows: tuple[str, float, Interval]) -> Table:
    """Show measures with their intervals and what these were computed with."""
    level = round_percent(rows[0][2].level)
    return Table(
        ("measure", "#value", f"#{level} interval", "method"),
        [(name, number(value), numbers(interval), interval.method) for name, value, interval in rows],
    )


def _cells(rate: Share) -> tuple[str, str]:
    """Write a rate and its interval, for two cells of a table."""
    # Nothing of nothing has an interval, the whole scale, that tells nothing.
    return percent(rate.value), percents(rate.interval if rate.total else None)
