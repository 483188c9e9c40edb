"""The portable engines against Caffe, over the whole corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe import Classifier, EngineUnavailable
from nsfw_caffe.model.locate import ModelFiles
from nsfw_caffe.results.record import THRESHOLDS

pytestmark = pytest.mark.slow

TOLERANCE = 5e-6


def differences(portable: Classifier, scores: dict[Path, float]) -> tuple[np.ndarray, int]:
    """Return each file's difference to Caffe, and how many verdicts change at any of the thresholds."""
    results = list(portable.scan(scores))
    assert all(result.error is None for result in results)
    found, expected = np.array([result.score for result in results]), np.array(list(scores.values()))
    changed = sum(int(((found >= threshold) != (expected >= threshold)).sum()) for threshold in THRESHOLDS)
    return np.abs(found - expected), changed


def describe(differences: np.ndarray, changed: int) -> str:
    maximum, mean, percentile = differences.max(), differences.mean(), np.percentile(differences, 99)
    return (
        f"{len(differences)} files: max {maximum:.1e}, mean {mean:.1e}, 99th percentile {percentile:.1e}, "
        f"{changed} verdicts changed at {THRESHOLDS}"
    )


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_float32(name: str, model_files: ModelFiles, scores: dict[Path, float]) -> None:  # noqa: ARG001
    try:
        portable = Classifier(engine=name)
    except EngineUnavailable as error:  # the Docker image has no OpenVINO
        pytest.skip(str(error))
    found, changed = differences(portable, scores)
    print(f"{name}, float32: {describe(found, changed)}")
    assert found.max() <= TOLERANCE
    assert changed == 0


def test_bfloat16(model_files: ModelFiles, scores: dict[Path, float]) -> None:  # noqa: ARG001
    try:
        portable = Classifier(engine="openvino", precision="bfloat16")
    except EngineUnavailable as error:
        pytest.skip(str(error))
    found, changed = differences(portable, scores)
    print(f"openvino, bfloat16: {describe(found, changed)}")
    assert found.max() < 0.05
    assert found.mean() < 0.005
