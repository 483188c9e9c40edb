"""A score is a finite number from 0 to 1, or it is an error: in every engine, and every way to it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe import Classifier, ModelError, NsfwCaffeError, ScoreError
from nsfw_caffe.engines.base import score_of
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ENGINES, EngineChoice
from nsfw_caffe.preprocessing.steps import Source
from nsfw_caffe.results.formats import read_results
from tests.support import PHOTOS, nsfw_caffe

PHOTO = PHOTOS / "coffee.png"
BLUE = Image.new("RGB", (300, 300), (0, 0, 255))
"""What none of the pictures of a model's trial is like."""

HUGE = 1e38
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }'
SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }'


def connected(name: str, bottom: str) -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f"inner_product_param {{ num_output: 2 }} }}"
    )


def relu(name: str, bottom: str) -> str:
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{bottom}" top: "{name}" }}'


BLUENESS = [
    INPUT,
    'layer { name: "mean" type: "Pooling" bottom: "data" top: "mean" '
    "pooling_param { pool: AVE kernel_size: 224 stride: 1 } }",
    connected("unlike", "mean"),
    relu("blueness", "unlike"),  # above 0 for a blue picture alone
]
"""The start of networks in which something overflows for a blue picture."""

UNLIKE = ([[1, -1, -1]] * 2, [-300, -300])
DIFFERENCES = ([[1, -1], [-1, 1]], [0, 0])
SAME = ([[1, 0], [0, 1]], [0, 0.5])

NETWORKS: dict[str, tuple[list[str], dict[str, tuple[Any, Any]]]] = {
    # infinity minus infinity
    "NaN": (
        [*BLUENESS, connected("large", "blueness"), connected("fc", "large"), SOFTMAX],
        {"unlike": UNLIKE, "large": ([[HUGE, HUGE]] * 2, [0, 0]), "fc": DIFFERENCES},
    ),
    # OpenVINO's softmax makes NaN and 0 of it
    "infinity and 0": (
        [*BLUENESS, connected("fc", "blueness"), SOFTMAX],
        {"unlike": UNLIKE, "fc": ([[HUGE, HUGE], [0, 0]], [0, 0.5])},
    ),
    # OpenVINO's ReLU makes 0 of it
    "NaN before a ReLU": (
        [
            *BLUENESS,
            connected("large", "blueness"),
            connected("difference", "large"),
            relu("positive", "difference"),
            connected("fc", "positive"),
            SOFTMAX,
        ],
        {
            "unlike": UNLIKE,
            "large": ([[HUGE, HUGE]] * 2, [0, 0]),
            "difference": DIFFERENCES,
            "fc": SAME,
        },
    ),
}
"""Layers and weights of networks whose output for a blue picture is no probability."""


def write(folder: Path, layers: Sequence[str], weights: dict[str, tuple[Any, Any]]) -> ModelFiles:
    network = NetParameter()
    for name, arrays in weights.items():
        layer = network.layer.add(name=name, type="InnerProduct")
        for values in arrays:
            array = np.asarray(values, np.float32)
            layer.blobs.add(data=array.ravel().tolist()).shape.dim.extend(array.shape)
    files = ModelFiles(folder / "my.prototxt", folder / "my.caffemodel", original=False)
    files.prototxt.write_text("\n".join(layers))
    files.caffemodel.write_bytes(network.SerializeToString())
    return files


def create(engine: EngineChoice, files: ModelFiles, **options: str) -> Classifier:
    return Classifier(engine=engine, prototxt=files.prototxt, caffemodel=files.caffemodel, **options)  # type: ignore[arg-type]


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("network", NETWORKS)
def test_no_probability_is_an_error_of_that_picture(network: str, engine: EngineChoice, tmp_path: Path) -> None:
    classifier = create(engine, write(tmp_path, *NETWORKS[network]))
    good = classifier.classify(PHOTO)
    assert 0 < good < 1
    with pytest.raises(ScoreError, match="the model is at fault") as caught:
        classifier.classify(png(BLUE))
    assert isinstance(caught.value, ModelError)
    blue = tmp_path / "blue.png"
    BLUE.save(blue)
    # An image and an array go to Caffe's workers without their names.
    sources: list[Source] = [PHOTO, blue, png(BLUE), BLUE, np.asarray(BLUE), PHOTO]
    for workers in (1, 2):
        results = list(classifier.scan(sources, workers=workers))
        assert [result.score for result in results] == [good, None, None, None, None, good]
        for result in results[1:-1]:
            assert result.reason is not None
            assert result.reason.startswith("the network's output is "), result
        assert results[1].error == f"{blue}: {results[1].reason}"
        with pytest.raises(ScoreError, match=r"^source 1: .*blue\.png: the network's output is"):
            classifier.classify_batch(sources, workers=workers)


