"""Columns of a table in a file, as Arrow columns: tens of millions of rows in seconds."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from nsfw_caffe.errors import EvaluationError, LabelsUnreadable, NsfwCaffeError, ResultsError, ResultsUnreadable
from nsfw_caffe.results.formats import read_columns

if TYPE_CHECKING:
    import pyarrow

NUMBERS = frozenset({"score"})
"""Columns that are numbers; all others are read as text."""


def read_table(path: Path, columns: Collection[str]) -> pyarrow.Table:
    """Read those of some columns that a table has, see `read_columns`; `score` is float64, and the others are text.

    Raises
    ------
    LabelsUnreadable
        The file cannot be read, or is no table.
    EvaluationError
        Its ending is no table's.
    NsfwCaffeError
        pyarrow is missing.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise NsfwCaffeError("evaluation needs pyarrow: pip install 'nsfw-caffe[evaluate]'") from error
    try:
        return read_columns(path, {name: float if name in NUMBERS else str for name in columns})
    except ResultsUnreadable as error:
        raise LabelsUnreadable(str(error)) from error
    except ResultsError as error:
        raise EvaluationError(str(error)) from error
