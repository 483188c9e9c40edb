"""Heat maps of the real network in each engine, against what pycaffe's own blobs give."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from nsfw_caffe import Classifier, EngineUnavailable, Explanation, ImageError, ModelError
from nsfw_caffe.explain.explainer import _mean_of_shifted, _Weighing
from nsfw_caffe.explain.explanation import DETAILS, Detail
from nsfw_caffe.model.spec import MEAN_BGR, ModelFiles
from nsfw_caffe.options import ENGINES, EngineName, ScoringOptions
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system.extras import install_hint
from tests.caffe_networks import load
from tests.support import PHOTOS, run

PATHS = [PHOTOS / name for name in ("astronaut.png", "coffee.png", "retina.jpg")]

SET_UPS = [ScoringOptions(engine=engine) for engine in ENGINES] + [
    ScoringOptions(engine="openvino", precision="bfloat16"),
    ScoringOptions(engine="onnxruntime", jpeg="ijg9d"),
    ScoringOptions(engine="onnxruntime", decode="fast"),
]

ROUNDING = {"float32": 1e-5, "bfloat16": 0.03}
"""How far the mean of a map and the bias may be from the log-odds."""

BIAS = 2.038
"""Of nsfw against sfw in the original's last layer."""

PATCH = Path(__file__).parent / "patch.png"
"""What benchmarks/heat_map_patch.py has made: 96 pixels a side, and nsfw wherever it lies."""

CORNERS = (24, 136)
"""Where it is pasted from, from the left and from the top, in a picture of 256 by 256."""


