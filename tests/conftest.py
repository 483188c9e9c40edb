from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import nsfw_caffe
from nsfw_caffe.engines.blas import loaded_blas, set_openblas_threads
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.spec import ModelFiles
from tests.support import LINUX, REPOSITORY, made_once, run

PICTURES, BROKEN = 100, 2
"""A scan of so many takes a few seconds of one core, time enough to stop and to kill it in."""

CHILDREN_MEASURED = (
    *("tests.cli.test_main", "tests.cli.test_networks", "tests.test_main"),
    *("tests.engines", "tests.explain", "tests.fidelity.test_verify", "tests.networks.test_measure"),
    *("tests.parallel.test_caffe_workers", "tests.service", "tests.spark.test_rank_worker"),
    *("tests.training.test_brought", "tests.training.test_prefetch", "tests.training.test_solving"),
)
"""Modules and rooms of tests in whose child processes coverage measures too: they reach what runs nowhere else."""


def pytest_configure(config: pytest.Config) -> None:
    """Give the whole run a cache of its own, so that what the user's holds, a model for example, changes nothing."""
    if hasattr(config, "workerinput"):
        return  # one of pytest-xdist's processes, which has the first one's environment
    folder = tempfile.TemporaryDirectory(prefix="nsfw_caffe-tests-")
    config.add_cleanup(folder.cleanup)
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("PIP_CACHE_DIR", str(users / "pip"))
    os.environ["XDG_CACHE_HOME"] = folder.name
    # There are as many of pytest-xdist's processes as cores, and OpenBLAS's threads wait for one another by spinning:
    # several to a core cost a third more than one. A test of several threads asks for them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if LINUX and b"avx2" in Path("/proc/cpuinfo").read_bytes() and _kernel_of_openblas() == "Prescott":
        # A CPU that is newer than the library, which then takes a kernel of 2004: four times slower.
        os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
    # Else each of the thousand Python processes to come would compile the library again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    fetch()  # before the processes start, none of which then finds another one than the others


ON_LINUX_ALONE = (
    *("fidelity", "service", "spark", "training", "cli/test_serve.py"),
    *(f"engines/test_{name}.py" for name in ("blas", "caffe", "caffe_gpu", "what_pycaffe_scores")),
    *(f"model/test_{name}.py" for name in ("blobs", "schema", "shapes")),
    *(f"networks/test_{name}.py" for name in ("build", "measure")),
    *(f"parallel/test_{name}.py" for name in ("caffe_workers", "worker_pool")),
    *(f"system/test_{name}.py" for name in ("forking", "processes")),
    *(f"test_{name}.py" for name in ("docker", "examples", "fork", "packaging", "privacy", "workflows")),
)
"""Rooms and modules of tests about what other systems lack: Caffe, the service, Spark, training, `os.fork`, strace."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave tests alone that could only skip."""
    folder = Path(__file__).parent
    return True if not LINUX and any(collection_path == folder / name for name in ON_LINUX_ALONE) else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is promised on Linux alone, and what is asked of Caffe."""
    if not LINUX and item.get_closest_marker("linux") is not None:
        pytest.skip("promised on Linux alone")
    if not LINUX and _asks_caffe(item):
        pytest.skip("Caffe is there on Linux alone")


def _asks_caffe(item: pytest.Item) -> bool:
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return any(isinstance(value, str) and value == "caffe" for value in parameters)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules with most slow tests first, so that none of them is still at work when all others are done.

    Before them comes the one that takes longest, and asks the original: whoever wants its answers then has them.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (item.path.name != "test_same_machine.py", -slow[item.path]))


def _kernel_of_openblas() -> str:
    """Return the kernel that OpenBLAS takes here, asked in a child since it is taken once; "" for another BLAS."""
    return run("-c", _ASK_KERNEL).stdout.strip()


_ASK_KERNEL = """\
import ctypes
kernel = ctypes.CDLL("libblas.so.3").openblas_get_corename
kernel.restype = ctypes.c_char_p
print(kernel().decode())
"""


@pytest.fixture(scope="module", autouse=True)
def unmeasured_children(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let coverage leave the children of other modules alone, each of which it would cost up to three quarters more."""
    with pytest.MonkeyPatch.context() as patch:
        if not f"{request.module.__name__}.".startswith(tuple(f"{name}." for name in CHILDREN_MEASURED)):
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="module", autouse=True)
def threads_of_blas() -> Iterator[None]:
    """Give OpenBLAS its number of threads back, which a Classifier's `threads` sets for the whole process."""
    yield
    blas = loaded_blas()
    if blas is not None and blas.name == "openblas":
        set_openblas_threads(int(os.environ["OPENBLAS_NUM_THREADS"]))


@pytest.fixture(scope="session")
def model_files() -> ModelFiles:
    """Return the original model's two files."""
    return fetch()


@pytest.fixture(scope="session")
def classifier(model_files: ModelFiles) -> nsfw_caffe.Classifier:  # noqa: ARG001 - fetched first
    """Return the original network in the real Caffe, on the default BLAS."""
    if not LINUX:
        pytest.skip("Caffe is there on Linux alone")
    return nsfw_caffe.Classifier(engine="caffe")


@pytest.fixture(scope="session")
def portable(model_files: ModelFiles) -> nsfw_caffe.Classifier:  # noqa: ARG001 - fetched first
    """Return the original network on onnxruntime, which is there fastest."""
    return nsfw_caffe.Classifier(engine="onnxruntime")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of different pictures of several formats, some of them broken; not to be changed."""

    def make(folder: Path) -> None:
        child = run(REPOSITORY / "benchmarks/make_pictures.py", folder, "--count", str(PICTURES), "--seed", "5")
        assert child.returncode == 0, child.stderr

    return made_once(tmp_path_factory, "pictures", make)
