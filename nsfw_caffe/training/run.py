"""Training from one call: labelled pictures in, a model folder and what it is worth out."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format

from nsfw_caffe._version import __version__
from nsfw_caffe.engines.base import require_engine
from nsfw_caffe.errors import ModelError, TrainingError
from nsfw_caffe.model.folder import default_score_class, require_room, write_model_folder
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.model.spec import ModelFiles, model_files
from nsfw_caffe.networks.catalogue import NETWORKS, build
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.data import Data, Dataset, Progress, class_names, gather, labelled_sources, without
from nsfw_caffe.training.features import CutNetwork, cut, features_of, last_layer_blobs
from nsfw_caffe.training.held_out import NAME as HELD_OUT
from nsfw_caffe.training.held_out import held_out_table
from nsfw_caffe.training.last_layer import LastLayer, new_layer, probabilities, train_last_layer
from nsfw_caffe.training.libraries import check_libraries
from nsfw_caffe.training.options import DEFAULTS, TrainingOptions
from nsfw_caffe.training.result import Asked, Found, TrainingResult, figures, measure
from nsfw_caffe.training.solving import Iteration

_WORK = ".training"
"""The folder, in the one of the model, that holds what a training goes on from; it goes when the model is there."""

_STATE = "state.json"

_SCORING = ScoringOptions()


@dataclass(frozen=True)
class _Start:
    """What training begins with."""

    network: CutNetwork
    caffemodel: Path
    files: ModelFiles | None  # the original's
    original_last: LayerParameter | None


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
) -> TrainingResult:
    """Train the network on labelled pictures, and measure what that was worth on pictures held out.

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
        Called with each Iteration of the solver and how many there will be.

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
    folder = Path(output)
    sources = labelled_sources(data)
    classes = class_names(sources)
    score_class = _score_class(options, classes)
    scoring = dataclasses.replace(scoring, engine=require_engine(scoring))
    codec = create_codec(scoring.jpeg, scoring.decode)
    work = _work_folder(folder, resume=resume)
    start = _start(options, work)
    dataset = gather(
        sources, holdout=options.holdout, seed=options.seed, codec=codec, limits=scoring.limits, progress=progress
    )
    _check_state(work, _state(options, scoring, start, dataset))
    found = features_of(
        dataset, sources, start.network, start.caffemodel, scoring, codec, work, workers=workers, progress=progress
    )
    dataset, kept = without(dataset, found.failures)
    last = train_last_layer(
        _first_layer(start, classes),
        found.rows,
        _spread(dataset.labels, kept, len(found.rows)),
        kept[~dataset.held],
        _spread(dataset.alike, kept, len(found.rows)),
        work / "last",
        balanced=options.class_weights == "balanced",
        seed=options.seed,
        iterations=options.iterations,
        epochs=options.epochs,
        batch_size=options.batch_size,
        base_rate=options.base_rate,
        decay=options.decay,
        resume=resume,
        progress=solving,
    )
    held = kept[dataset.held]
    original = None if start.original_last is None else probabilities(found.rows, _with_parameters(start), held)[:, 1]
    result = measure(
        Asked(folder, score_class, balanced=options.class_weights == "balanced"),
        dataset,
        Found(original, probabilities(found.rows, last.layer, held)),
        decay=last.decay,
        history=last.history,
    )
    _write(result, last, start, work, options, dataset)
    shutil.rmtree(work, ignore_errors=True)
    return result


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


def _work_folder(folder: Path, *, resume: bool) -> Path:
    try:
        require_room(folder)
    except ModelError as error:
        raise TrainingError(str(error)) from error
    work = folder / _WORK
    if (work / _STATE).exists() and not resume:
        raise TrainingError(
            f"{folder} has a training that was stopped: go on with it (--resume, resume=True), or delete {work}"
        )
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{work} cannot be made ({reason(error)})") from error
    return work


def _start(options: TrainingOptions, work: Path) -> _Start:
    """Find the network and the weights to begin with; TrainingError where the weights do not fit."""
    if options.network not in NETWORKS:
        raise TrainingError(f"there is no network {options.network!r}; there are: {', '.join(NETWORKS)}")
    if options.weights is None:
        files = fetch()
        network = cut(files.prototxt)
        return _Start(network, files.caffemodel, files, last_layer_blobs(network, files.caffemodel))
    prototxt = work / "network.prototxt"
    prototxt.write_text(build(options.network))
    network, caffemodel = cut(prototxt), Path(options.weights)
    model_files(prototxt, caffemodel)  # it is there
    return _Start(network, caffemodel, None, None)


