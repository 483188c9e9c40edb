"""Training from one call: labelled pictures in, a model folder and what it is worth out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nsfw_caffe.engines.base import require_engine
from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.folder import default_score_class
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.system.files import write_file
from nsfw_caffe.system.proc import require_linux
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.cost import TrainingCost
from nsfw_caffe.training.data import Data, Dataset, Progress, class_names, labelled_sources, without
from nsfw_caffe.training.features import features_of
from nsfw_caffe.training.fine_tuning import Base, Costs, Solving, Tuned, fine_tune
from nsfw_caffe.training.last_layer import probabilities, train_last_layer
from nsfw_caffe.training.libraries import check_libraries
from nsfw_caffe.training.means import Means, Reading
from nsfw_caffe.training.options import DEFAULTS, TrainingOptions
from nsfw_caffe.training.output import write_model
from nsfw_caffe.training.result import Asked, FineTuning, Found, TrainingResult, measure
from nsfw_caffe.training.solving import Iteration, SolverJob
from nsfw_caffe.training.start import Start, find_start
from nsfw_caffe.training.training_form import training_form
from nsfw_caffe.training.work import as_it_was, check_state, remove, work_folder

_SCORING = ScoringOptions()


def train(
    data: Data,
    output: str | os.PathLike[str],
    *,
    options: TrainingOptions = DEFAULTS,
    scoring: ScoringOptions = _SCORING,
    workers: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    solving: Callable[[Iteration, int], object] | None = None,
    costs: Callable[[TrainingCost], object] | None = None,
) -> TrainingResult:
    """Train the network on labelled pictures, and measure what that was worth on pictures held out.

    Where more than the last layer learns, weights of about ten iterations are scored on the pictures held out, the last
    layer's result among them, and those with the largest area under the ROC curve are the model. So it never gets
    worse; but being chosen by it, this area is a little optimistic. SqueezeNet, whose last layer is a Convolution, is
    trained so in any case, and from a new last layer on.

    Parameters
    ----------
    data : path, or mapping of str to paths
        A folder that has a folder or an archive a class, named for it; or a table (.csv, .jsonl, .parquet or .sqlite)
        with the columns `source`, `label` and, if wanted, `split` (train or test); or for each class its sources.
    output : path
        The model folder to be made: not there yet, or empty. It is whole or not there; what a training that was stopped
        goes on from is hidden in it.
    options : TrainingOptions, optional
        What is asked.
    scoring : ScoringOptions, optional
        How pictures become features: engine, device and limits.
    workers : int, optional
        As for `Classifier.scan`.
    resume : bool, default False
        Go on with what was stopped; the model is the one of an unbroken run.
    progress : callable, optional
        Called with what is done, how much of it, and how much there is or None.
    solving : callable, optional
        Called with each Iteration of the solver and how many there will be: those of the last layer, and then, where
        more learns, those of that.
    costs : callable, optional
        Called with a TrainingCost before the solver trains on pictures, which may take hours: where more than the last
        layer learns, or that is a Convolution. A few updates are made for it, and thrown away.

    Raises
    ------
    TrainingError
        If the data cannot be trained on, the folder holds something else, or the solver fails; the message says why.
    ModelError, EngineUnavailable
        As for `Classifier`.

    Examples
    --------
    >>> import nsfw_caffe
    >>> result = nsfw_caffe.train("labelled", "mymodel")  # doctest: +SKIP
    >>> result.classes, round(result.after.roc.auc, 2)  # doctest: +SKIP
    (('sfw', 'nsfw'), 0.97)
    """
    check_libraries()
    sources = labelled_sources(data)
    scoring = dataclasses.replace(scoring, engine=require_engine(scoring))
    reading = Reading(sources, scoring, create_codec(scoring.jpeg, scoring.decode), workers, progress)
    return train_by(
        reading, class_names(sources), Path(output), options=options, resume=resume, solving=solving, costs=costs
    )


def train_by(
    reading: Means,
    classes: tuple[str, ...],
    folder: Path,
    *,
    options: TrainingOptions,
    resume: bool = False,
    solving: Solving | None = None,
    costs: Costs | None = None,
) -> TrainingResult:
    """Do what `train` does, by any means."""
    require_linux("training")
    score_class = _score_class(options, classes)
    scored = classes.index(score_class)
    with as_it_was(folder):
        work = work_folder(folder, resume=resume)
        start = find_start(options, work)
        first = start.first_layer(classes)
        training_form(start.with_last(first), learning=options.layers)  # there are such layers
        dataset = reading.gather(options.holdout, options.seed)
        check_state(work, options, reading.options, start.network.text, dataset)
    task = _Task(start, first, reading, work, options, scored, resume, solving, costs)
    trained = (_train_on_pictures if start.network.convolves else _train_on_features)(task, dataset)
    result = measure(
        Asked(folder, score_class, balanced=options.class_weights == "balanced"),
        trained.dataset,
        trained.found,
        decay=trained.job.decay,
        history=trained.history,
        fine_tuning=trained.fine_tuning,
    )
    network = start.with_last(first)
    write_model(result, network, trained.caffemodel, trained.job, trained.dataset, work, options)
    remove(work)
    return result


@dataclass(frozen=True)
class _Task:
    """What is to be trained, on whatever pictures, and who is told."""

    start: Start
    first: LayerParameter
    """The last layer that training begins with."""
    reading: Means
    work: Path
    options: TrainingOptions
    scored: int
    resume: bool
    solving: Solving | None
    costs: Costs | None

    def fine_tune(self, last: LayerParameter, dataset: Dataset) -> Tuned:
        """Train what the options name on pictures, from a last layer with its blobs on."""
        return fine_tune(
            Base(self.start.with_last(last), self.written(last)),
            dataset,
            self.reading,
            self.work / "fine_tuning",
            self.options,
            self.scored,
            resume=self.resume,
            solving=self.solving,
            costs=self.costs,
        )

    def written(self, last: LayerParameter) -> Path:
        """Write the weights that there are, with a last layer."""
        caffemodel = self.work / "trained.caffemodel"
        _write(caffemodel, self.start.weights(last))
        return caffemodel


@dataclass(frozen=True)
class _Trained:
    """Weights, and how they came about; `job` is the last layer's, where it was trained first."""

    caffemodel: Path
    dataset: Dataset
    found: Found
    job: SolverJob
    history: tuple[Iteration, ...]
    fine_tuning: FineTuning | None


