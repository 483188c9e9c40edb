"""Caffe on a GPU against Caffe on the CPU, where there is a GPU; and what is said where there is none."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nsfw_caffe import Classifier, EngineUnavailable
from nsfw_caffe.engines import caffe
from nsfw_caffe.engines.caffe import GPU_BATCH_SIZE
from nsfw_caffe.model.spec import ModelFiles
from tests.support import PHOTOS, run

LARGEST_DIFFERENCE = 1e-5
PATHS = sorted(path for path in PHOTOS.iterdir() if path.suffix in (".png", ".jpg", ".gif"))


@pytest.fixture(scope="module")
def gpu(model_files: ModelFiles) -> Classifier:  # noqa: ARG001 - fetched first
    try:
        return Classifier(engine="caffe", device="gpu:0")
    except EngineUnavailable as error:
        pytest.skip(str(error))


def test_scores_are_those_of_the_cpu(gpu: Classifier, classifier: Classifier) -> None:
    pairs = zip(gpu.classify_batch(PATHS), classifier.classify_batch(PATHS), strict=True)
    largest = max(abs(one - other) for one, other in pairs)
    print(f"{len(PATHS)} pictures, largest difference {largest:.2g}")
    assert largest <= LARGEST_DIFFERENCE


def test_scores_hardly_depend_on_the_batch(gpu: Classifier) -> None:
    pairs = zip(gpu.classify_batch(PATHS), map(gpu.classify, PATHS), strict=True)
    assert max(abs(one - other) for one, other in pairs) <= LARGEST_DIFFERENCE


def test_other_threads_use_the_gpu_too(gpu: Classifier) -> None:
    """Caffe keeps mode and device per thread."""
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(gpu.classify, PATHS)) == [gpu.classify(path) for path in PATHS]


def test_memory_of_the_gpu_that_others_take_later_ends_nothing(gpu: Classifier) -> None:
    """Caffe would end the process if it had to ask for more."""
    expected = gpu.classify_batch(PATHS)
    with full_gpu(1 << 22), ThreadPoolExecutor(1) as pool:
        assert pool.submit(gpu.classify_batch, PATHS).result() == expected


def test_a_gpu_without_memory_for_a_batch(gpu: Classifier) -> None:  # noqa: ARG001 - there is one
    with full_gpu(1 << 30), pytest.raises(EngineUnavailable, match=r"'gpu:0'.*out of memory"):
        Classifier(engine="caffe", device="gpu:0")


@contextmanager
def full_gpu(left: int) -> Iterator[None]:
    """Take all memory of the current GPU but so many bytes."""
    cuda = ctypes.CDLL(caffe.import_caffe()._caffe.__file__)
    free, total, taken = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_void_p()
    assert cuda.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total)) == 0
    assert cuda.cudaMalloc(ctypes.byref(taken), ctypes.c_size_t(free.value - left)) == 0
    try:
        yield
    finally:
        assert cuda.cudaFree(taken) == 0


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(EngineUnavailable, match="'gpu:99'"):
        Classifier(engine="caffe", device="gpu:99")


def test_a_gpu_that_caffe_cannot_use_ends_a_child_only(model_files: ModelFiles) -> None:
    """Caffe itself, and not the question to CUDA before it, refuses this one."""
    with pytest.raises(EngineUnavailable, match=r"device 'gpu:99': Caffe cannot run the model on it \(status -6\): .+"):
        caffe._try_in_child(model_files, 99)


def test_missing_cuda_says_how_to_get_it(tmp_path: Path) -> None:
    # The loader's words, from a machine without CUDA and with a pycaffe for GPUs.
    reason = "libcublas.so.11: cannot open shared object file: No such file or directory"
    (tmp_path / "caffe.py").write_text(f"raise ImportError({reason!r})")
    code = "import nsfw_caffe; nsfw_caffe.Classifier(engine='caffe')"
    child = run("-c", code, environment={"PYTHONPATH": str(tmp_path)})
    assert f"{reason}; apt-get install libcublas11 libcudart11.0 libcurand10" in child.stderr


class FakeCaffe:
    """What pycaffe is to the engine, on a machine without a GPU: it notes each thread's device, as Caffe keeps it."""

    TEST = 1

    def __init__(self) -> None:
        self.set_up = threading.local()
        self.shapes: list[tuple[int, ...]] = []
        self.threads: set[int] = set()
        self.inputs, self.outputs = ["data"], ["prob"]
        self.blobs = {name: FakeBlob(shape) for name, shape in (("data", (1, 3, 224, 224)), ("prob", (1, 2)))}

    def Net(self, *_: object, **__: object) -> FakeCaffe:  # noqa: N802 - pycaffe's
        self.forward()
        return self

    def set_device(self, number: int) -> None:
        self.set_up.device = number

    def set_mode_gpu(self) -> None:
        self.set_up.mode = "gpu"

    def forward(self) -> dict[str, Any]:
        assert (self.set_up.device, self.set_up.mode) == (3, "gpu")
        self.threads.add(threading.get_ident())
        batch = self.blobs["data"].data
        self.shapes.append(batch.shape)
        self.blobs["prob"].reshape(len(batch), 2)
        self.blobs["prob"].data[:, 1] = batch[:, 0, 0, 0]
        return {"prob": self.blobs["prob"].data}


class FakeBlob(SimpleNamespace):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(data=np.zeros(shape, np.float32))

    def reshape(self, *shape: int) -> None:
        self.data = np.zeros(shape, np.float32)


def test_batches_on_the_gpu_that_was_asked_for_in_one_thread(model_files: ModelFiles) -> None:
    fake = FakeCaffe()
    engine = caffe.CaffeEngine(fake, model_files, 3)
    assert (engine.batch_size, engine.parallelism) == (GPU_BATCH_SIZE, "batches")
    batch = np.zeros((2 * GPU_BATCH_SIZE + 5, 3, 224, 224), np.float32)
    batch[:, 0, 0, 0] = np.arange(len(batch))
    with ThreadPoolExecutor(1) as pool:
        outputs = pool.submit(engine.forward, batch).result()  # not the thread that has made the engine
    assert outputs[:, 1].tolist() == list(range(len(batch)))
    sizes = [shape[0] for shape in fake.shapes]
    assert sizes == [1, GPU_BATCH_SIZE, GPU_BATCH_SIZE, GPU_BATCH_SIZE, 5]  # all memory is taken before the first batch
    assert len(fake.threads) == 1
