from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe import Classifier, EngineUnavailable, ModelError
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.engines.caffe import CaffeEngine, import_caffe
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.support import PHOTOS, REPOSITORY, needs_atlas, nsfw_caffe, run

PHOTO = PHOTOS / "coffee.png"

SMALL = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param { pool: AVE kernel_size: 32 stride: 32 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def write(folder: Path, text: str, outputs: int = 2, inputs: int = 3 * 7 * 7, bias: bool = True) -> ModelFiles:
    """Write a model with one layer of weights, "fc", whose blobs are outputs x inputs and outputs."""
    weights = NetParameter(name="small")
    layer = weights.layer.add(name="fc", type="InnerProduct")
    generator = np.random.default_rng(0)
    for shape in [(outputs, inputs), (outputs,)][: 1 + bias]:
        blob = layer.blobs.add()
        blob.shape.dim.extend(shape)
        blob.data.extend(generator.normal(0, 0.01, int(np.prod(shape))))
    files = ModelFiles(folder / "my.prototxt", folder / "my.caffemodel", original=False)
    files.prototxt.write_text(text)
    files.caffemodel.write_bytes(weights.SerializeToString())
    return files


def refusal(files: ModelFiles) -> str:
    """Return what the command line says about a model; it has not aborted, and has said one line."""
    child = nsfw_caffe("classify", "--prototxt", files.prototxt, "--caffemodel", files.caffemodel, PHOTO)
    assert (child.returncode, child.stdout) == (3, ""), child
    assert child.stderr.startswith("nsfw-caffe: ")
    assert child.stderr.count("\n") == 1
    return child.stderr


def test_forward_takes_any_number_of_pictures(model_files: ModelFiles) -> None:
    engine = create_engine(model_files, ScoringOptions(engine="caffe"))
    batch = np.stack([preprocess(PHOTOS / name, PillowCodec()) for name in ("coffee.png", "rocket.jpg", "text.png")])
    together = engine.forward(batch)
    assert together.shape == (3, 2)
    assert together.dtype == np.float32
    assert np.abs(together.sum(axis=1) - 1).max() < 1e-6
    assert (together == np.concatenate([engine.forward(one[np.newaxis]) for one in batch])).all()
    kept = together.copy()
    engine.forward(batch[::-1].copy())
    assert (together == kept).all()  # a result is no view of the network's memory


def test_forward_in_batches(model_files: ModelFiles) -> None:
    """What the GPU does: other shapes from call to call, the last chunk a small one."""
    engine = create_engine(model_files, ScoringOptions(engine="caffe"))
    assert isinstance(engine, CaffeEngine)
    batch = np.stack([preprocess(PHOTOS / name, PillowCodec()) for name in ("coffee.png", "rocket.jpg", "text.png")])
    one_by_one = engine.forward(batch)
    engine.batch_size = 2
    assert np.abs(engine.forward(batch) - one_by_one).max() < 1e-6


def test_own_model(tmp_path: Path) -> None:
    files = write(tmp_path, SMALL)
    own = Classifier(prototxt=files.prototxt, caffemodel=files.caffemodel)
    score = own.classify(PHOTO)
    assert 0 < score < 1
    tensor = preprocess(PHOTO, PillowCodec())
    pooled = tensor.reshape(3, 7, 32, 7, 32).mean(axis=(2, 4)).ravel()
    weights = NetParameter.FromString(files.caffemodel.read_bytes())
    matrix, bias = (np.array(blob.data) for blob in weights.layer[0].blobs)
    sfw, nsfw = matrix.reshape(2, -1) @ pooled + bias
    assert abs(score - 1 / (1 + np.exp(sfw - nsfw))) < 1e-5


def test_fine_tuned_original_has_its_own_checksum(tmp_path: Path, model_files: ModelFiles) -> None:
    """The original network under another name is no longer the original, and is tried in a child before it runs."""
    prototxt = tmp_path / "tuned.prototxt"
    prototxt.write_text(model_files.prototxt.read_text().replace("ResNet_50_1by2_nsfw", "mine"))
    own = Classifier(prototxt=prototxt, caffemodel=model_files.caffemodel)
    assert own.classify(PHOTO) == Classifier(engine="caffe").classify(PHOTO)


def swap(old: str, new: str) -> Callable[[Path], ModelFiles]:
    assert old in SMALL
    return lambda folder: write(folder, SMALL.replace(old, new))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (swap('type: "Softmax"', 'type: "Sftmx"'), "Unknown layer type: Sftmx"),
        (swap('bottom: "fc"', 'bottom: "fd"'), "Unknown bottom blob 'fd'"),
        (swap("num_output: 2", "num_output: 2 frobnicate: 1"), "my.prototxt"),
        (swap("kernel_size: 32", "kernel_size: 0"), "Filter dimensions cannot be zero"),
        (swap("stride: 32", "stride: 16"), "shape mismatch"),
        (swap('type: "Pooling"', 'type: "Python"'), "runs Python code"),
        (swap('type: "Input"', 'type: "DummyData"'), "brings data of its own"),
        (swap("layer {", "layer ["), "not a prototxt that can be read"),
        (swap("dim: 3", "dim: 4"), "it has to be 1x3x224x224"),
        (swap('name: "fc"', 'name: "fc2"'), "has no weights for layer 'fc2'"),
        (lambda folder: write(folder, SMALL, bias=False), "layer 'fc' has 1 blobs; it needs 2"),
        (lambda folder: write(folder, SMALL, inputs=4), "shape mismatch"),
        (lambda folder: write(folder, SMALL.replace("num_output: 2", "num_output: 3"), outputs=3), "(1, 3)"),
        (lambda folder: write(folder, SMALL.replace("num_output: 2", "num_output: 1"), outputs=1), "(1, 1)"),
        (
            lambda folder: write(folder, SMALL + 'layer { name: "s" type: "Split" bottom: "prob" top: "a" top: "b" }'),
            "expected one output, found a, b",
        ),
    ],
)
def test_refused_model(make: Callable[[Path], ModelFiles], message: str, tmp_path: Path) -> None:
    files = make(tmp_path)
    said = refusal(files)
    assert message in said
    assert "/my." in said  # the file is named