def _train_on_features(task: _Task, dataset: Dataset) -> _Trained:
    """Train the last layer on what the others make of each picture, and from there on more, where that is wanted."""
    options = task.options
    features = features_of(dataset, task.reading, task.start.network, task.start.caffemodel, task.work)
    dataset, kept = without(dataset, features.failures)
    last = train_last_layer(
        task.first,
        features.rows,
        _spread(dataset.labels, kept, len(features.rows)),
        kept[~dataset.held],
        _spread(dataset.alike, kept, len(features.rows)),
        task.work / "last",
        options=_of_last_layer(options),
        resume=task.resume,
        progress=task.solving,
    )
    held = kept[dataset.held]
    original = task.start.original_scores(features.rows, held)
    alone = probabilities(features.rows, last.layer, held)
    if options.layers == "last":
        return _Trained(task.written(last.layer), dataset, Found(original, alone), last.job, last.history, None)
    tuned = task.fine_tune(last.layer, dataset)
    found = Found(original, tuned.before, tuned.after)
    return _Trained(tuned.caffemodel, dataset, found, last.job, last.history, tuned.found)


def _train_on_pictures(task: _Task, dataset: Dataset) -> _Trained:
    """Train all that is to learn at once."""
    tuned = task.fine_tune(task.first, dataset)
    return _Trained(tuned.caffemodel, dataset, Found(None, tuned.after), tuned.job, (), tuned.found)


def _of_last_layer(options: TrainingOptions) -> TrainingOptions:
    """Give the options of the last layer: its defaults where the solver's are for more layers."""
    if options.layers == "last":
        return options
    return dataclasses.replace(options, iterations=None, epochs=None, batch_size=None, base_rate=None, decay=None)


def _spread(values: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    spread = np.zeros(count, np.int64)
    spread[rows] = values
    return spread


def _score_class(options: TrainingOptions, classes: tuple[str, ...]) -> str:
    chosen = options.score_class or default_score_class(classes)
    if chosen is None:
        raise TrainingError(f"there are the classes {', '.join(classes)}: say which one the score is of (--class)")
    if chosen not in classes:
        raise TrainingError(f"score_class={chosen!r}: the classes are {', '.join(classes)}")
    return chosen


def _write(path: Path, content: bytes) -> None:
    try:
        write_file(path, content)
    except OSError as error:
        raise TrainingError(f"{path} cannot be written ({reason(error)}); --resume goes on") from error
