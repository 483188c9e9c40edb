"""What an engine raises of its own, at load or in a forward pass, is an error of the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nsfw_caffe import EngineUnavailable, ModelError
from nsfw_caffe.engines import onnxruntime, openvino
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import EngineChoice, ScoringOptions
from tests.support import PHOTOS, run

PHOTO = PHOTOS / "coffee.png"

NO_MEMORY = """
import resource, sys
import numpy as np
from nsfw_caffe import EngineUnavailable
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.options import ScoringOptions

engine = create_engine(fetch(), ScoringOptions(engine="onnxruntime", threads=1))
picture = np.zeros((1, 3, 224, 224), np.float32)
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken, taken))
filled = []
for size in (1 << 20, 1 << 16):
    try:
        while True:
            filled.append(bytearray(size))
    except MemoryError:
        pass
del filled[:4]
try:
    engine.forward(picture)
except EngineUnavailable as error:
    filled.clear()
    print(type(error.__cause__).__module__, error)
"""


def test_a_forward_pass_without_memory(model_files: ModelFiles) -> None:  # noqa: ARG001 - fetched first
    """OpenVINO has all that it needs from its first one on, and Caffe ends the process."""
    child = run("-c", NO_MEMORY)
    assert child.stdout.startswith("onnxruntime."), child
    assert "onnxruntime: a forward pass failed: " in child.stdout
    assert child.stdout.count("\n") == 1
    assert child.stderr == ""


@pytest.mark.linux
@pytest.mark.parametrize(("name", "kibibytes"), [("onnxruntime", 280_000), ("openvino", 450_000)])
def test_loading_without_memory(name: EngineChoice, kibibytes: int, model_files: ModelFiles) -> None:
    """As after `ulimit -v`."""
    code = (
        "import resource, runpy, sys\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({kibibytes << 10},) * 2)\n"
        "runpy.run_module('nsfw_caffe', run_name='__main__')"
    )
    # The limits fit a process whose NumPy has stacks and buffers for two threads.
    child = run("-c", code, "classify", "--engine", name, PHOTO, environment={"OPENBLAS_NUM_THREADS": "2"})
    assert (child.returncode, child.stdout) == (3, ""), child
    said = f"nsfw-caffe: {model_files.prototxt}: {name} cannot run this model: "
    # Which allocation is the first to fail, a thread's stack or another, is chance.
    thread = "no thread could be started: not enough memory, or too many processes"
    assert child.stderr in (f"{said}not enough memory\n", f"{said}{thread}\n")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_a_forward_pass_that_fails(name: EngineChoice, model_files: ModelFiles) -> None:
    engine = create_engine(model_files, ScoringOptions(engine=name))
    with pytest.raises(EngineUnavailable, match=f"^{name}: a forward pass failed: ") as caught:
        engine.forward(np.zeros((1, 4, 224, 224), np.float32))
    assert "\n" not in str(caught.value)
    assert engine.forward(np.zeros((1, 3, 224, 224), np.float32)).shape == (1, 2)


@pytest.mark.parametrize("module", [onnxruntime, openvino])
def test_a_converted_model_that_the_engine_cannot_load(
    module: object, model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "onnx_model", lambda files: b"no model")  # noqa: ARG005
    name: Any = str(getattr(module, "__name__", "")).rpartition(".")[2]
    with pytest.raises(ModelError, match=f"deploy.prototxt: {name} cannot run this model: "):
        create_engine(model_files, ScoringOptions(engine=name))
