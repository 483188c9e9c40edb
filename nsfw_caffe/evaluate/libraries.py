"""The libraries that evaluation needs and the rest does not."""

from __future__ import annotations

import importlib
import platform
from typing import Any

from nsfw_caffe._version import __version__
from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.system.extras import install_hint


def load(module: str, library: str = "scikit-learn") -> Any:  # noqa: ANN401 - a module without stubs
    """Import a module of a library, or of SciPy, which scikit-learn brings; EvaluationError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EvaluationError(f"evaluation needs {library}: {install_hint('evaluate')}") from error


def check_libraries() -> None:
    """Find out before the work whether what evaluation needs is there; EvaluationError says how to install it."""
    load("sklearn")
    load("pyarrow", "pyarrow")


def library_versions() -> dict[str, str]:
    """Return the versions of what computes an evaluation."""
    others = {"numpy": "numpy", "scikit-learn": "sklearn", "SciPy": "scipy"}
    return {
        "nsfw_caffe": __version__,
        "Python": platform.python_version(),
        **{name: str(load(module).__version__) for name, module in others.items()},
    }