@pytest.fixture(
    scope="module",
    params=SET_UPS,
    ids=lambda options: f"{options.engine}-{options.precision}-{options.jpeg}-{options.decode}",
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


def test_score_has_its_bits_and_map_and_bias_are_its_log_odds(explaining: Classifier) -> None:
    for path in PATHS:
        found = explaining.explain(path)
        assert found.score == explaining.classify(path), path.name
        assert abs(found.heat_map.mean() + found.bias - found.log_odds) <= ROUNDING[explaining.options.precision]
        assert abs(found.log_odds - np.log(found.score / (1 - found.score))) < 1e-5
        assert abs(found.bias - BIAS) < 1e-3
        assert found.heat_map.shape == (7, 7)


def test_map_is_what_caffes_blobs_give(explaining: Classifier, net: Any) -> None:
    options = explaining.options
    if (options.jpeg, options.decode) != ("pillow", "exact"):
        pytest.skip("the pixels are others")
    tolerance = 1e-4 if options.precision == "float32" else 0.5
    assert np.abs(explaining.explain(PATHS[0]).heat_map - map_of_blobs(net, PATHS[0])).max() < tolerance


def test_log_odds_where_the_score_has_none_left(explaining: Classifier) -> None:
    """A score of 1.0 is infinite log-odds; the network's own are not."""
    found = explaining.explain(
        patched(Image.new("RGB", (256, 256)), [(top, left) for top in CORNERS for left in CORNERS])
    )
    assert found.score > 0.999
    assert 5 < found.log_odds < 100
    assert abs(found.heat_map.mean() + found.bias - found.log_odds) <= ROUNDING[explaining.options.precision]


def patched(picture: Image.Image, places: list[tuple[int, int]]) -> Image.Image:
    """Paste the patch that scores near 1.0 into a picture of 256 by 256."""
    patch = Image.open(PATCH)
    picture = picture.convert("RGB").resize((256, 256))
    for top, left in places:
        picture.paste(patch, (left, top))
    return picture


@pytest.mark.parametrize("detail", ["exact", "fine"])
@pytest.mark.parametrize("name", ["coffee.png", "rocket.jpg", "chelsea.png"])
def test_the_hottest_place_is_on_the_patch(portable: Classifier, name: str, detail: Detail) -> None:
    places = [(top, left) for top in CORNERS for left in CORNERS]
    for top, left in places if detail == "exact" else places[:1]:
        found = portable.explain(patched(Image.open(PHOTOS / name), [(top, left)]), detail=detail)
        row, column = np.unravel_index(found.heat_map.argmax(), found.heat_map.shape)
        start_x, start_y, end_x, end_y = found.box
        y = 256 * (start_y + (end_y - start_y) * (row + 0.5) / found.heat_map.shape[0])
        x = 256 * (start_x + (end_x - start_x) * (column + 0.5) / found.heat_map.shape[1])
        assert top <= y < top + 96, (top, left, row, column)
        assert left <= x < left + 96, (top, left, row, column)


def test_fine_is_the_mean_of_shifted_crops(portable: Classifier) -> None:
    """Each crop is what `explain` makes of a picture that has it in its middle."""
    picture = Image.open(PHOTOS / "coffee.png").convert("RGB").resize((256, 256))
    fine = portable.explain(picture, detail="fine")
    exact = portable.explain(picture)
    assert (fine.score, fine.log_odds, fine.bias) == (exact.score, exact.log_odds, exact.bias)
    assert (fine.heat_map.shape, fine.box, fine.detail) == ((32, 32), (0, 0, 1, 1), "fine")
    assert fine.score_range is not None
    low, high = fine.score_range
    assert low < exact.score <= high
    assert exact.score_range is None
    # The first place is seen by the first crop alone. That one's picture goes through JPEG with others around it, in
    # blocks of 8 pixels that are the same, so its map is the same but for chroma at the seams.
    pixels = np.roll(np.asarray(picture), (16, 16), (0, 1))
    shifted = portable.explain(pixels)
    assert fine.heat_map[0, 0] == pytest.approx(shifted.heat_map[0, 0], abs=1.5)
    assert low - 0.01 <= shifted.score <= high + 0.01


def test_the_fine_map_of_a_map_of_any_size() -> None:
    """A reader whose maps are the places of its crop: the mean of them is the place in the whole picture."""

    class Reader:
        def read(self, tensor: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
            features = tensor[:, 16::32, 16::32] + np.array(MEAN_BGR, np.float32)[:, np.newaxis, np.newaxis]
            return np.array([0.25, 0.75], np.float32), features

    weighing = _Weighing("blob", 1, np.array([1.0, 0, 0]), 0.0)
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[:, :, 2] = np.arange(256)
    seen = {
        (top, left): weighing.look(Reader(), pixels, top, left) for top in range(0, 33, 8) for left in range(0, 33, 8)
    }
    fine = _mean_of_shifted(seen)
    assert fine.shape == (32, 32)
    assert (fine == fine[0]).all()
    # A place is at most half a cell from the middles of the cells that cover it; in the middle they cancel out.
    assert np.abs(fine[0] - (np.arange(32) * 8 + 4)).max() <= 16
    assert np.abs(fine[0, 8:24] - (np.arange(8, 24) * 8 + 4)).max() <= 4


def test_several_threads_at_once(explaining: Classifier) -> None:
    expected = [explaining.explain(path) for path in PATHS]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(explaining.explain, PATHS))
    assert [each.score for each in found] == [each.score for each in expected]
    assert all(np.array_equal(one.heat_map, other.heat_map) for one, other in zip(found, expected, strict=True))


def test_beside_scores_in_other_threads(classifier: Classifier) -> None:
    """Caffe's net is one: what is read of it must be of the picture that was put in."""
    expected, scores = classifier.explain(PATHS[0]), classifier.classify_batch(PATHS, workers=1)
    with ThreadPoolExecutor(3) as threads:
        others = [threads.submit(classifier.classify, path) for path in PATHS]
        found = [threads.submit(classifier.explain, PATHS[0]) for _ in range(4)]
        assert all(np.array_equal(each.result().heat_map, expected.heat_map) for each in found)
        assert [other.result() for other in others] == scores


def test_pickled_it_explains_too(portable: Classifier) -> None:
    again = pickle.loads(pickle.dumps(portable))
    assert np.array_equal(again.explain(PATHS[0]).heat_map, portable.explain(PATHS[0]).heat_map)


@pytest.mark.linux
@pytest.mark.parametrize("engine", ENGINES)
def test_a_forked_child_explains_too(engine: EngineName) -> None:
    code = f"""
import os, signal, nsfw_caffe
classifier = nsfw_caffe.Classifier(engine={engine!r})
expected = classifier.explain({str(PATHS[0])!r})
child = os.fork()
if child == 0:
    signal.alarm(60)
    os._exit(int((classifier.explain({str(PATHS[0])!r}).heat_map != expected.heat_map).any()))
print(os.waitpid(child, 0)[1])
"""
    assert run("-c", code).stdout == "0\n"


def test_closed_and_wrong_uses(model_files: ModelFiles) -> None:  # noqa: ARG001 - fetched first
    with Classifier(engine="onnxruntime") as classifier:
        with pytest.raises(ValueError, match=re.escape("detail='coarse': expected one of exact, fine")):
            classifier.explain(PATHS[0], detail="coarse")  # type: ignore[arg-type]
        with pytest.raises(ImageError, match=re.escape("missing.jpg: cannot be read (No such file or directory)")):
            classifier.explain("missing.jpg")
    with pytest.raises(ValueError, match="this Classifier is closed"):
        classifier.explain(PATHS[0])


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_without_onnx_it_says_how_to_get_it(
    engine: EngineName,
    model_files: ModelFiles,  # noqa: ARG001 - fetched first
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    classifier = Classifier(engine=engine)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineUnavailable, match=re.escape(install_hint("onnxruntime"))):
        classifier.explain(PATHS[0])
    monkeypatch.undo()
    assert classifier.explain(PATHS[0]).score == classifier.classify(PATHS[0])


def test_json_has_all_of_it(portable: Classifier) -> None:
    for detail in DETAILS:
        found = portable.explain(PATHS[0], detail=detail)
        read = json.loads(json.dumps(found.to_json(), allow_nan=False))
        assert read.keys() == {field.name for field in dataclasses.fields(Explanation)}
        assert read["score"] == found.score
        assert np.abs(np.array(read["heat_map"]) - found.heat_map).max() <= 1e-6
        assert read["box"] == list(found.box)
        assert read["score_range"] == (None if found.score_range is None else list(found.score_range))
        assert (read["score_class"], read["others"], read["detail"]) == ("nsfw", ["sfw"], detail)


def test_a_model_that_changed_on_the_disk_is_not_explained(tmp_path: Path, model_files: ModelFiles) -> None:
    """The network that is loaded for the map is the one that scores."""
    paths = [Path(shutil.copy(path, tmp_path)) for path in (model_files.prototxt, model_files.caffemodel)]
    classifier = Classifier(engine="onnxruntime", prototxt=paths[0], caffemodel=paths[1])
    paths[1].write_bytes(paths[1].read_bytes() + b"\x00")
    with pytest.raises(ModelError):
        classifier.explain(PATHS[0])
