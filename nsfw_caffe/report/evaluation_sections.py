"""What an evaluation says, as words and tables, for the terminal and for the page alike."""

from __future__ import annotations

from collections.abc import Sequence

from nsfw_caffe.evaluate.evaluation import Evaluation
from nsfw_caffe.evaluate.groups import GroupTest, Strata
from nsfw_caffe.evaluate.samples import Mistake
from nsfw_caffe.report.page import Facts, Paragraph, Part, Section, Table
from nsfw_caffe.report.rates import number, numbers, p_value, percent, percents, threshold
from nsfw_caffe.report.shared_sections import cells, failures, made_with, measures, methods
from nsfw_caffe.report.threshold_sections import at_thresholds, chosen, moderated
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
        Section(THRESHOLDS, at_thresholds(evaluation)),
        Section("The chosen threshold", chosen(evaluation)),
        Section("Two thresholds, and people between them", moderated(evaluation)),
        Section(CALIBRATION, _calibration(evaluation)),
        *(Section(f"By {name}", _strata(groups)) for name, groups in evaluation.strata),
        Section(HIGHEST, named(evaluation.highest_sfw)),
        Section(LOWEST, named(evaluation.lowest_nsfw)),
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
        ("ROC AUC", number(evaluation.roc.auc)),
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
    return [measures(rows)]


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
        measures(
            [
                ("Brier score", found.brier, evaluation.brier_interval),
                ("expected calibration error", found.ece, evaluation.ece_interval),
            ]
        ),
        Paragraph(
            "The Brier score is the mean squared distance of a score from 1 for nsfw and 0 for sfw; the expected "
            f"calibration error is the mean distance of the dots from the diagonal, over {len(bins)} bins, weighted by "
            "their samples. Both are 0 at best. Chance makes the latter too large, which its interval allows for."
        ),
        Table(("#score", "#samples", "#mean score", "#nsfw", "#interval"), bins),
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
            *cells(group.fpr),
            *cells(group.fnr),
        )
        for group in found.groups[:_GROUPS]
    ]
    header = ("group", "#samples", "#nsfw", "#AUC", "#interval", "#FPR", "#interval", "#FNR", "#interval")
    tests = (("false positive", found.fpr_test), ("false negative", found.fnr_test))
    parts: list[Part] = [
        Paragraph(
            f"Warning: the groups' {name} rates differ beyond chance ({_p(test)})."
            if test.differs
            else f"The groups' {name} rates do not differ beyond chance ({_p(test)})."
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
    return f"{p_value(test.p_value)}, {test.method}, adjusted for two tests after Holm"


def named(mistakes: Sequence[Mistake]) -> list[Part]:
    """Name samples with their scores; nothing where there are none."""
    rows = [(number(mistake.score), mistake.source or f"sample {mistake.index}") for mistake in mistakes]
    return [Table(("#score", "source"), rows)] if rows else []