@pytest.mark.linux
def test_in_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, which is not here: so the engine is told to take two pictures at a time."""
    classifier = create("caffe", write(tmp_path, *NETWORKS["NaN"]))
    engine = classifier._pipeline._engines.get()
    monkeypatch.setattr(engine, "batch_size", 2)
    monkeypatch.setattr(engine, "parallelism", "batches")
    results = list(classifier.scan([PHOTO, BLUE, b"", PHOTO], workers=2))
    assert [result.score is None for result in results] == [False, True, True, False]
    assert str(results[1].error).startswith("<Image>: the network's output is nan and nan")
    assert results[0].score == results[3].score == classifier.classify(PHOTO)


def test_bfloat16(tmp_path: Path) -> None:
    for index, network in enumerate(NETWORKS):
        folder = tmp_path / str(index)
        folder.mkdir()
        try:
            classifier = create("openvino", write(folder, *NETWORKS[network]), precision="bfloat16")
        except NsfwCaffeError as error:
            pytest.skip(str(error))
        assert 0 < classifier.classify(PHOTO) < 1
        with pytest.raises(ScoreError):
            classifier.classify(BLUE)


@pytest.mark.parametrize(
    ("engine", "ending"),
    [("caffe", "csv"), ("onnxruntime", "jsonl"), ("openvino", "parquet"), ("openvino", "sqlite")],
)
def test_a_scan_writes_what_can_be_read(engine: EngineChoice, ending: str, tmp_path: Path) -> None:
    files = write(tmp_path, *NETWORKS["infinity and 0"])
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    BLUE.save(pictures / "blue.png")
    Image.open(PHOTO).save(pictures / "good.png")
    results = tmp_path / f"results.{ending}"
    model = ("--engine", engine, "--prototxt", files.prototxt, "--caffemodel", files.caffemodel)
    child = nsfw_caffe("scan", pictures, "-o", results, *model)
    assert child.returncode == 1, child
    blue, good = sorted(read_results(results), key=lambda record: record.source)
    assert (blue.score, good.error) == (None, None)
    assert str(blue.error).startswith("the network's output is ")
    child = nsfw_caffe("classify", "--json", "--threshold", "0.5", pictures / "blue.png", *model)
    assert child.returncode == 1
    assert '"score": null' in child.stdout
    assert '"verdict": null' in child.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_without_a_softmax(engine: EngineChoice, tmp_path: Path) -> None:
    files = write(tmp_path, [*BLUENESS[:2], connected("fc", "mean")], {"fc": ([[3, 2, 1], [-1, 1, -2]], [0.5, 0.5])})
    with pytest.raises(ModelError, match="two probabilities that sum to 1: the network needs a Softmax") as caught:
        create(engine, files)
    # A grey picture alone would have passed: its output is 0.5 and 0.5.
    assert "black picture" in str(caught.value)
    assert "my.prototxt" in str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("picture", "weights"),
    [("white", ([[0.9e36] * 3] * 2, [0, 0])), ("black", ([[-HUGE] * 3] * 2, [-HUGE] * 2))],
)
def test_a_network_that_overflows_in_the_trial(
    picture: str, weights: Any, engine: EngineChoice, tmp_path: Path
) -> None:
    layers = [*BLUENESS[:2], connected("unlike", "mean"), relu("blueness", "unlike"), connected("fc", "blueness")]
    files = write(tmp_path, [*layers, SOFTMAX], {"unlike": weights, "fc": DIFFERENCES})
    with pytest.raises(ModelError, match=f"for a {picture} picture is .*nan.*, not two finite numbers"):
        create(engine, files)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    "output",
    [
        (NAN, NAN),
        (NAN, 0),
        (0, NAN),
        (0, 0),
        (-INFINITY, INFINITY),
        (0, INFINITY),
        (-337, 428),
        (1.5, -0.5),
        (-1e-6, 1),
        (0, 1.000002),
        (0.5, 0.4999),
        (0.5, 0.5001),
    ],
)
def test_no_probabilities(output: tuple[float, float]) -> None:
    with pytest.raises(ScoreError, match="not two probabilities"):
        score_of(np.array(output, np.float32))


@pytest.mark.parametrize("output", [(0, 1), (1, 0), (0.5, 0.5), (0.99999666, 3.2990492e-06), (0.2, 0.8), (1, 1e-45)])
def test_probabilities(output: tuple[float, float]) -> None:
    assert score_of(np.array(output, np.float32)) == float(np.float32(output[1]))
