"""Scores with labels, what an evaluation is made from, and how they are taken out of a table: each source once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.results.names import decode_name
from nsfw_caffe.results.record import DEFAULTS, Provenance

if TYPE_CHECKING:
    import pyarrow

Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelledScores:
    """Scores of n labelled sources, and what was left out.

    Attributes
    ----------
    labels : numpy.ndarray
        bool, (n,): True for nsfw.
    scores : numpy.ndarray
        float64, (n,): NSFW probabilities, 0 to 1.
    sources : sequence of str, optional
        n names: paths, or ``archive!member``; None where the data has none.
    groups : mapping
        For each column that strata are asked for, its n values, as text.
    failures : sequence of tuple
        The labelled sources without a score, with what is wrong with each: left out of all figures.
    repeats, same_content, contradictions : int
        Sources that were there more than once with the same label, counted once; sources with the content of another
        one, which are counted; contents that some sources have with the label nsfw and others with sfw.
    set_ups, versions : sequence
        The `Provenance` of each set-up that made the scores, and this library's versions, where they are known.
    name : str
        What the data is called in a report.
    """

    labels: Labels
    scores: Scores
    sources: Sequence[str] | None = None
    groups: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    failures: Sequence[tuple[str, str]] = ()
    repeats: int = 0
    same_content: int = 0
    contradictions: int = 0
    set_ups: Sequence[Provenance] = ()
    versions: Sequence[str] = ()
    name: str = ""


def to_labelled_scores(table: pyarrow.Table, name: str, by: Sequence[str] = ()) -> LabelledScores:
    """Take the labelled scores out of a table: each source once, those without a score apart.

    EvaluationError: there is no score at all, a source has two labels or two scores, or a score is none.
    """
    import pyarrow.compute as compute

    require(table, ["score", *by], name)
    if not len(table):
        raise EvaluationError(f"{name}: there are no rows")
    rows = len(table)
    if "source" in table.column_names:
        table = _once_each(table, name)
    repeats = rows - len(table)
    missing = compute.is_null(table["score"], nan_is_null=False)
    failures = _failures(table.filter(missing))
    table = table.filter(compute.invert(missing))
    scores = table["score"].to_numpy()
    bad = ~((scores >= 0) & (scores <= 1))
    if bad.any():
        raise EvaluationError(f"{name}: a score is {scores[bad][0]}, not a number from 0 to 1 ({bad.sum()} such rows)")
    same, contradictions = _contents(table)
    return LabelledScores(
        labels=table["label"].to_numpy(),
        scores=scores,
        sources=Names(table["source"].combine_chunks()) if "source" in table.column_names else None,
        groups={column: np.asarray(table[column].fill_null("").to_pylist(), dtype=np.str_) for column in by},
        failures=failures,
        repeats=repeats,
        same_content=same,
        contradictions=contradictions,
        set_ups=_set_ups(table),
        versions=_versions(table),
        name=name,
    )


class Names(Sequence[str]):
    """Names in an Arrow column, which takes less memory than a list of str."""

    def __init__(self, names: pyarrow.Array) -> None:
        self.column = names

    def __len__(self) -> int:
        return len(self.column)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [decode_name(name) for name in self.column[index].to_pylist()]
        return decode_name(self.column[int(index)].as_py())


def require(table: pyarrow.Table, columns: Iterable[str], where: object) -> None:
    """Raise an EvaluationError if a table lacks one of some columns."""
    for name in columns:
        if name not in table.column_names:
            raise EvaluationError(f"{where}: there is no column {name}")


def _once_each(table: pyarrow.Table, name: str) -> pyarrow.Table:
    """Drop repeated rows of a source; where they contradict each other, that is an error."""
    codes = table["source"].combine_chunks().dictionary_encode().indices
    if codes.null_count:
        raise EvaluationError(f"{name}: {codes.null_count} rows have no source")
    numbers = codes.to_numpy()
    distinct, first = np.unique(numbers, return_index=True)
    if len(distinct) == len(table):
        return table
    label, score = table["label"].to_numpy(), table["score"].to_numpy()
    original = first[numbers]  # the codes are 0, 1, 2, ..., so they index `first`
    none = np.isnan(score)
    conflicts = {
        "labelled both nsfw and sfw": label != label[original],
        "there with two scores": (score != score[original]) & ~(none & none[original]),
    }
    for what, differs in conflicts.items():
        if differs.any():
            source = decode_name(table["source"][int(np.flatnonzero(differs)[0])].as_py())
            raise EvaluationError(f"{name}: {source} is {what}: decide for one")
    return table.take(np.sort(first))


def _failures(table: pyarrow.Table) -> list[tuple[str, str]]:
    errors = table["error"].to_pylist() if "error" in table.column_names else [None] * len(table)
    sources = table["source"].to_pylist() if "source" in table.column_names else ["a row"] * len(table)
    return [
        (decode_name(source), decode_name(error or "it has no score"))
        for source, error in zip(sources, errors, strict=True)
    ]


def _contents(table: pyarrow.Table) -> tuple[int, int]:
    """Count sources that have the content of another one, and contents with both labels."""
    if "sha256" not in table.column_names:
        return 0, 0
    known = table.select(["sha256", "label"]).drop_null()
    hashes = known["sha256"].combine_chunks().dictionary_encode().indices.to_numpy()
    labels = known["label"].to_numpy()
    count = len(np.unique(hashes))
    both = np.intersect1d(hashes[labels], hashes[~labels])
    return len(hashes) - count, len(both)


def _versions(table: pyarrow.Table) -> tuple[str, ...]:
    return tuple(sorted(table["version"].unique().drop_null().to_pylist())) if "version" in table.column_names else ()


def _set_ups(table: pyarrow.Table) -> tuple[Provenance, ...]:
    names = [name for name in Provenance._fields if name in table.column_names]
    required = [name for name in Provenance._fields if name not in DEFAULTS]
    if not set(required) <= set(names):
        return ()
    rows = table.select(names).group_by(names).aggregate([]).to_pylist()
    known = (row for row in rows if None not in (row[name] for name in required))
    return tuple(sorted({Provenance.of_row(row | _numbers(row)) for row in known}, key=str))


def _numbers(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what of a set-up is no text: it was read as text."""
    every = row.get("every")
    return {"frames": int(row["frames"]), "every": float(every) if every else None}
