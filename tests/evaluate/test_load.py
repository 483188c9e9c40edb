from __future__ import annotations

import dataclasses
import json
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.labelled import LabelledScores, to_labelled_scores
from nsfw_caffe.evaluate.load import look_up, pair, read_labelled, read_scores, scores_of
from nsfw_caffe.results.formats import write_results
from tests.records import RECORD, failed, scored

ROWS: list[dict[str, Any]] = [
    {"source": "a", "label": "nsfw", "score": 0.9, "camera": "x"},
    {"source": "b", "label": "SFW", "score": 0.1, "camera": "y"},
    {"source": "c", "label": "1", "score": 1 / 3, "camera": "x"},
    {"source": "d", "label": "0", "score": 0.0, "camera": None},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".sqlite":
        with sqlite3.connect(path) as database:
            database.execute(f"CREATE TABLE results ({', '.join(rows[0])})")
            places = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO results VALUES ({places})", [tuple(row.values()) for row in rows])
        database.close()
    else:
        cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
        path.write_text("\n".join(",".join(row) for row in [list(rows[0]), *cells]) + "\n")
    return path


def load(path: Path, *by: str) -> LabelledScores:
    return to_labelled_scores(read_labelled(path, by), path.name, by)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_every_format(tmp_path: Path, ending: str) -> None:
    data = load(write(tmp_path / f"d.{ending}", ROWS), "camera")
    assert data.labels.tolist() == [True, False, True, False]
    assert data.scores.tolist() == [0.9, 0.1, 1 / 3, 0.0]
    assert list(data.sources or []) == ["a", "b", "c", "d"]
    assert data.groups["camera"].tolist() == ["x", "y", "x", ""]
    assert (data.repeats, data.failures, data.name) == (0, [], f"d.{ending}")


@pytest.mark.parametrize("labels", [[1, 0, 1, 0], [True, False, True, False]], ids=["numbers", "truth values"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_labels_of_other_types(tmp_path: Path, ending: str, labels: list[object]) -> None:
    rows = [row | {"label": label} for row, label in zip(ROWS, labels, strict=True)]
    assert load(write(tmp_path / f"d.{ending}", rows)).labels.tolist() == [True, False, True, False]


def test_scores_alone(tmp_path: Path) -> None:
    rows = [{"label": row["label"], "score": row["score"]} for row in ROWS]
    data = load(write(tmp_path / "d.csv", rows))
    assert data.sources is None
    assert data.scores.tolist() == [0.9, 0.1, 1 / 3, 0.0]


def test_repeats_count_once_and_failures_are_kept_apart(tmp_path: Path) -> None:
    rows = [*ROWS, ROWS[0], ROWS[1], {"source": "e", "label": "sfw", "score": None, "camera": "x"}]
    data = load(write(tmp_path / "d.parquet", rows))
    assert list(data.sources or []) == ["a", "b", "c", "d"]
    assert data.repeats == 2
    assert data.failures == [("e", "it has no score")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"source": "a", "label": "sfw", "score": 0.9}, "d.parquet: a is labelled both nsfw and sfw: decide for one"),
        ({"source": "a", "label": "nsfw", "score": 0.8}, "d.parquet: a is there with two scores: decide for one"),
        ({"source": "e", "label": "nsfw", "score": 1.5}, "a score is 1.5, not a number from 0 to 1 .1 such rows"),
        ({"source": "e", "label": "nsfw", "score": float("nan")}, "a score is nan, not a number"),
        ({"source": "e", "label": "maybe", "score": 0.5}, "'maybe' is no label: use nsfw and sfw, or 1 and 0"),
        ({"source": "e", "label": None, "score": 0.5}, "1 rows have no label"),
        ({"source": None, "label": "sfw", "score": 0.5}, "1 rows have no source"),
    ],
)
def test_rows_that_do_not_do(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        load(write(tmp_path / "d.parquet", [*ROWS, row | {"camera": "x"}]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", "source,label\n", "there is no column score"),
        ("d.csv", "score,label\n", "there are no rows"),
        ("d.csv", "source,score\na,0.5\n", "there is no column label"),
        ("d.csv", "label\nsfw\n", "there is neither a column source nor a column score"),
        ("d.csv", "label,score\nsfw,much\n", "d.csv: .*much"),
        ("d.csv", "label,label,score\nsfw,sfw,1\n", "d.csv: it has more than one column label: keep one"),
        ("d.csv", "", "d.csv: "),
        ("d.jsonl", "{", "d.jsonl: "),
        ("d.parquet", "no Parquet", "d.parquet: "),
        ("d.sqlite", "no SQLite" * 100, "d.sqlite: no SQLite database, or a damaged one: file is not a database"),
        ("d.txt", "", "its ending says no format: use .csv, .jsonl, .parquet or .sqlite"),
    ],
)
def test_files_that_do_not_do(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(EvaluationError, match=message):
        load(tmp_path / name)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_no_such_file(tmp_path: Path, ending: str) -> None:
    with pytest.raises(EvaluationError, match=rf"missing\.{ending}: "):
        load(tmp_path / f"missing.{ending}")


def test_a_column_for_groups_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="there is no column language"):
        load(write(tmp_path / "d.csv", ROWS), "language")


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_labels_with_a_scan(tmp_path: Path, ending: str) -> None:
    odd = 'o\udcff,\n"d'
    records = [
        scored("b", 0.2, sha256="11" * 32), scored(odd, 0.7, sha256="22" * 32), failed("e", "the file is empty"),
        scored("unlabelled", 0.5), scored("a", 0.9, sha256="22" * 32),
    ]  # fmt: skip
    write_results(tmp_path / f"r.{ending}", records)
    labels = [
        scored("a", 0, error="x"), scored("b", 0), scored("e", 0), scored("missing", 0), scored(odd, 0),
    ]  # fmt: skip
    write_results(tmp_path / "l.jsonl", labels)
    lines = (tmp_path / "l.jsonl").read_text().splitlines()
    marked = [json.loads(line) | {"label": number % 2} for number, line in enumerate(lines)]
    path = write(tmp_path / "labels.jsonl", [{key: row[key] for key in ("source", "label")} for row in marked])
    scores = read_scores(tmp_path / f"r.{ending}", ["format"])
    table = look_up(read_labelled(path, ["format"]), scores, "r")
    data = to_labelled_scores(table, "both", ["format"])
    assert list(data.sources or []) == ["a", "b", odd]
    assert data.labels.tolist() == [False, True, False]
    assert data.scores.tolist() == [0.9, 0.2, 0.7]
    assert data.failures == [("e", "the file is empty"), ("missing", "not in r")]
    assert data.groups["format"].tolist() == ["JPEG"] * 3
    assert (data.same_content, data.contradictions) == (1, 0)
    assert data.set_ups == (RECORD.set_up,)
    assert data.versions == (RECORD.version,)


def test_records_give_what_their_file_gives(tmp_path: Path) -> None:
    records = [scored("b", 0.2), failed("e", "x"), dataclasses.replace(scored("c", 0.3), frames=4)]
    write_results(tmp_path / "r.parquet", records)
    read = read_scores(tmp_path / "r.parquet", ["format"])
    assert scores_of(records, ["format"]).select(read.column_names).to_pylist() == read.to_pylist()


def test_no_source_in_the_scan(tmp_path: Path) -> None:
    labelled = read_labelled(write(tmp_path / "d.csv", ROWS))
    with pytest.raises(EvaluationError, match=r"none of the labelled sources is in r\.csv: their names have to be"):
        look_up(labelled, scores_of([scored("x", 0.5)]), "r.csv")


def test_content_with_both_labels_is_counted(tmp_path: Path) -> None:
    rows = [row | {"sha256": digest} for row, digest in zip(ROWS, ["1", "1", "2", "3"], strict=True)]
    data = load(write(tmp_path / "d.csv", rows))
    assert (data.same_content, data.contradictions) == (1, 1)


def test_many_rows(tmp_path: Path) -> None:
    count = 300_000
    rng = np.random.default_rng(1)
    table = pyarrow.table(
        {"source": [f"{n}" for n in range(count)], "label": rng.integers(0, 2, count), "score": rng.random(count)}
    )
    pyarrow.parquet.write_table(table, tmp_path / "d.parquet")
    data = load(tmp_path / "d.parquet")
    assert data.scores.tolist() == table["score"].to_pylist()
    assert data.labels.sum() == sum(table["label"].to_pylist())


def test_pairs_are_the_sources_with_both_scores(tmp_path: Path) -> None:
    labelled = read_labelled(write(tmp_path / "d.csv", [*ROWS, ROWS[0]]))
    first, second, other = tmp_path / "a.csv", tmp_path / "b.parquet", tmp_path / "c.sqlite"
    write_results(first, [scored("d", 0.4), scored("a", 0.1), scored("b", 0.2), failed("c", "x"), scored("e", 0.5)])
    write_results(second, [scored("b", 0.3), scored("a", 0.2), scored("c", 0.7)])
    write_results(other, [scored("c", 0.3)])
    a, b = pair(labelled, first, second)
    assert list(a.sources or []) == list(b.sources or []) == ["a", "b"]
    assert (a.scores.tolist(), b.scores.tolist()) == ([0.1, 0.2], [0.2, 0.3])
    assert a.labels.tolist() == b.labels.tolist() == [True, False]
    with pytest.raises(EvaluationError, match=r"no labelled source has a score in both .*a\.csv and .*c\.sqlite"):
        pair(labelled, first, other)
