"""A training's result without a training, for tests of what shows it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nsfw_caffe.training.data import Dataset, Picture
from nsfw_caffe.training.result import Asked, FineTuning, Found, Scores, TrainingResult, measure
from nsfw_caffe.training.solving import Iteration

DETAILS: dict[str, Any] = {
    "options": {
        "network": "resnet50_thin",
        "weights": None,
        "holdout": 0.5,
        "seed": 7,
        "layers": "last",
        "decay": None,
    },
    "weights_sha256": "ab" * 32,
    "data_sha256": "cd" * 32,
    "class_weights": None,
    "iterations": 3000,
    "batch_size": 64,
    "base_rate": 0.0001,
}

TUNING = FineTuning("all", (), ((0, 0.9), (50, 0.95), (100, 0.93)), 50, 8, 2)


def updates(count: int) -> tuple[Iteration, ...]:
    """Return a loss that falls."""
    return tuple(Iteration(number, 1 / number, 0.001, 0.1) for number in range(1, count + 1))


@cache
def result(
    classes: tuple[str, ...] = ("sfw", "nsfw"),
    names: tuple[str, ...] = (),
    *,
    folder: Path = Path("mymodel"),
    pictures: int = 240,
    noise: float = 0.3,
    original: bool = True,
    tuning: FineTuning | None = None,
    failures: tuple[tuple[str, str], ...] = (),
    score_class: str | None = None,
) -> TrainingResult:
    """Return what was measured on half of the pictures; the first names are those of the surest mistakes."""
    rng = np.random.default_rng(1)
    labels = np.arange(pictures) % len(classes)
    held = np.arange(pictures) >= pictures // 2
    sides = labels[held]

    def probabilities(strength: float) -> Scores:
        found: Scores = rng.random((len(sides), len(classes))) * strength
        found[np.arange(len(sides)), sides] += 0.2
        found[np.arange(len(names)), sides[: len(names)]] = np.arange(len(names)) / 1e6
        found /= found.sum(axis=1, keepdims=True)
        return found

    sources = [f"/gone/{index}.jpg" for index in range(pictures)]
    sources[pictures // 2 : pictures // 2 + len(names)] = names
    dataset = Dataset(
        classes,
        tuple(Picture(source, label, "", None, None) for source, label in zip(sources, labels.tolist(), strict=True)),
        held,
        np.arange(pictures),
        failures,
        repeats=2,
        too_near=1,
    )
    return measure(
        Asked(folder, score_class or classes[1], balanced=True),
        dataset,
        Found(
            rng.random(len(sides)) if original else None,
            probabilities(noise),
            None if tuning is None else probabilities(noise),
        ),
        decay=0.01,
        history=updates(1000),
        fine_tuning=tuning,
    )