@pytest.mark.parametrize("extent", [0, 100, 1_000_000, 23_815_354])
def test_truncated_caffemodel(extent: int, tmp_path: Path, model_files: ModelFiles) -> None:
    files = ModelFiles(model_files.prototxt, tmp_path / "cut.caffemodel", original=False)
    files.caffemodel.write_bytes(model_files.caffemodel.read_bytes()[:extent])
    assert str(files.caffemodel) in refusal(files)


def test_foreign_caffemodel(model_files: ModelFiles) -> None:
    assert f"{PHOTO} is not a whole caffemodel" in refusal(ModelFiles(model_files.prototxt, PHOTO, original=False))


def test_prototxt_and_caffemodel_swapped(model_files: ModelFiles) -> None:
    files = ModelFiles(model_files.caffemodel, model_files.prototxt, original=False)
    assert "is not a prototxt" in refusal(files)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    files = write(tmp_path, SMALL)
    weights = NetParameter.FromString(files.caffemodel.read_bytes())
    weights.layer[0].blobs[1].data[0] = float("nan")
    files.caffemodel.write_bytes(weights.SerializeToString())
    assert "not two finite numbers" in refusal(files)


def test_a_refused_model_leaves_a_classifier_usable(tmp_path: Path, classifier: Classifier) -> None:
    before = classifier.classify(PHOTO)
    files = write(tmp_path, SMALL.replace('type: "Softmax"', 'type: "Sftmx"'))
    with pytest.raises(ModelError):
        Classifier(prototxt=files.prototxt, caffemodel=files.caffemodel)
    assert classifier.classify(PHOTO) == before


def test_gpu_without_one_is_refused_before_caffe_aborts() -> None:
    with pytest.raises(EngineUnavailable, match="'gpu:0'"):
        Classifier(device="gpu:0")


def test_missing_pycaffe_says_how_to_get_it() -> None:
    child = run(
        "-c",
        "import sys; sys.modules['caffe'] = None\n"
        "import nsfw_caffe\n"
        "try: nsfw_caffe.Classifier(engine='caffe')\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)",
    )
    assert "'make caffe'" in child.stdout


def test_wheels_of_another_python_are_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = {wheel.name for wheel in (REPOSITORY / "dist").glob("caffe-*.whl")}
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "caffe", None)
        patch.setattr(sys, "version_info", (3, 99, 0))
        with pytest.raises(EngineUnavailable) as error:
            import_caffe()
    advice, found = str(error.value).split("; ")[-2:]
    assert advice.endswith("for CPython 3.99: pip install dist/caffe-*-cp399-*.whl")
    assert found.removesuffix(" in dist/ is for another Python") in wheels


@pytest.mark.parametrize("threads", [1, 2])
def test_number_of_threads_leaves_the_bits_alone(threads: int, classifier: Classifier) -> None:
    assert Classifier(engine="caffe", threads=threads).classify(PHOTO) == classifier.classify(PHOTO)


@needs_atlas
def test_number_of_threads_is_refused_for_another_blas() -> None:
    child = run(
        "-c",
        "import nsfw_caffe\n"
        "nsfw_caffe.Classifier.published()\n"
        "try: nsfw_caffe.Classifier(engine='caffe', threads=1)\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)",
    )
    assert "for OpenBLAS only" in child.stdout, child


def test_missing_blas_says_how_to_get_it(tmp_path: Path) -> None:
    # An empty library under BLAS's name is what the loader finds first.
    (tmp_path / "libblas.so.3").write_bytes(b"")
    child = run(
        "-c",
        "import nsfw_caffe\n"
        "try: nsfw_caffe.Classifier(engine='caffe')\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)",
        environment={"LD_LIBRARY_PATH": str(tmp_path)},
    )
    assert "apt-get install libopenblas0-pthread" in child.stdout


@pytest.mark.parametrize("level", [None, "0"])
def test_caffe_is_quiet_unless_the_user_wants_to_hear_it(level: str | None) -> None:
    environment = {} if level is None else {"GLOG_minloglevel": level, "GLOG_logtostderr": "1"}
    child = run("-c", "import nsfw_caffe; nsfw_caffe.Classifier(engine='caffe')", environment=environment)
    assert ("net.cpp" in child.stderr) == (level is not None)


def test_importing_the_library_leaves_the_environment_alone() -> None:
    code = "import os; before = dict(os.environ); import nsfw_caffe; print(before == dict(os.environ))"
    assert run("-c", code).stdout == "True\n"
