from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, confusion, roc
from nsfw_caffe.evaluate.samples import worst
from tests.evaluate.labelled import of, simulated


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.uint64])
def test_labels_of_every_type_are_the_same(dtype: type) -> None:
    samples = Samples(np.array([1, 0, 1], dtype), np.array([0.9, 0.2, 0.4]))
    assert samples.labels.dtype == bool
    assert samples.labels.tolist() == [True, False, True]
    assert (samples.nsfw.tolist(), samples.sfw.tolist()) == ([0.4, 0.9], [0.2])


def test_lists_and_float32_are_taken_unrounded() -> None:
    scores = np.array([0.1, 0.7], np.float32)
    assert Samples(np.array([0, 1]), scores).scores.tolist() == [float(scores[0]), float(scores[1])]
    assert confusion([0, 1], [0.1, 1], threshold=0.5).true_positives == 1


def test_arrays_are_left_as_they_are() -> None:
    labels, scores = np.array([True, False, True]), np.array([0.9, 0.2, 0.4])
    samples = Samples(labels, scores)
    assert samples.nsfw.tolist() == [0.4, 0.9]
    assert (labels.tolist(), scores.tolist()) == ([True, False, True], [0.9, 0.2, 0.4])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([], [], "no labels: expected at least one sample"),
        ([1], [], "no scores: expected at least one sample"),
        ([1, 0], [0.5], "2 labels and 1 scores: every sample needs one of each"),
        ([1, 2], [0.5, 0.5], r"label 1 is 2: expected 1 \(nsfw\) or 0 \(sfw\)"),
        ([-1, 0], [0.5, 0.5], "label 0 is -1: expected 1"),
        ([1.0, 0.0], [0.5, 0.5], "labels of type float64: expected bool, or the integers"),
        (["nsfw", "sfw"], [0.5, 0.5], "labels of type <U4: expected bool, or the integers"),
        ([[1, 0]], [0.5, 0.5], r"labels of shape \(1, 2\): expected one dimension"),
        ([1, 0], [[0.5], [0.5]], r"scores of shape \(2, 1\): expected one dimension"),
        ([1, 0], [0.5, float("nan")], "score 1 is nan: .* leave out samples without a score"),
        ([1, 0], [float("inf"), 0.5], "score 0 is inf: expected a probability from 0 to 1"),
        ([1, 0], [0.5, 1.0000001], "score 1 is 1.0000001: expected a probability"),
        ([1, 0], [-1e-9, 0.5], "score 0 is -1e-09: expected a probability"),
        ([1, 0], ["0.5", "0.5"], "scores of type <U3: expected real numbers"),
        ([1, 0], [0.5j, 0.5], "scores of type complex128: expected real numbers"),
        ([1, 0], [None, 0.5], "scores of type object: expected real numbers"),
    ],
)
def test_unusable_data_is_refused_with_its_place(labels: Any, scores: Any, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        roc(labels, scores)


def test_arguments_that_do_not_go_together_are_refused() -> None:
    samples = Samples(np.array([1, 0]), np.array([0.5, 0.5]))
    with pytest.raises(TypeError, match="expected Samples alone"):
        roc(samples, [0.5, 0.5])
    with pytest.raises(TypeError, match="expected labels and scores, or Samples"):
        roc([1, 0])


@pytest.mark.parametrize("nsfw", [True, False])
@pytest.mark.parametrize("decimals", [15, 1])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_the_worst_of_a_class_in_order(nsfw: bool, decimals: int, count: int) -> None:
    data = simulated(300)
    samples = Samples(data.labels, data.scores.round(decimals))
    sign = 1 if nsfw else -1
    everybody = [(sign * score, index) for index, score in enumerate(samples.scores) if samples.labels[index] == nsfw]
    names = [f"{index}.jpg" for index in range(300)]
    found = worst(samples, names, count, nsfw=nsfw)
    assert [(sign * mistake.score, mistake.index) for mistake in found] == sorted(everybody)[:count]
    assert [mistake.source for mistake in found] == [names[mistake.index] for mistake in found]


def test_the_worst_without_names() -> None:
    data = of("ns", [0.2, 0.7])
    assert worst(Samples(data.labels, data.scores), None, 1, nsfw=True)[0].source is None
