"""Heat maps of a network of one's own, with three classes, in every engine."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe import Classifier, ModelError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.folder import write_model_folder
from nsfw_caffe.model.head import find_head
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.options import ENGINES, EngineName
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.explain.networks import CLASSES, OWN, write
from tests.support import PHOTOS

PATHS = [PHOTOS / name for name in ("coffee.png",)]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_class_of_a_network_of_ones_own(engine: EngineName, tmp_path: Path) -> None:
    files = write(tmp_path, OWN)
    folder = write_model_folder(tmp_path / "mine", OWN, files.caffemodel, CLASSES)
    found = []
    for name in CLASSES:
        classifier = Classifier(engine=engine, model=folder.path, score_class=name)
        found.append(classifier.explain(PATHS[0]))
        assert found[-1].score == classifier.classify(PATHS[0])
    logs = np.log([each.score for each in found])
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-5)
    for index, (name, each) in enumerate(zip(CLASSES, found, strict=True)):
        assert (each.score_class, set(each.others)) == (name, {*CLASSES} - {name})
        assert each.log_odds == pytest.approx(logs[index] - np.delete(logs, index).mean(), abs=1e-4)
        assert each.heat_map.mean() + each.bias == pytest.approx(each.log_odds, abs=1e-4)
    # What speaks for one class speaks against the others.
    assert np.abs(sum(each.heat_map for each in found)).max() < 1e-3 * np.abs(found[0].heat_map).max()


@pytest.mark.linux
def test_the_map_is_after_the_layers_that_work_in_place(tmp_path: Path) -> None:
    """Against the network written out in NumPy."""
    files = write(tmp_path, OWN)
    folder = write_model_folder(tmp_path / "mine", OWN, files.caffemodel, CLASSES)
    head = find_head(files)
    kernel, offset = (blob_values(blob).astype(float) for blob in read_caffemodel(files.caffemodel).layer[0].blobs)
    cells = preprocess(PATHS[0], PillowCodec()).astype(float).reshape(3, 7, 32, 7, 32)
    features = np.einsum("kcij,cyixj->kyx", kernel.reshape(6, 3, 32, 32), cells) + offset[:, np.newaxis, np.newaxis]
    assert (features < 0).any()
    features = np.maximum(features, 0)
    expected = np.einsum("k,kyx->yx", head.weights[0] - head.weights[1:].mean(axis=0), features)
    for engine in ENGINES:
        found = Classifier(engine=engine, model=folder.path, score_class=CLASSES[0]).explain(PATHS[0])
        assert np.abs(found.heat_map - expected).max() < 1e-4 * np.abs(expected).max(), engine


def test_a_network_that_ends_otherwise_scores_but_has_no_map(tmp_path: Path) -> None:
    text = OWN.replace("global_pooling: true", "kernel_size: 6").replace("num_output: 3", "num_output: 2")
    files = write(tmp_path, text)
    classifier = Classifier(engine="onnxruntime", prototxt=files.prototxt, caffemodel=files.caffemodel)
    assert 0 <= classifier.classify(PATHS[0]) <= 1
    with pytest.raises(
        ModelError, match=re.escape("layer 'pool', of type Pooling: it does not average over all places")
    ):
        classifier.explain(PATHS[0])
