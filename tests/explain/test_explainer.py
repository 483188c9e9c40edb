"""Heat maps of the real network in each engine, against what pycaffe's own blobs give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nsfw_caffe import Classifier, EngineUnavailable
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ENGINES, ScoringOptions
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.caffe_networks import load
from tests.support import PHOTOS

PATHS = [PHOTOS / name for name in ("astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png", "retina.jpg")]

SET_UPS = [ScoringOptions(engine=engine) for engine in ENGINES] + [
    ScoringOptions(engine="openvino", precision="bfloat16"),
    ScoringOptions(engine="caffe", jpeg="ijg9d"),
    ScoringOptions(engine="onnxruntime", decode="fast"),
]

ROUNDING = {"float32": 1e-5, "bfloat16": 0.03}
"""How far the mean of a map and the bias may be from the log-odds."""

BIAS = 2.038
"""Of nsfw against sfw in the original's last layer."""


@pytest.fixture(
    scope="module", params=SET_UPS, ids=lambda options: f"{options.engine}-{options.precision}-{options.jpeg}"
)
def explaining(request: pytest.FixtureRequest, model_files: ModelFiles) -> Iterator[Classifier]:  # noqa: ARG001
    """Return a Classifier of each set-up."""
    try:
        classifier = Classifier.from_options(request.param)
    except EngineUnavailable as error:
        pytest.skip(str(error))
    with classifier:
        yield classifier


@pytest.fixture(scope="module")
def net(model_files: ModelFiles) -> Any:
    """Return the original network in pycaffe, without the library."""
    net = load(model_files.prototxt)
    net.copy_from(str(model_files.caffemodel))
    return net


def map_of_blobs(net: Any, path: Path) -> npt.NDArray[np.float64]:
    """Weigh the blob that is averaged as the last layer does."""
    net.blobs["data"].data[...] = preprocess(path, create_codec("pillow", "exact"))
    net.forward()
    weights, _ = (blob.data.astype(float) for blob in net.params["fc_nsfw"])
    features = net.blobs["eltwise_stage3_block2"].data[0].astype(float)
    found: npt.NDArray[np.float64] = np.einsum("c,chw->hw", weights[1] - weights[0], features)
    return found


def test_explained_score_has_the_bits_of_the_score(explaining: Classifier) -> None:
    for path in PATHS:
        assert explaining.explain(path).score == explaining.classify(path), path.name


def test_map_and_bias_are_the_log_odds(explaining: Classifier) -> None:
    for path in PATHS:
        found = explaining.explain(path)
        assert abs(found.heat_map.mean() + found.bias - found.log_odds) <= ROUNDING[explaining.options.precision]
        assert abs(found.log_odds - np.log(found.score / (1 - found.score))) < 1e-5
        assert abs(found.bias - BIAS) < 1e-3
        assert found.heat_map.shape == (7, 7)


def test_map_is_what_caffes_blobs_give(explaining: Classifier, net: Any) -> None:
    options = explaining.options
    if (options.jpeg, options.decode) != ("pillow", "exact"):
        pytest.skip("the pixels are others")
    tolerance = 1e-4 if options.precision == "float32" else 0.5
    for path in PATHS[:3]:
        assert np.abs(explaining.explain(path).heat_map - map_of_blobs(net, path)).max() < tolerance
