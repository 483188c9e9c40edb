"""The model folder that a training makes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from nsfw_caffe._version import __version__
from nsfw_caffe.model.folder import write_model_folder
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.results.names import encode_name
from nsfw_caffe.training.data import Dataset
from nsfw_caffe.training.options import TrainingOptions
from nsfw_caffe.training.reporting import files_to_read
from nsfw_caffe.training.result import FineTuning, TrainingResult, figures
from nsfw_caffe.training.solver_job import SolverJob
from nsfw_caffe.training.work import asked, begin_writing, data_sha256, weights_sha256

_HELD_OUT = "held_out.csv"
"""The pictures held out, for `evaluate` and `compare`: of all others, a model has learned the answers."""


def write_model(
    result: TrainingResult,
    network: NetParameter,
    caffemodel: Path,
    job: SolverJob,
    dataset: Dataset,
    work: Path,
    options: TrainingOptions,
) -> None:
    """Write the model folder, whole or not at all."""
    details = _details(result, job, dataset, options)
    others = files_to_read(result, details)
    begin_writing(work)
    write_model_folder(
        result.folder,
        text_format.MessageToString(network),
        caffemodel,
        result.classes,
        score_class=result.score_class,
        details={"training": details},
        others={**others, _HELD_OUT: _held_out_table(dataset, result.score_class)},
        overwrite=True,
    )


def _details(result: TrainingResult, job: SolverJob, dataset: Dataset, options: TrainingOptions) -> dict[str, Any]:
    return {
        "version": __version__,
        "options": asked(options),
        "decay": result.decay,
        "base_rate": job.base_rate,
        "iterations": job.iterations,
        "batch_size": job.batch_size,
        "class_weights": job.class_weights,
        "scores_are_probabilities_for": "classes of equal frequency" if result.balanced else "data mixed as trained on",
        "trained_on": dict(result.trained_on),
        "held_out": dict(result.held_out),
        "left_out": {"failures": len(result.failures), "repeats": result.repeats, "too_near": result.too_near},
        "data_sha256": data_sha256(dataset),
        "weights_sha256": weights_sha256(options),
        "measures": {
            "before": figures(result.before), "last": figures(result.last), "after": figures(result.after)
        },
        "accuracy": result.accuracy.value,
        "majority": result.majority,
        "fine_tuning": None if result.fine_tuning is None else _fine_tuning(result.fine_tuning),
    }  # fmt: skip


def _fine_tuning(found: FineTuning) -> dict[str, Any]:
    return {
        "layers": found.layers,
        "iterations": len(found.history),
        "base_rate": found.history[0].rate,
        "batch_size": found.batch_size,
        "iter_size": found.iter_size,
        "checked": [list(pair) for pair in found.checked],
        "chosen": found.chosen,
    }


def _held_out_table(dataset: Dataset, score_class: str) -> bytes:
    """Write source, label (1 for the class that the score is of, 0 for the others) and class of each, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "label", "class"])
    for picture, held in zip(dataset.pictures, dataset.held.tolist(), strict=True):
        if held:
            name = dataset.classes[picture.label]
            writer.writerow([encode_name(picture.source), int(name == score_class), encode_name(name)])
    return text.getvalue().encode()
