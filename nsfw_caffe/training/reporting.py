"""What a training was worth, as the files that people read beside the model: its report and its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nsfw_caffe.evaluate.comparison import Comparison, compare
from nsfw_caffe.evaluate.libraries import library_versions
from nsfw_caffe.report.model_card import model_card
from nsfw_caffe.report.training import BEFORE, Learned, Training, training_report
from nsfw_caffe.training.result import THRESHOLD, TrainingResult

REPORT, CARD = "report.html", "README.md"


def files_to_read(result: TrainingResult, details: Mapping[str, Any]) -> dict[str, bytes]:
    """Write the report, with blurred thumbnails of the worst mistakes, and the card; `details` go to `model.json`."""
    training = reported(result, details)
    return {REPORT: training_report(training).to_html(), CARD: model_card(training)}


def reported(result: TrainingResult, details: Mapping[str, Any]) -> Training:
    """Give a training as its report takes it."""
    tuned = result.fine_tuning
    evaluations = {BEFORE: result.before, "last layer": result.last, "after": result.after}
    learned = []
    if result.history:
        learned.append(Learned("last", "the last layer", [step.loss for step in result.history]))
    if tuned is not None:
        losses = [step.loss for step in tuned.history]
        learned.append(Learned("tuned", _in_words(tuned.layers), losses, tuned.checked, tuned.chosen))
    return Training(
        name=result.folder.resolve().name,
        classes=result.classes,
        score_class=result.score_class,
        trained_on=result.trained_on,
        held_out=result.held_out,
        failures=result.failures,
        repeats=result.repeats,
        too_near=result.too_near,
        models=[(name, found) for name, found in evaluations.items() if found is not None],
        gains=list(_gains(result)),
        accuracy=result.accuracy,
        majority=result.majority,
        learned=learned,
        balanced=result.balanced,
        sources=result.pictures.sources,
        labels=result.pictures.labels,
        probabilities=result.pictures.after,
        settings=list(_settings(result, details)),
    )


def _in_words(layers: str) -> str:
    return {"all": "all layers", "last": "the last layer"}.get(layers, f"the layers from {layers} on")


def _gains(result: TrainingResult) -> Iterator[tuple[str, Comparison]]:
    if result.comparison is not None:
        yield "over the original", result.comparison
    pictures, scored = result.pictures, result.classes.index(result.score_class)
    if pictures.last is not None:
        last, after = pictures.last[:, scored], pictures.after[:, scored]
        yield "over the last layer alone", compare(pictures.labels == scored, last, after, THRESHOLD)


def _settings(result: TrainingResult, details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    asked = details["options"]
    original, tuned = asked["weights"] is None, result.fine_tuning
    yield "network", asked["network"]
    yield "weights it began with", "Yahoo's open_nsfw, BSD-2-Clause" if original else "a caffemodel of the user's"
    yield "their SHA-256", details["weights_sha256"]
    yield "pictures' SHA-256", details["data_sha256"]
    yield "share held out", f"{asked['holdout']:g}"
    yield "seed", str(asked["seed"])
    yield "layers", asked["layers"]
    weights = details["class_weights"]
    each = [f"{name} {weight:.4g}" for name, weight in zip(result.classes, weights or (), strict=bool(weights))]
    yield "class weights", ", ".join(each) or "none"
    if result.history:
        yield "last layer", f"{details['iterations']:,} updates of {details['batch_size']:,} pictures"
        yield "last layer: first learning rate", f"{details['base_rate']:.4g}"
        chosen = " (chosen on folds of the pictures trained on)" if asked["decay"] is None or tuned is not None else ""
        yield "last layer: weight decay (L2)", f"{result.decay:g}{chosen}"
    if tuned is not None:
        size = f"{tuned.batch_size}" if tuned.iter_size == 1 else f"{tuned.iter_size} x {tuned.batch_size}"
        yield "fine-tuning", f"{len(tuned.history):,} updates of {size} pictures, of {_in_words(tuned.layers)}"
        yield "fine-tuning: learning rates", f"{tuned.history[0].rate:.4g} to {tuned.history[-1].rate:.4g}"
        if not result.history:
            yield "fine-tuning: weight decay (L2)", f"{result.decay:g}"
        yield "fine-tuning: weights taken", f"those of update {tuned.chosen:,}"
    yield from library_versions().items()
