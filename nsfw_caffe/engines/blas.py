"""The BLAS that Caffe computes with: the one `libblas.so.3` of the process.

The Caffe wheel leaves `libblas.so.3` to the system, and the loader takes a library of that name only once, so whatever
is loaded first under that name is what Caffe uses. The copies of OpenBLAS inside NumPy's and SciPy's wheels have
other names and play no part.
"""

from __future__ import annotations

import ctypes
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.system import proc

SONAME = "libblas.so.3"

THREAD_INVARIANT_KERNELS = ("Cooperlake", "Sandybridge", "SkylakeX")
"""OpenBLAS's kernels whose bits do not depend on the number of threads: 1 to 16 tried, docs/fidelity.md."""

_LIBRARY_FOLDERS = (Path("/usr/lib"), Path("/usr/lib64"))


@dataclass(frozen=True)
class Blas:
    """A loaded BLAS."""

    name: str
    """"atlas", "openblas", "reference", or "other"."""
    kernel: str
    """What decides the last bits: of OpenBLAS the kernel that it chose for this CPU ("SkylakeX"), of the others, which
    have one for every CPU, the architecture, "" for x86-64."""
    path: Path
    version: str = ""
    """OpenBLAS's own; else ""."""

    @property
    def title(self) -> str:
        """The library with version and kernel: "OpenBLAS 0.3.21 Haswell"."""
        names = {"openblas": "OpenBLAS", "atlas": "ATLAS", "reference": "reference BLAS"}
        return " ".join(filter(None, (names.get(self.name, str(self.path)), self.version, self.kernel)))

    def __str__(self) -> str:
        return f"{self.name}{f' ({self.kernel})' if self.kernel else ''}, {self.path}"


def loaded_blas() -> Blas | None:
    """Return the process's `libblas.so.3`, or None if none is loaded."""
    for line in proc.lines("self/maps"):
        path = Path(line[line.find("/") :])
        if "/" in line and path.name.startswith(SONAME):
            return _identify(path)
    return None


def threads_that_matter() -> int | None:
    """Return how many threads OpenBLAS computes with where its bits depend on that, else None."""
    blas = loaded_blas()
    if blas is None or blas.name != "openblas" or blas.kernel in THREAD_INVARIANT_KERNELS:
        return None
    count: int = ctypes.CDLL(str(blas.path)).openblas_get_num_threads()
    return count


def set_openblas_threads(count: int) -> None:
    """Make OpenBLAS compute with this many threads, more than cores if need be; EngineUnavailable with another BLAS."""
    blas = loaded_blas()
    if blas is None or blas.name != "openblas":
        raise EngineUnavailable(f"caffe: a number of threads can be set for OpenBLAS only, and the BLAS is {blas}")
    ctypes.CDLL(str(blas.path)).openblas_set_num_threads(count)


def use_atlas() -> None:
    """Make ATLAS the process's BLAS; EngineUnavailable if it is not installed, or another BLAS is loaded."""
    blas = loaded_blas()
    if blas is None:
        ctypes.CDLL(str(_find_atlas()))
    elif blas.name != "atlas":
        raise EngineUnavailable(
            f"the published scores need ATLAS, but this process computes with {blas}, and a process holds one BLAS; "
            "call Classifier.published() first, in a process of its own"
        )


def _find_atlas() -> Path:
    for folder in _LIBRARY_FOLDERS:
        for path in sorted(folder.glob(f"*/atlas/{SONAME}")):
            return path
    raise EngineUnavailable(
        "the published scores need ATLAS, which Debian 12 has: apt-get install libatlas3-base; newer releases have "
        "none (their package of that name is empty), and there the project's Docker image gives these scores"
    )


def _identify(path: Path) -> Blas:
    machine = platform.machine()
    architecture = "" if machine == "x86_64" else machine
    if "atlas" in path.parts:
        return Blas("atlas", architecture, path)
    library = ctypes.CDLL(str(path))
    try:
        kernel, configuration = library.openblas_get_corename, library.openblas_get_config
    except AttributeError:
        return Blas("reference" if "blas" in path.parts else "other", architecture, path)
    kernel.restype = configuration.restype = ctypes.c_char_p
    version = re.search(r"OpenBLAS (\d\S*)", configuration().decode())
    return Blas("openblas", kernel().decode(), path, version[1] if version else "")
