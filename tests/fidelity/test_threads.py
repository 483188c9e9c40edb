"""Threads that share a Classifier get the scores that one alone gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nsfw_caffe import Classifier

pytestmark = pytest.mark.slow

THREADS = 4
SCORES = 100


def test_four_threads_on_one_classifier(classifier: Classifier, scores: dict[Path, float]) -> None:
    paths = list(scores)[:: len(scores) // SCORES][:SCORES]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(classifier.classify, paths))
    assert len(found) == SCORES
    assert found == [scores[path] for path in paths]