def _first_layer(start: _Start, classes: tuple[str, ...]) -> LayerParameter:
    if start.original_last is not None and classes == ("sfw", "nsfw"):
        layer = LayerParameter()
        layer.CopyFrom(start.network.last)
        layer.blobs.extend(start.original_last.blobs)
        return layer
    return new_layer(start.network.last, start.network.width, len(classes))


def _state(options: TrainingOptions, scoring: ScoringOptions, start: _Start, dataset: Dataset) -> dict[str, Any]:
    """Say what has to be the same for a training to go on."""
    asked = dataclasses.asdict(options) | {"weights": None if options.weights is None else str(options.weights)}
    how = dataclasses.asdict(scoring)
    del how["limits"]
    pictures = [[picture.sha256, picture.label, bool(held)] for picture, held in _with_sides(dataset)]
    return {
        "options": asked,
        "scoring": how,
        "network": _sha256(start.network.text),
        "data": _sha256(json.dumps([dataset.classes, pictures])),
    }


def _with_sides(dataset: Dataset) -> list[tuple[Any, bool]]:
    return list(zip(dataset.pictures, dataset.held.tolist(), strict=True))


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def _check_state(work: Path, state: dict[str, Any]) -> None:
    """Keep what a training is of; TrainingError where the one that was stopped is of something else."""
    path = work / _STATE
    try:
        if path.exists():
            known = json.loads(path.read_text("utf-8"))
            differing = [name for name in state if known.get(name) != state[name]]
            if differing:
                raise TrainingError(
                    f"{work.parent} has a training that was stopped, with another {' and other '.join(differing)}: "
                    f"give the same again, or delete {work}"
                )
        path.write_text(json.dumps(state), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read or written ({reason(error)}): delete {work}") from error


def _with_parameters(start: _Start) -> LayerParameter:
    assert start.original_last is not None
    layer = LayerParameter()
    layer.CopyFrom(start.network.last)
    layer.blobs.extend(start.original_last.blobs)
    return layer


def _write(
    result: TrainingResult, last: LastLayer, start: _Start, work: Path, options: TrainingOptions, dataset: Dataset
) -> None:
    weights = read_caffemodel(start.caffemodel)
    kept = [layer for layer in weights.layer if layer.name not in (start.network.last.name, last.layer.name)]
    trained = NetParameter(name=weights.name, layer=[*kept, last.layer])
    caffemodel = work / "trained.caffemodel"
    try:
        caffemodel.write_bytes(trained.SerializeToString())
    except OSError as error:
        raise TrainingError(f"{caffemodel} cannot be written ({reason(error)}); --resume goes on") from error
    asked = dataclasses.asdict(options) | {"weights": None if options.weights is None else str(options.weights)}
    write_model_folder(
        result.folder,
        _deploy(start.network, last.layer),
        caffemodel,
        result.classes,
        score_class=result.score_class,
        details={"training": _details(result, last, dataset, asked)},
        others={HELD_OUT: held_out_table(dataset, result.score_class)},
    )


def _deploy(network: CutNetwork, last: LayerParameter) -> str:
    whole = NetParameter()
    whole.CopyFrom(network.whole)
    for layer in whole.layer:
        if layer.name == network.last.name:
            layer.CopyFrom(last)
            del layer.blobs[:]
    return text_format.MessageToString(whole)


def _details(result: TrainingResult, last: LastLayer, dataset: Dataset, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": __version__,
        "options": options,
        "decay": result.decay,
        "base_rate": last.job.base_rate,
        "iterations": last.job.iterations,
        "batch_size": last.job.batch_size,
        "class_weights": last.job.class_weights,
        "scores_are_probabilities_for": "classes of equal frequency" if result.balanced else "data mixed as trained on",
        "trained_on": dict(result.trained_on),
        "held_out": dict(result.held_out),
        "left_out": {"failures": len(result.failures), "repeats": result.repeats, "too_near": result.too_near},
        "data_sha256": _sha256(json.dumps([[p.sha256, p.label, side] for p, side in _with_sides(dataset)])),
        "measures": {"before": figures(result.before), "after": figures(result.after)},
        "accuracy": result.accuracy.value,
        "majority": result.majority,
    }
