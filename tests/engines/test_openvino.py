from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe import Classifier, EngineUnavailable
from nsfw_caffe.engines import openvino
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.engines.openvino import OpenVinoEngine
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import Precision, ScoringOptions
from nsfw_caffe.system import proc
from tests.support import PHOTOS, run

PATHS = [PHOTOS / name for name in ("astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png", "retina.jpg")]


@pytest.fixture(scope="module")
def bfloat16(model_files: ModelFiles) -> Classifier:  # noqa: ARG001 - fetched first
    try:
        return Classifier(engine="openvino", precision="bfloat16")
    except EngineUnavailable as error:
        pytest.skip(str(error))


def test_bfloat16_is_near_float32_but_another_precision(bfloat16: Classifier, classifier: Classifier) -> None:
    differences = [abs(bfloat16.classify(path) - classifier.classify(path)) for path in PATHS]
    assert 1e-5 < max(differences) < 0.03


def test_bfloat16_batch_has_the_bits_of_one_by_one(bfloat16: Classifier) -> None:
    assert bfloat16.classify_batch(PATHS) == [bfloat16.classify(path) for path in PATHS]


def test_openvino_reports_to_nobody(tmp_path: Path, model_files: ModelFiles) -> None:
    """Left alone, `import openvino` sends an event, and makes a folder for the user's consent."""
    code = (
        "import sys, nsfw_caffe\n"
        "nsfw_caffe.Classifier(engine='openvino')\n"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    environment = {"HOME": str(tmp_path), "NSFW_CAFFE_MODEL_DIR": str(model_files.prototxt.parent)}
    assert run("-c", code, environment=environment).stdout == "[]\n"
    assert not (tmp_path / "intel").exists()


@pytest.mark.parametrize(("precision", "element"), [("float32", "f32"), ("bfloat16", "bf16")])
def test_precision_is_said_in_any_case(
    precision: Precision,
    element: str,
    model_files: ModelFiles,
    bfloat16: Classifier,  # noqa: ARG001 - skips
) -> None:
    engine = create_engine(model_files, ScoringOptions(engine="openvino", precision=precision, threads=1))
    assert isinstance(engine, OpenVinoEngine)
    assert engine._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == element
    assert engine._compiled.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.linux
def test_one_thread_may_run_on_any_core(model_files: ModelFiles) -> None:
    """Else processes of one thread each would all have the same core."""
    code = (
        "import contextlib, os, threading; from nsfw_caffe import Classifier\n"
        "classifier, found = Classifier(engine='openvino', threads=1), set()\n"
        f"work = threading.Thread(target=lambda: [classifier.classify({str(PATHS[0])!r}) for _ in range(10)])\n"
        "work.start()\n"
        "while work.is_alive():\n"
        "    for thread in map(int, os.listdir('/proc/self/task')):\n"
        "        with contextlib.suppress(ProcessLookupError): found.add(len(os.sched_getaffinity(thread)))\n"
        "print(found == {len(os.sched_getaffinity(0))})"
    )
    environment = {"NSFW_CAFFE_MODEL_DIR": str(model_files.prototxt.parent)}
    assert run("-c", code, environment=environment).stdout == "True\n"


def test_auto_takes_the_engine_that_has_the_precision(bfloat16: Classifier) -> None:
    assert Classifier(precision="bfloat16").engine == "openvino" == bfloat16.engine


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_bfloat16_is_refused_where_it_would_be_emulated(
    told: bool, tmp_path: Path, model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On x86: OpenVINO lists BF16 for AVX-512 without such units too."""
    monkeypatch.setattr(proc, "ROOT", tmp_path)
    if told:
        (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512bw\n")
    monkeypatch.setattr("platform.machine", lambda: "x86_64" if told else "AMD64")
    with pytest.raises(EngineUnavailable, match="no bfloat16 units"):
        openvino.create(model_files, ScoringOptions(precision="bfloat16"))


def test_first_use_in_several_threads_at_once(model_files: ModelFiles) -> None:  # noqa: ARG001 - fetched first
    """Its bindings set themselves up when they are first used, and deadlock where several threads do that at once."""
    code = (
        "import sys, nsfw_caffe\n"
        "print(len(nsfw_caffe.Classifier(engine='openvino').classify_batch(sys.argv[1:] * 4, workers=4)))"
    )
    for _ in range(5):
        assert run("-c", code, *PATHS).stdout == f"{4 * len(PATHS)}\n"
