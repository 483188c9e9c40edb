"""How pictures are scored is one object: checked when it is made, and the same wherever it goes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe import Limits, ScoringOptions
from nsfw_caffe.results.record import Provenance
from tests.support import run


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "onnxrutime"}, "engine='onnxrutime': expected one of caffe, onnxruntime, openvino, auto"),
        ({"blas": "mkl"}, "blas='mkl': expected one of system, atlas"),
        ({"blas": "atlas"}, "blas='atlas' goes with engine='caffe' and device='cpu'"),
        ({"blas": "atlas", "engine": "caffe", "device": "gpu:0"}, "blas='atlas' goes with"),
        ({"device": "cuda"}, "device='cuda': expected 'cpu' or 'gpu:N'"),
        ({"device": "cpu:0"}, "device='cpu:0': expected"),
        ({"threads": 0}, "threads=0: expected 1 or more"),
    ],
)
def test_what_goes_with_nothing_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScoringOptions(**options)


def test_a_gpu_under_both_its_names() -> None:
    assert ScoringOptions(device="cuda:1") == ScoringOptions(device="gpu:1") != ScoringOptions(device="gpu:0")
    assert (ScoringOptions(device="cuda:1").gpu, ScoringOptions().gpu) == (1, None)


def test_it_is_frozen_and_a_key() -> None:
    options = ScoringOptions(limits=Limits(side=9))
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.threads = 2  # type: ignore[misc]
    assert {options: 1}[ScoringOptions(limits=Limits(side=9))] == 1


def test_what_is_recorded_tells_what_changes_scores() -> None:
    def recorded(**changes: Any) -> Provenance:
        return Provenance.of(ScoringOptions(**{"engine": "caffe"} | changes), "ab" * 32)

    changes: list[dict[str, Any]] = [
        {}, {"engine": "openvino"}, {"device": "gpu:0"}, {"decode": "fast"}, {"jpeg": "ijg9d"}, {"blas": "atlas"},
        {"engine": "openvino", "precision": "bfloat16"},
    ]  # fmt: skip
    assert len({recorded(**change) for change in changes}) == len(changes)
    assert recorded(threads=1, limits=Limits.none()) == recorded()
    assert recorded(device="gpu:0") == recorded(device="cuda:1")


@pytest.mark.slow
def test_a_misspelt_engine_fails_mypy(tmp_path: Path) -> None:
    file = tmp_path / "users.py"
    file.write_text(
        "from nsfw_caffe import Classifier, ScoringOptions\n"
        'Classifier(engine="onnxrutime")\n'
        'Classifier(engine="onnxruntime", precision="float32", jpeg="pillow", decode="fast", device="gpu:0")\n'
        'Classifier(precision="half")\n'
        'ScoringOptions(decode="quick")\n'
        'Classifier.published(jpeg="turbo")\n'
    )
    child = run("-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={tmp_path}", file)
    found = [line.split(":")[1] for line in child.stdout.splitlines() if "error:" in line]
    assert found == ["2", "4", "5", "6"], child.stdout
