"""Labels and scores from tables, from a finished scan, and from the records of a scan."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nsfw_caffe.errors import EvaluationError, LabelsUnreadable, ResultsError, ResultsUnreadable
from nsfw_caffe.evaluate.labelled import LabelledScores, Names, require, to_labelled_scores
from nsfw_caffe.results.formats import read_columns
from nsfw_caffe.results.names import encode_name
from nsfw_caffe.results.record import COLUMNS, Provenance, Record

if TYPE_CHECKING:
    import pyarrow

LABELS = {"nsfw": True, "1": True, "true": True, "sfw": False, "0": False, "false": False}
"""What a label may be, whatever the case of its letters."""

_RESULTS = ("source", "score", "error", "sha256", *Provenance._fields, "version")


def read_table(path: Path, columns: Collection[str]) -> pyarrow.Table:
    """Read those of some columns that a table has, see `read_columns`; `score` is float64, and the others are text.

    LabelsUnreadable: the file is no table or unreadable; EvaluationError: its ending.
    """
    try:
        return read_columns(path, {name: float if name == "score" else str for name in columns})
    except ResultsUnreadable as error:
        raise LabelsUnreadable(str(error)) from error
    except ResultsError as error:
        raise EvaluationError(str(error)) from error


def read_labelled(path: Path, by: Sequence[str] = ()) -> pyarrow.Table:
    """Read a table's `label`, as bool, `source` or `score` or both, and what it has of `by` and a scan's columns."""
    table = read_table(path, {"label", *_RESULTS, *by})
    require(table, ["label"], path)
    if not {"source", "score"} & set(table.column_names):
        raise EvaluationError(f"{path}: there is neither a column source nor a column score")
    labels = _parse_labels(table["label"], path)
    return table.set_column(table.column_names.index("label"), "label", labels)


def read_scores(results: Path, by: Sequence[str] = ()) -> pyarrow.Table:
    """Read a finished scan's RESULTS, and of further columns those that it has."""
    table = read_table(results, {*_RESULTS, *by})
    require(table, ["source", "score"], results)
    return table


def scores_of(records: Sequence[Record], by: Sequence[str] = ()) -> pyarrow.Table:
    """Make the table that `read_scores` would give of records."""
    import pyarrow

    names = dict.fromkeys([*_RESULTS, *(name for name in by if name in COLUMNS)])
    return pyarrow.table({name: _column(name, [getattr(record, name) for record in records]) for name in names})


def _column(name: str, values: list[Any]) -> pyarrow.Array:
    import pyarrow

    if name == "score":
        return pyarrow.array(values, pyarrow.float64())
    return pyarrow.array([None if value is None else encode_name(str(value)) for value in values], pyarrow.string())


def look_up(labelled: pyarrow.Table, scores: pyarrow.Table, where: object) -> pyarrow.Table:
    """Give labelled sources their scores; those that have none become failures, those without a label are left out."""
    import pyarrow
    import pyarrow.compute as compute

    require(labelled, ["source"], "the labels")
    # What both tables have is taken from the scan, but for the groups of the labels' own.
    own = [name for name in labelled.column_names if name == "source" or name not in _RESULTS]
    found = scores.select([name for name in scores.column_names if name == "source" or name not in own])
    if "error" not in found.column_names:
        found = found.append_column("error", pyarrow.nulls(len(found), pyarrow.string()))
    rows = labelled.select(own).append_column("row", pyarrow.array(np.arange(len(labelled))))
    found = found.append_column("found", pyarrow.array(np.ones(len(found), bool)))
    joined = rows.join(found, "source", join_type="left outer").sort_by("row")  # a join keeps no order
    missing = compute.is_null(joined["found"])
    if len(joined) and compute.all(missing).as_py():
        raise EvaluationError(
            f"none of the labelled sources is in {where}: their names have to be those that the scan was given"
        )
    errors = compute.if_else(missing, f"not in {where}", joined["error"])
    return joined.set_column(joined.column_names.index("error"), "error", errors).drop_columns(["row", "found"])


def _parse_labels(column: pyarrow.ChunkedArray, path: Path) -> pyarrow.ChunkedArray:
    import pyarrow

    if column.null_count:
        raise EvaluationError(f"{path}: {column.null_count} rows have no label: give each nsfw or sfw, or leave it out")
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    unknown = [value for value in values if value.strip().lower() not in LABELS]
    if unknown:
        raise EvaluationError(f"{path}: {unknown[0]!r} is no label: use nsfw and sfw, or 1 and 0")
    meaning = np.array([LABELS[value.strip().lower()] for value in values], bool)
    return pyarrow.chunked_array([pyarrow.array(meaning[encoded.indices.to_numpy()])])


def pair(labelled: pyarrow.Table, first: Path, second: Path) -> tuple[LabelledScores, LabelledScores]:
    """Look up labelled sources in two scans' RESULTS: those that have a score in both, in one order."""
    import pyarrow
    import pyarrow.compute as compute

    both = [to_labelled_scores(look_up(labelled, read_scores(path), path), str(path)) for path in (first, second)]
    names = [data.sources.column if isinstance(data.sources, Names) else pyarrow.array([]) for data in both]
    kept = [compute.is_in(mine, value_set=others) for mine, others in zip(names, reversed(names), strict=True)]
    if not compute.any(kept[0]).as_py():
        raise EvaluationError(f"no labelled source has a score in both {first} and {second}")
    one, other = (
        dataclasses.replace(
            data,
            labels=data.labels[mask.to_numpy(zero_copy_only=False)],
            scores=data.scores[mask.to_numpy(zero_copy_only=False)],
            sources=Names(column.filter(mask)),
        )
        for data, column, mask in zip(both, names, kept, strict=True)
    )
    return one, other
