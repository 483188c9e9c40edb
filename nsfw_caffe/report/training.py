"""What a training has made, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.comparison import Comparison
from nsfw_caffe.evaluate.evaluation import Evaluation
from nsfw_caffe.evaluate.intervals import Share
from nsfw_caffe.report.evaluation import FEW
from nsfw_caffe.report.formatting import count_of, number, numbers, p_value, percent, percents, round_percent, share
from nsfw_caffe.report.sections import Facts, Figure, Gallery, Paragraph, Part, Report, Section, Table
from nsfw_caffe.report.thumbnails import thumbnails
from nsfw_caffe.report.training_plots import areas_plot, loss_plot, rocs_plot

_NAMED = 100
"""How many pictures of a kind, those left out for example, are named."""

_SHOWN = 24
"""How many of the worst mistakes have a thumbnail."""

MEASURES = ("measure", "model", "#value", "#interval")
"""What each of `measure_rows` has."""

GAINS = ("gain in AUC", "#value", "#interval", "#by chance")
"""What each of `gain_rows` has."""

BEFORE = "before"
"""What the original is called."""

_BEFORE = " Before: the original's score, which was made to tell nsfw from sfw."

_RATES = {"accuracy": "accuracy", "FPR": "fpr", "FNR": "fnr"}
"""What is said of each model at the threshold."""


@dataclass(frozen=True)
class Learned:
    """What the solver went through.

    Attributes
    ----------
    name, layers : str
        Of its figure; what learned, in words.
    losses : sequence of float
        Of each update.
    checked : sequence of (int, float)
        Updates whose weights were looked at, with their area under the ROC curve on the pictures held out.
    chosen : int or None
        The update whose weights were taken for that area.
    """

    name: str
    layers: str
    losses: Sequence[float]
    checked: Sequence[tuple[int, float]] = ()
    chosen: int | None = None


@dataclass(frozen=True, eq=False)
class Training:
    """What a report on a training is made from.

    Attributes
    ----------
    name : str
        The model's.
    classes, score_class : tuple of str, str
        In the order of the network's outputs; the one that the score is of.
    trained_on, held_out : mapping
        How many pictures of each class.
    failures, repeats, too_near : tuple of (str, str), int, int
        What was left out: unreadable, with the reason; there already; too much like one that is held out.
    models : sequence of (str, Evaluation)
        Each model's name and scores on the same pictures held out, the new one last.
    gains : sequence of (str, Comparison)
        Over what the area under the ROC curve was gained, in words, and how much.
    accuracy : Share
        Pictures whose most probable class is the right one.
    majority : float
        The share of the most frequent class.
    learned : sequence of Learned
        What the solver went through.
    balanced : bool
        Whether all classes counted the same.
    sources, labels, probabilities : sequence of str, numpy.ndarray, numpy.ndarray
        The pictures held out; (n,), the number of each one's class; (n, classes), what the new model says.
    settings : sequence of (str, str)
        What the model was made from, and how.
    """

    name: str
    classes: tuple[str, ...]
    score_class: str
    trained_on: Mapping[str, int]
    held_out: Mapping[str, int]
    failures: Sequence[tuple[str, str]]
    repeats: int
    too_near: int
    models: Sequence[tuple[str, Evaluation]]
    gains: Sequence[tuple[str, Comparison]]
    accuracy: Share
    majority: float
    learned: Sequence[Learned]
    balanced: bool
    sources: Sequence[str]
    labels: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    settings: Sequence[tuple[str, str]]


def training_report(training: Training) -> Report:
    """Return what a training says: a page has blurred thumbnails of the worst mistakes, made when it is written."""
    sections = [
        Section("Overview", _overview(training)),
        Section("Pictures", _pictures(training)),
        Section("Before and after", _before_and_after(training)),
        Section("Which class is taken for which", _confused(training)),
        Section("Scores as probabilities", [Paragraph(calibration(training))]),
        Section("How it learned", list(_learning(training))),
        Section("The worst mistakes", _mistakes(training)),
        Section("Made with", [Table(("what", "value"), training.settings)]),
    ]
    return Report("Training on labelled pictures", training.name, sections)


def warnings(training: Training) -> Iterator[str]:
    """Yield what a reader has to know before the figures, a sentence or two each."""
    for what, gain in training.gains:
        interval = gain.difference_interval
        if interval is not None and interval.high < 0:
            yield f"Warning: the gain {what} is a loss beyond chance: the new model is worse on these pictures."
        elif interval is not None and interval.low <= 0:
            yield (
                f"Warning: the gain {what} is within chance: these pictures do not show that the new model is better "
                "than that."
            )
    for name, count in training.held_out.items():
        if count < FEW:
            yield (
                f"Only {count_of(count, 'picture')} of {name} held out: the intervals are wide and say little; with "
                f"{FEW} or more they begin to."
            )
    for learned in training.learned:
        if learned.chosen is not None:
            yield (
                f"The weights were chosen, among {len(learned.checked)}, by their area on the pictures held out: the "
                "new model's figures are on these a little better than on others."
            )


def calibration(training: Training) -> str:
    """Say what a score is the probability of."""
    if training.balanced:
        mixed = (
            "in which all classes are as frequent, since each counted the same, however many pictures it has. Where a "
            "class is rarer than that, its pictures are fewer among those of a high score than the score says"
        )
    else:
        mixed = "that is mixed as the pictures trained on are"
    return f"A score is a probability for data {mixed}."


def measure_rows(training: Training) -> list[tuple[str, str, str, str]]:
    """Write the area under the ROC curve, and the rates at the threshold, of each model, with their intervals."""
    rows = [("AUC", name, number(found.roc.auc), numbers(found.roc.auc_interval)) for name, found in training.models]
    for measure, rate in _RATES.items():
        for name, found in training.models:
            (at,) = found.confusions
            part = at.share(rate, level=found.options.level)
            rows.append((measure, name, percent(part.value), percents(part.interval)))
    return rows


def gain_rows(training: Training) -> list[tuple[str, str, str, str]]:
    """Write what was gained in area, with the interval, and how probable that is by chance."""
    return [
        (
            what,
            f"{gain.difference:+.4f}",
            f"{interval.low:+.4f} to {interval.high:+.4f}",
            "-" if gain.p_value is None else p_value(gain.p_value),
        )
        for what, gain in training.gains
        if gain.difference is not None and (interval := gain.difference_interval) is not None
    ]


def about_measures(training: Training) -> str:
    """Say what was measured on, and what the rates are."""
    _, new = training.models[-1]
    (threshold,) = new.options.thresholds
    scored = training.score_class
    return (
        f"All on the same {count_of(training.accuracy.total, 'picture')} held out, which nothing was trained on. A "
        f"picture is taken for {scored} where its score is {threshold:g} or more. Accuracy: the share of all for which "
        f"that is right; FPR: the share of the rest that is taken for {scored}; FNR: the share of {scored} that is not."
        f"{_BEFORE if training.models[0][0] == BEFORE else ''}"
    )


def about_classes(training: Training) -> str:
    """Say how often the most probable class is the right one, and the most frequent one would be."""
    right = training.accuracy
    return (
        f"The most probable class is the right one for {percent(right.value)} ({percents(right.interval)}); always "
        f"answering with the most frequent class would be right for {percent(training.majority)}."
    )


def about_intervals(training: Training) -> str:
    """Say at what level intervals are, and what they were computed with."""
    areas = [found.roc.auc_interval for _, found in training.models]
    gains = [gain.difference_interval for _, gain in training.gains if gain.difference_interval is not None]
    names = dict.fromkeys(interval.method for interval in (*areas, training.accuracy.interval, *gains))
    return f"Intervals: {round_percent(training.accuracy.level)} ({'; '.join(names)})."


def _overview(training: Training) -> list[Part]:
    _, new = training.models[-1]
    facts = [
        ("classes", ", ".join(training.classes)),
        ("score of", training.score_class),
        ("trained on", f"{sum(training.trained_on.values()):,}"),
        ("held out", f"{sum(training.held_out.values()):,}"),
        ("ROC AUC", number(new.roc.auc)),
        ("right class", percent(training.accuracy.value)),
    ]
    return [Facts(facts), *map(Paragraph, warnings(training))]


def _pictures(training: Training) -> list[Part]:
    rows = [(name, f"{training.trained_on[name]:,}", f"{training.held_out[name]:,}") for name in training.classes]
    left_out = (
        f"Left out: {len(training.failures):,} that cannot be read, {training.repeats:,} with the content of another "
        f"one, {training.too_near:,} that look like one held out."
    )
    parts: list[Part] = [
        Table(("class", "#trained on", "#held out"), rows),
        Paragraph(left_out),
        Paragraph("This page names your pictures: leave it out where you pass the folder on; no model needs it."),
    ]
    if len(training.failures) > _NAMED:
        parts.append(Paragraph(f"The first {_NAMED} that cannot be read:"))
    if training.failures:
        parts.append(Table(("source", "reason"), training.failures[:_NAMED]))
    return parts


def _before_and_after(training: Training) -> list[Part]:
    parts: list[Part] = [
        Figure(rocs_plot([(name, evaluation.roc) for name, evaluation in training.models], training.score_class)),
        Table(MEASURES, measure_rows(training)),
        Paragraph(about_measures(training)),
        Paragraph(about_classes(training)),
    ]
    gains = gain_rows(training)
    if gains:
        parts.append(Table(GAINS, gains))
    return [*parts, Paragraph(about_intervals(training))]


def _confused(training: Training) -> list[Part]:
    """Count which class is taken for which; of two, the rates tell the same."""
    classes = training.classes
    if len(classes) == 2:
        return []
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (training.labels, training.probabilities.argmax(axis=1)), 1)
    rows = []
    for label, (name, row) in enumerate(zip(classes, counts, strict=True)):
        right = Share(int(row[label]), int(row.sum()), training.accuracy.level)
        cells = [f"{count:,}" for count in row.tolist()]
        rows.append((name, *cells, share(right.count, right.total), percents(right.interval)))
    return [
        Paragraph("Each row has the pictures held out of one class, by the class that is the most probable of them."),
        Table(("labelled", *(f"#{name}" for name in classes), "#right", "#interval"), rows),
    ]


def _learning(training: Training) -> Iterator[Part]:
    for learned in training.learned:
        if len(learned.losses):
            tenth = -(-len(learned.losses) // 10)
            first, last = np.mean(learned.losses[:tenth]), np.mean(learned.losses[-tenth:])
            updates = count_of(len(learned.losses), "update")
            yield Paragraph(
                f"{learned.layers[0].upper()}{learned.layers[1:]}: {updates}; the mean loss was {first:.4f} "
                f"in the first tenth of them and {last:.4f} in the last."
            )
            yield Figure(loss_plot(learned.name, learned.layers, learned.losses))
        if learned.chosen is not None:
            _, new = training.models[-1]
            yield Figure(areas_plot(learned.checked, learned.chosen, new.roc.auc_interval))


def _mistakes(training: Training) -> list[Part]:
    """Name the pictures held out that are taken for another class, the least probable labels first."""
    taken_for = training.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(taken_for != training.labels)
    of_labels = training.probabilities[wrong, training.labels[wrong]]
    order = wrong[np.argsort(of_labels, kind="stable")][:_NAMED]
    if not len(order):
        return [Paragraph("Each picture held out is taken for what it is labelled.")]
    rows = [
        (
            number(float(training.probabilities[index, taken_for[index]])),
            training.classes[taken_for[index]],
            training.classes[training.labels[index]],
            training.sources[index],
        )
        for index in order
    ]
    titles = [f"{probability} {taken}, labelled {label}" for probability, taken, label, _ in rows[:_SHOWN]]
    read = partial(thumbnails, [source for *_, source in rows[:_SHOWN]])
    first = "" if len(wrong) <= _NAMED else f", the first {_NAMED} of them"
    return [
        Paragraph(
            f"Of the pictures held out, {len(wrong):,} taken for another class than their label's; the surest "
            f"mistakes first{first}. Where a label is wrong, the mistake is its: look at these again."
        ),
        Gallery(titles, read, False, Table(("#probability", "taken for", "labelled", "source"), rows)),
    ]
