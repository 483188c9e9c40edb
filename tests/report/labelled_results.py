"""An evaluation and a comparison of real files for tests of what shows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsfw_caffe.evaluate.comparison import RunsCompared, compare_runs
from nsfw_caffe.evaluate.evaluation import Evaluation, evaluate
from nsfw_caffe.evaluate.labelled import LabelledScores
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.results.record import Provenance

SET_UP = Provenance("onnxruntime", "float32", "exact", 1, "ab" * 32)


def data(names: Sequence[str] = ()) -> LabelledScores:
    """Return 300 samples of which the first names are the worst sfw, in order, with a column of groups."""
    rng = np.random.default_rng(1)
    labels = np.arange(300) % 3 == 2
    scores = np.where(labels, rng.beta(4, 1.2, 300), rng.beta(0.6, 6, 300).clip(max=0.8))
    sources = [f"/gone/{index}.jpg" for index in range(300)]
    for index, name in enumerate(names):
        place = 3 * index
        scores[place], sources[place] = 0.99 - index / 100, name
    return LabelledScores(
        labels,
        scores,
        sources=sources,
        groups={"site": np.where(np.arange(300) < 150, "one", "two")},
        failures=(("/broken.jpg", "the file is empty"),),
        set_ups=(SET_UP,),
        versions=("0.1.0",),
        name="labels.csv",
    )


def evaluation(names: Sequence[str] = (), **options: float) -> Evaluation:
    """Return an evaluation of `data`."""
    return evaluate(data(names), Options(resamples=50, **options))  # type: ignore[arg-type]


def comparison(samples: int = 300, noise: float = 0.1) -> RunsCompared:
    """Return a comparison of scores with the same and some noise."""
    rng = np.random.default_rng(2)
    labels = rng.random(samples) < 0.4
    scores = np.where(labels, rng.beta(4, 1.2, samples), rng.beta(0.6, 6, samples))
    others = np.clip(scores + rng.normal(0, noise, samples), 0, 1)
    sources = [f"{index}.jpg" for index in range(samples)]
    a = LabelledScores(labels, scores, sources=sources, set_ups=(SET_UP,), versions=("0.1.0",), name="first.csv")
    return compare_runs(a, LabelledScores(labels, others, sources=sources, name="second.csv"))
