"""What onnxruntime and openvino have in common: Caffe's scores, refusals, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nsfw_caffe import Classifier, EngineUnavailable, ModelError
from nsfw_caffe.engines import onnxruntime
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import EngineName, ScoringOptions
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system.extras import install_hint
from tests.engines.test_caffe import SMALL, write
from tests.support import PHOTOS, nsfw_caffe, run

ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")
TOLERANCE = 5e-6
PATHS = sorted(path for path in PHOTOS.iterdir() if path.suffix in (".png", ".jpg"))


@pytest.fixture(scope="module", params=ENGINES)
def portable(request: pytest.FixtureRequest, model_files: ModelFiles) -> Classifier:  # noqa: ARG001 - fetched first
    return Classifier(engine=request.param)


def test_scores_are_caffes(portable: Classifier, classifier: Classifier) -> None:
    results = list(portable.scan(PATHS))
    expected = list(classifier.scan(PATHS))
    assert [result.error for result in results] == [result.error for result in expected]
    pairs = [(one.score, two.score) for one, two in zip(results, expected, strict=True) if one.score is not None]
    assert len(pairs) > 10
    assert max(abs(one - two) for one, two in pairs if two is not None) <= TOLERANCE


def test_batch_has_the_bits_of_one_by_one(portable: Classifier) -> None:
    paths = [PHOTOS / name for name in ("coffee.png", "rocket.jpg", "text.png", "chelsea.png", "astronaut.png")]
    one_by_one = [portable.classify(path) for path in paths]
    for workers in (None, 1, 2, 3, 7):
        assert portable.classify_batch(paths * 4, workers=workers) == one_by_one * 4


def test_a_bad_picture_leaves_the_others_alone(portable: Classifier) -> None:
    good = PHOTOS / "coffee.png"
    results = list(portable.scan([good, "/missing.jpg", b"", good] * 5, workers=3))
    assert [result.score for result in results] == [portable.classify(good), None, None, portable.classify(good)] * 5
    assert results[1].error == "/missing.jpg: cannot be read (No such file or directory)"


@pytest.mark.parametrize("name", ENGINES)
def test_forward(name: EngineName, model_files: ModelFiles) -> None:
    engine = create_engine(model_files, ScoringOptions(engine=name))
    assert engine.name == name
    batch = np.stack([preprocess(PHOTOS / name, PillowCodec()) for name in ("coffee.png", "rocket.jpg", "text.png")])
    together = engine.forward(batch)
    assert together.shape == (3, 2)
    assert together.dtype == np.float32
    kept = together.copy()
    assert (engine.forward(batch[::-1].copy()) == kept[::-1]).all()
    assert (engine.forward(batch[:, :, ::-1][:, :, ::-1]) == kept).all()  # a view that is not contiguous
    assert (together == kept).all()  # a result is no view of the engine's memory


def test_forward_in_batches(model_files: ModelFiles) -> None:
    """What onnxruntime's GPU does: several pictures a call, the last chunk a small one."""
    engine = create_engine(model_files, ScoringOptions(engine="onnxruntime"))
    batch = np.stack([preprocess(PHOTOS / name, PillowCodec()) for name in ("coffee.png", "rocket.jpg", "text.png")])
    one_by_one = engine.forward(batch)
    assert len(set(one_by_one[:, 1].round(4))) == len(batch)
    engine.batch_size = 2
    assert np.abs(engine.forward(batch) - one_by_one).max() < 1e-6


@pytest.mark.parametrize("name", ENGINES)
def test_number_of_threads_leaves_the_bits_alone(name: EngineName, model_files: ModelFiles) -> None:
    batch = preprocess(PHOTOS / "coffee.png", PillowCodec())[np.newaxis]
    outputs = [
        create_engine(model_files, ScoringOptions(engine=name, threads=threads), callers).forward(batch)
        for threads, callers in ((None, 1), (1, 1), (2, 1), (None, 2))
    ]
    assert all((output == outputs[0]).all() for output in outputs)


