"""Every way through the library gives the original's bits, over the whole corpus."""

from __future__ import annotations

import functools
import runpy
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import nsfw_caffe
from nsfw_caffe import Classifier, ImageError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.fidelity.oracle import Expected, sha256

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "classify_nsfw.py"
FEWEST_FILES = 300
BATCH_SIZES = (1, 2, 5, 8, 33)
"""Alone, few, and more than four, from where on Caffe would round a batch differently; none divides the corpus."""


def assert_same(found: Mapping[Path, float], scores: Mapping[Path, float]) -> None:
    assert found.keys() == scores.keys()
    bits = {path.name: _differing_bits(found[path], score) for path, score in scores.items()}
    print(f"{len(bits)} files, {sum(bits.values())} differing bits")
    assert not {name: count for name, count in bits.items() if count}


def _differing_bits(one: float, other: float) -> int:
    (first,), (second,) = (struct.unpack("<Q", struct.pack("<d", score)) for score in (one, other))
    return int(first ^ second).bit_count()


def test_corpus_is_large_and_has_files_that_cannot_be_read(scores: dict[Path, float], unreadable: list[Path]) -> None:
    print(f"{len(scores)} files with a score, {len(unreadable)} that cannot be read")
    assert len(scores) >= FEWEST_FILES
    assert len(set(scores.values())) >= FEWEST_FILES // 2
    assert len(unreadable) >= 10


def test_preprocess(expected: dict[Path, Expected]) -> None:
    codec = PillowCodec()
    differing = [path.name for path in expected if sha256(preprocess(path, codec)) != expected[path].tensor_sha256]
    assert not differing


def test_what_cannot_be_read_is_an_image_error(classifier: Classifier, unreadable: list[Path]) -> None:
    for path in unreadable:
        with pytest.raises(ImageError):
            classifier.classify(path)


def test_classify_batch(classifier: Classifier, scores: dict[Path, float]) -> None:
    """Every file goes into one batch: all of them in every size would show the same network at work five times."""
    found: dict[Path, float] = {}
    for place, size in enumerate(BATCH_SIZES):
        paths = list(scores)[place :: len(BATCH_SIZES)]  # of every kind of file, for these follow one another
        assert len(paths) > 2 * size
        for start in range(0, len(paths), size):
            batch = paths[start : start + size]
            found |= zip(batch, classifier.classify_batch(batch), strict=True)
    assert_same(found, scores)


@pytest.mark.parametrize(("workers", "every"), [(1, 6), (2, 1), (3, 6)])
def test_scan(
    classifier: Classifier, corpus_paths: list[Path], scores: dict[Path, float], workers: int, every: int
) -> None:
    """Two score all files, in processes; one is the way of `classify`, and a third only changes who does what."""
    paths = corpus_paths[::every]
    results = list(classifier.scan(paths, workers=workers))
    assert [result.source for result in results] == paths
    assert all((result.score is None) != (result.error is None) for result in results)
    found = {path: result.score for path, result in zip(paths, results, strict=True) if result.score is not None}
    assert_same(found, {path: scores[path] for path in paths if path in scores})


def test_classify_in_the_example(
    model_files: ModelFiles,
    scores: dict[Path, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it prints is what `classify` returns, so that this is the test of both."""
    # One network for all calls: loading it for each would take minutes.
    monkeypatch.setattr(nsfw_caffe, "Classifier", functools.cache(Classifier))
    main = runpy.run_path(str(EXAMPLE))["main"]
    found = {}
    for path in scores:
        main(_arguments(model_files, path))
        found[path] = _printed_score(capsys.readouterr().out)
    assert_same(found, scores)


def test_example_as_a_command(model_files: ModelFiles, scores: dict[Path, float]) -> None:
    paths = list(scores)
    for path in (paths[0], paths[-1]):
        command = [sys.executable, str(EXAMPLE), *_arguments(model_files, path)]
        output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        assert _printed_score(output) == scores[path]


def _arguments(model_files: ModelFiles, path: Path) -> list[str]:
    return ["--model_def", str(model_files.prototxt), "--pretrained_model", str(model_files.caffemodel), str(path)]


def _printed_score(output: str) -> float:
    label, _, score = output.strip().partition("NSFW score:")
    assert not label
    return float(score)
