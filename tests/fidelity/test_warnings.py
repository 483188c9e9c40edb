"""The command line over the whole corpus, with a user's filters that make errors of all warnings."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.support import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def plain(corpus_paths: list[Path]) -> list[str]:
    """Return the lines of scores without such filters."""
    return run("-m", "nsfw_caffe", "classify", "--engine", "onnxruntime", *corpus_paths).stdout.splitlines()


def names_a_picture(line: str, folder: Path) -> bool:
    return line.startswith(f"nsfw-caffe: {folder}/")


def test_classify(corpus_paths: list[Path], plain: list[str]) -> None:
    child = run("-W", "error", "-m", "nsfw_caffe", "classify", "--engine", "onnxruntime", *corpus_paths)
    assert child.stdout.splitlines() == plain
    lines = child.stderr.splitlines()
    assert len(lines) == len(corpus_paths) - len(plain)
    assert [line for line in lines if not names_a_picture(line, corpus_paths[0].parent)] == []


def test_scan(corpus_paths: list[Path], plain: list[str], tmp_path: Path) -> None:
    results, folder = tmp_path / "results.csv", corpus_paths[0].parent
    options: list[str | Path] = ["--engine", "onnxruntime", "--workers", "2", "--verbose", "-o", results]
    child = run("-W", "error", "-m", "nsfw_caffe", "scan", *options, folder)
    lines = child.stderr.splitlines()
    assert lines
    assert [line for line in lines if not names_a_picture(line, folder)] == []
    with results.open(newline="") as file:
        scores = {row["source"]: row["score"] for row in csv.DictReader(file) if row["score"]}
    assert scores == {path: score for score, path in (line.split("\t") for line in plain)}


def test_workers(corpus_paths: list[Path], tmp_path: Path) -> None:
    """Caffe's workers are programs of their own, with filters of their own."""
    few, results = [*corpus_paths[::8]], tmp_path / "results.csv"
    listed = tmp_path / "list"
    listed.write_text("\n".join(map(str, few)))
    scan: list[str | Path] = ["scan", "--engine", "caffe", "--workers", "2", "--verbose", "--list", listed, "-o"]
    child = run("-W", "error", "-m", "nsfw_caffe", *scan, results)
    assert [line for line in child.stderr.splitlines() if not names_a_picture(line, few[0].parent)] == []
