"""The libraries that training needs and the rest does not."""

from __future__ import annotations

import importlib
from typing import Any

from nsfw_caffe.errors import ResultsError, TrainingError
from nsfw_caffe.report.figures import check_matplotlib
from nsfw_caffe.system.extras import install_hint


def load(module: str) -> Any:  # noqa: ANN401 - a module without stubs
    """Import a module of a library; TrainingError if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise TrainingError(f"training needs {library}: {install_hint('train')}") from error


def check_libraries() -> None:
    """Find out before the work whether what training needs is there; TrainingError says how to install it."""
    for module in ("imagehash", "scipy", "sklearn", "pyarrow"):
        load(module)
    try:
        check_matplotlib("training's report", "train")
    except ResultsError as error:
        raise TrainingError(str(error)) from error