def test_many_threads_on_one_classifier(portable: Classifier) -> None:
    paths = [PHOTOS / name for name in ("coffee.png", "rocket.jpg", "text.png", "chelsea.png")] * 10
    expected = [portable.classify(path) for path in paths[:4]] * 10
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(portable.classify, paths)) == expected


@pytest.mark.parametrize("name", ENGINES)
def test_own_model(name: EngineName, tmp_path: Path, classifier: Classifier) -> None:
    files = write(tmp_path, SMALL)
    own = Classifier(engine=name, prototxt=files.prototxt, caffemodel=files.caffemodel)
    caffes = Classifier(engine="caffe", prototxt=files.prototxt, caffemodel=files.caffemodel)
    photo = PHOTOS / "coffee.png"
    assert abs(own.classify(photo) - caffes.classify(photo)) <= TOLERANCE
    assert own.classify(photo) != classifier.classify(photo)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('type: "Softmax"', 'type: "Sftmx"', "layer 'prob' of type Sftmx: this type is not supported"),
        ("num_output: 2", "num_output: 2 frobnicate: 1", 'no field named "frobnicate"'),
        ('bottom: "fc"', 'bottom: "fd"', "there is no blob 'fd'"),
        ("stride: 32", "stride: 16", "blob 0 of layer 'fc' is 2x147"),
        ('type: "Pooling"', 'type: "Python"', "runs Python code"),
        ("dim: 3", "dim: 4", "it has to be 1x3x224x224"),
        ('name: "fc"', 'name: "fc2"', "has no weights for layer 'fc2'"),
        (' top: "fc"', ' top: "fc" propagate_down: false phase: TRAIN', "phase: TRAIN"),
    ],
)
def test_refused_model(name: EngineName, old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in SMALL
    files = write(tmp_path, SMALL.replace(old, new))
    with pytest.raises(ModelError) as caught:
        Classifier(engine=name, prototxt=files.prototxt, caffemodel=files.caffemodel)
    assert message in str(caught.value)
    assert "/my." in str(caught.value)


@pytest.mark.parametrize("name", ENGINES)
def test_refused_number_of_outputs(name: EngineName, tmp_path: Path) -> None:
    files = write(tmp_path, SMALL.replace("num_output: 2", "num_output: 3"), outputs=3)
    with pytest.raises(ModelError, match=r"expected an output of shape \(n, 2\), found \(n, 3\)"):
        Classifier(engine=name, prototxt=files.prototxt, caffemodel=files.caffemodel)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("extent", [0, 100, 200])
def test_truncated_caffemodel(name: EngineName, extent: int, tmp_path: Path) -> None:
    files = write(tmp_path, SMALL)
    files.caffemodel.write_bytes(files.caffemodel.read_bytes()[:extent])
    with pytest.raises(ModelError, match=r"my\.caffemodel"):
        Classifier(engine=name, prototxt=files.prototxt, caffemodel=files.caffemodel)


@pytest.mark.parametrize("name", ENGINES)
def test_missing_package_says_how_to_get_it(name: EngineName) -> None:
    child = run(
        "-c",
        f"import sys; sys.modules['{name}'] = None\n"
        "import nsfw_caffe\n"
        f"try: nsfw_caffe.Classifier(engine='{name}')\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)",
    )
    assert install_hint(name) in child.stdout


def test_auto_without_caffe_and_without_any() -> None:
    code = (
        "import sys; sys.modules['caffe'] = None\n"
        "import nsfw_caffe\n"
        "print(nsfw_caffe.Classifier().engine)\n"
        "sys.modules['onnxruntime'] = None\n"
        "print(nsfw_caffe.Classifier().engine)\n"
        "sys.modules['openvino'] = None\n"
        "try: nsfw_caffe.Classifier()\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)"
    )
    lines = run("-c", code).stdout.splitlines()
    assert lines[:2] == ["onnxruntime", "openvino"]
    assert [line.strip().partition(":")[0] for line in lines[2:]] == ["Caffe", "onnxruntime", "openvino"]


@pytest.mark.parametrize("name", ENGINES)
def test_gpu_is_refused_where_it_cannot_be_used(name: EngineName) -> None:
    with pytest.raises(EngineUnavailable, match="'gpu:0'"):
        Classifier(engine=name, device="gpu:0")


def fake_onnxruntime(providers: list[str], asked: list[Any]) -> SimpleNamespace:
    """Return an onnxruntime whose sessions have these providers, whatever is asked for, as it does without CUDA."""
    blobs = [SimpleNamespace(name="blob")]
    session = SimpleNamespace(get_providers=lambda: providers, get_inputs=lambda: blobs, get_outputs=lambda: blobs)
    session.disable_fallback = lambda: asked.append("no fallback")

    def start(content: bytes, settings: object, providers: list[object]) -> object:  # noqa: ARG001
        asked.extend(providers)
        return session

    settings = SimpleNamespace(add_session_config_entry=lambda *_: None)
    return SimpleNamespace(InferenceSession=start, SessionOptions=lambda: settings)


def test_onnxruntime_is_told_the_gpu_and_not_to_round_to_tf32(model_files: ModelFiles) -> None:
    asked: list[Any] = []
    fake = fake_onnxruntime(["CUDAExecutionProvider", "CPUExecutionProvider"], asked)
    engine = onnxruntime.OnnxRuntimeEngine(fake, model_files, ScoringOptions(engine="onnxruntime", device="gpu:3"))
    assert (engine.batch_size, engine.parallelism) == (onnxruntime.GPU_BATCH_SIZE, "batches")
    assert asked == [("CUDAExecutionProvider", {"device_id": "3", "use_tf32": "0"}), "no fallback"]


def test_onnxruntime_taking_the_cpu_for_a_gpu_is_refused(model_files: ModelFiles) -> None:
    fake = fake_onnxruntime(["CPUExecutionProvider"], [])
    with pytest.raises(EngineUnavailable, match="onnxruntime cannot use CUDA here"):
        onnxruntime.OnnxRuntimeEngine(fake, model_files, ScoringOptions(engine="onnxruntime", device="gpu:3"))


@pytest.mark.parametrize("name", ENGINES)
def test_a_failed_forward_leaves_the_engine_usable(name: EngineName, model_files: ModelFiles) -> None:
    engine = create_engine(model_files, ScoringOptions(engine=name))
    with pytest.raises(Exception, match=r"\d"):
        engine.forward(np.zeros((1, 3, 10, 10), np.float32))
    outputs = []
    batch = np.zeros((1, 3, 224, 224), np.float32)
    again = Thread(target=lambda: outputs.append(engine.forward(batch)), daemon=True)  # which may wait for ever
    again.start()
    again.join(60)
    assert [output.shape for output in outputs] == [(1, 2)]


@pytest.mark.parametrize("name", ["caffe", "onnxruntime"])
def test_bfloat16_is_openvinos(name: EngineName) -> None:
    with pytest.raises(EngineUnavailable, match="only with engine 'openvino'"):
        Classifier(engine=name, precision="bfloat16")


def test_command_line() -> None:
    photo = PHOTOS / "coffee.png"
    for name in ENGINES:
        child = nsfw_caffe("classify", "--engine", name, "--threads", "1", photo)
        assert (child.returncode, child.stderr) == (0, "")
        assert child.stdout == f"{Classifier(engine=name).classify(photo)!r}\t{photo}\n"
    child = nsfw_caffe("classify", "--engine", "onnxruntime", "--precision", "bfloat16", photo)
    assert (child.returncode, child.stdout) == (3, "")
    assert "openvino" in child.stderr


def test_a_kept_model_needs_neither_protobuf_nor_onnx() -> None:
    Classifier(engine="onnxruntime")  # keeps it
    child = run(
        "-c",
        "import sys, nsfw_caffe\n"
        "nsfw_caffe.Classifier(engine='onnxruntime').classify(sys.argv[1])\n"
        "print(sorted({'onnx', 'google.protobuf', 'skimage', 'caffe', 'tqdm'} & set(sys.modules)))",
        PHOTOS / "coffee.png",
    )
    assert child.stdout == "[]\n", child.stderr
