"""The corpus and what the original's steps make of it, once for the whole run."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsfw_caffe.model import ModelFiles
from tests.fidelity import corpus
from tests.fidelity.oracle import Expected, Oracle, sha256


@pytest.fixture(scope="session")
def corpus_paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return corpus.generate(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def oracle(model_files: ModelFiles) -> Oracle:
    return Oracle(model_files.prototxt, model_files.caffemodel)


@pytest.fixture(scope="session")
def expected(corpus_paths: list[Path], oracle: Oracle) -> dict[Path, Expected]:
    """Return the answers for the files that the original can read."""
    answers = {}
    for path in corpus_paths:
        data = path.read_bytes()
        try:
            answers[path] = Expected(sha256(oracle.tensor(data)), oracle.score(data))
        except OSError:
            continue
    return answers


@pytest.fixture(scope="session")
def scores(expected: dict[Path, Expected]) -> dict[Path, float]:
    return {path: answer.score for path, answer in expected.items()}


@pytest.fixture(scope="session")
def unreadable(corpus_paths: list[Path], expected: dict[Path, Expected]) -> list[Path]:
    return [path for path in corpus_paths if path not in expected]
