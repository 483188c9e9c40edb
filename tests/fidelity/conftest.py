"""The corpus and what the original's steps make of it, once for the whole run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nsfw_caffe.model.spec import ModelFiles
from tests.fidelity import corpus
from tests.fidelity.oracle import Expected, Oracle, sha256
from tests.support import made_once


@pytest.fixture(scope="session")
def corpus_paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(made_once(tmp_path_factory, "corpus", corpus.generate).iterdir())


@pytest.fixture(scope="session")
def expected(
    corpus_paths: list[Path], model_files: ModelFiles, tmp_path_factory: pytest.TempPathFactory
) -> dict[Path, Expected]:
    """Return the answers for the files that the original can read."""

    def ask(folder: Path) -> None:
        oracle = Oracle(model_files.prototxt, model_files.caffemodel)
        answers = {}
        for path in corpus_paths:
            try:
                tensor = oracle.tensor(path.read_bytes())
            except OSError:
                continue
            answers[path.name] = sha256(tensor), oracle.score(tensor)
        (folder / "answers.json").write_text(json.dumps(answers))  # a float's repr has all of its bits

    answers = json.loads((made_once(tmp_path_factory, "oracle", ask) / "answers.json").read_text())
    return {path: Expected(*answers[path.name]) for path in corpus_paths if path.name in answers}


@pytest.fixture(scope="session")
def scores(expected: dict[Path, Expected]) -> dict[Path, float]:
    return {path: answer.score for path, answer in expected.items()}


@pytest.fixture(scope="session")
def unreadable(corpus_paths: list[Path], expected: dict[Path, Expected]) -> list[Path]:
    return [path for path in corpus_paths if path not in expected]
