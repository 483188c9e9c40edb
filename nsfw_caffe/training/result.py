"""What a training was worth: the pictures held out, scored before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nsfw_caffe.evaluate.comparison import Comparison, compare
from nsfw_caffe.evaluate.evaluation import Evaluation, evaluate
from nsfw_caffe.evaluate.intervals import Share
from nsfw_caffe.evaluate.labelled import LabelledScores
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.training.data import Dataset
from nsfw_caffe.training.solving import Iteration

THRESHOLD = 0.5

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FineTuning:
    """How Caffe's solver trained on pictures, from the last layer's result on, or a new last layer.

    Attributes
    ----------
    layers : str
        "all", or the layer or stage that was the first to learn; "last" where the last layer is a Convolution.
    history : tuple of Iteration
        The solver's.
    checked : tuple of (int, float)
        Iterations whose weights were looked at, with their area under the ROC curve on the pictures held out; iteration
        0 is what it began with.
    chosen : int
        The iteration whose weights became the model.
    batch_size, iter_size : int
        Pictures at once; how many such batches one update is the mean of.
    """

    layers: str
    history: tuple[Iteration, ...]
    checked: tuple[tuple[int, float], ...]
    chosen: int
    batch_size: int
    iter_size: int


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The pictures held out, and what each model makes of them.

    Attributes
    ----------
    sources : tuple of str
        Their names.
    labels : numpy.ndarray
        int64, (n,): the number of each one's class.
    before : numpy.ndarray or None
        float64, (n,): the original's scores, where training began with its weights.
    last : numpy.ndarray or None
        float64, (n, classes): the probabilities by the last layer's result, where more was trained than that.
    after : numpy.ndarray
        float64, (n, classes): the probabilities by the new model.
    """

    sources: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    before: Scores | None
    last: Scores | None
    after: Scores


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training has made, and what it is worth on the pictures held out.

    Attributes
    ----------
    folder : pathlib.Path
        The model folder, for ``Classifier(model=...)`` and ``--model``.
    classes : tuple of str
        In the order of the network's outputs.
    score_class : str
        The class that the score is of, and that the figures call nsfw.
    trained_on, held_out : mapping
        How many pictures of each class.
    before, after : Evaluation
        The original's scores, and the new model's, on the same pictures held out; `before` is None where the weights
        that training began with are none of the original's.
    accuracy_before, accuracy : Share
        Verdicts that are right: before, at 0.5; after, the most probable of all classes. With an interval.
    majority : float
        What always answering with the most frequent class gets right.
    comparison : Comparison or None
        Whether the areas under the two ROC curves differ by more than chance (DeLong, paired).
    decay : float
        The weight decay.
    history : tuple of Iteration
        The solver's, of the last layer; empty where that was trained on pictures alone.
    balanced : bool
        Scores are probabilities for data in which all classes are as frequent; else, for data mixed as it was.
    failures : tuple of (str, str)
        Pictures left out, with what is wrong with each.
    repeats, too_near : int
        Sources left out because their content was there already; pictures left out of what was trained on because one
        that looks the same is held out.
    pictures : HeldOut
        The pictures held out, one by one.
    last : Evaluation or None
        The scores of the last layer's result, on the same pictures, where more was trained from there on.
    fine_tuning : FineTuning or None
        How the solver trained on pictures.
    """

    folder: Path
    classes: tuple[str, ...]
    score_class: str
    trained_on: Mapping[str, int]
    held_out: Mapping[str, int]
    before: Evaluation | None
    after: Evaluation
    accuracy_before: Share | None
    accuracy: Share
    majority: float
    comparison: Comparison | None
    decay: float
    history: tuple[Iteration, ...]
    balanced: bool
    failures: tuple[tuple[str, str], ...]
    repeats: int
    too_near: int
    pictures: HeldOut
    last: Evaluation | None = None
    fine_tuning: FineTuning | None = None

    @property
    def gain_is_chance(self) -> bool:
        """Whether the new model's area under the ROC curve is not surely larger than the original's."""
        if self.comparison is None or self.comparison.difference_interval is None:
            return False
        return self.comparison.difference_interval.low <= 0


@dataclass(frozen=True, eq=False)
class Found:
    """What networks make of the pictures held out."""

    original: Scores | None
    """The original's scores, (n,)."""
    last: Scores
    """The last layer's probabilities, (n, classes)."""
    tuned: Scores | None = None
    """Those of the model where more was trained, (n, classes)."""


@dataclass(frozen=True)
class Asked:
    """What of a training its measures depend on."""

    folder: Path
    score_class: str
    balanced: bool


def measure(
    asked: Asked,
    dataset: Dataset,
    found: Found,
    *,
    decay: float,
    history: tuple[Iteration, ...],
    fine_tuning: FineTuning | None = None,
) -> TrainingResult:
    """Hold what was found against the labels."""
    labels, positive, sources = held_out(dataset, asked.score_class)
    scored = dataset.classes.index(asked.score_class)
    final = found.last if found.tuned is None else found.tuned
    before, comparison, accuracy_before = None, None, None
    if found.original is not None:
        before = _evaluate(positive, found.original, sources, "before")
        comparison = compare(positive, found.original, final[:, scored], THRESHOLD)
        right = int(((found.original >= THRESHOLD) == positive).sum())
        accuracy_before = Share(right, len(labels), before.options.level)
    after = _evaluate(positive, final[:, scored], sources, "after")
    counts = dataset.counts(held=True)
    right = int((final.argmax(axis=1) == labels).sum())
    return TrainingResult(
        folder=asked.folder,
        classes=dataset.classes,
        score_class=asked.score_class,
        trained_on=dataset.counts(held=False),
        held_out=counts,
        before=before,
        after=after,
        accuracy_before=accuracy_before,
        accuracy=Share(right, len(labels), after.options.level),
        majority=max(counts.values()) / len(labels),
        comparison=comparison,
        decay=decay,
        history=history,
        balanced=asked.balanced,
        failures=dataset.failures,
        repeats=dataset.repeats,
        too_near=dataset.too_near,
        pictures=HeldOut(tuple(sources), labels, found.original, None if found.tuned is None else found.last, final),
        last=None if found.tuned is None else _evaluate(positive, found.last[:, scored], sources, "last layer"),
        fine_tuning=fine_tuning,
    )


def held_out(dataset: Dataset, score_class: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], list[str]]:
    """Give the labels of the pictures held out, whether each is of the class that the score is of, and their names."""
    labels = dataset.labels[dataset.held]
    sources = [picture.source for picture, held in zip(dataset.pictures, dataset.held, strict=True) if held]
    return labels, labels == dataset.classes.index(score_class), sources


def _evaluate(positive: npt.NDArray[np.bool_], scores: Scores, sources: list[str], name: str) -> Evaluation:
    clipped = np.clip(scores, 0, 1)
    return evaluate(LabelledScores(positive, clipped, sources, name=name), Options(thresholds=(THRESHOLD,)))


def figures(evaluation: Evaluation | None) -> dict[str, float] | None:
    """Give the figures of an evaluation that a model's description has."""
    if evaluation is None:
        return None
    (at,) = evaluation.confusions
    return {"auc": evaluation.roc.auc, "accuracy": at.accuracy, "fpr": at.fpr, "fnr": at.fnr}
