from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.engines import blas
from tests.support import needs_atlas, run

DESCRIBE = """
import nsfw_caffe
from nsfw_caffe.engines import blas
print(blas.loaded_blas())
nsfw_caffe.Classifier(engine="caffe")
print(blas.loaded_blas())
"""


def test_nothing_is_loaded_before_caffe() -> None:
    before, after = run("-c", DESCRIBE).stdout.splitlines()
    assert before == "None"
    assert "libblas.so.3" in after


@pytest.mark.parametrize(
    ("folder", "name"),
    [("openblas-pthread", "openblas ("), pytest.param("atlas", "atlas, ", marks=needs_atlas)],
)
def test_names_what_is_loaded(folder: str, name: str) -> None:
    library = f"/usr/lib/x86_64-linux-gnu/{folder}/libblas.so.3"
    child = run("-c", DESCRIBE, environment={"LD_PRELOAD": library})
    before, after = child.stdout.splitlines()
    assert before == after
    assert after.startswith(name)
    assert folder in after


def test_another_architecture_has_bits_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("/usr/lib/aarch64-linux-gnu/atlas/libblas.so.3")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert blas._identify(path).title == "ATLAS aarch64"
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert blas._identify(path).title == "ATLAS"


def test_openblas_kernel_is_the_one_in_use() -> None:
    library = "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3"
    child = run("-c", DESCRIBE, environment={"LD_PRELOAD": library, "OPENBLAS_CORETYPE": "Nehalem"})
    assert child.stdout.startswith("openblas (Nehalem), ")


def test_numpys_own_openblas_does_not_count() -> None:
    child = run(
        "-c",
        "import numpy, scipy.linalg; numpy.ones((9, 9)) @ numpy.ones((9, 9))\n"
        "from nsfw_caffe.engines import blas\n"
        "assert 'openblas' in open('/proc/self/maps').read()\n"
        "print(blas.loaded_blas())",
    )
    assert child.stdout == "None\n", child.stderr


def test_missing_atlas_says_how_to_get_it() -> None:
    child = run(
        "-c",
        "from nsfw_caffe import Classifier, EngineUnavailable\n"
        "from nsfw_caffe.engines import blas\n"
        "blas._LIBRARY_FOLDERS = ()\n"
        "try: Classifier.published()\n"
        "except EngineUnavailable as error: print(error)",
    )
    assert "the published scores need ATLAS, which Debian 12 has: apt-get install libatlas3-base" in child.stdout
    assert "the project's Docker image gives these scores" in child.stdout
