"""What training more than the last layer is said to cost, held against what it has cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.training.cost import cut_batch, fitting_batch, solver_memory
from nsfw_caffe.training.network import read_training_network
from nsfw_caffe.training.training_form import training_form

MEASURED = {
    ("all", 1): 380,
    ("all", 4): 910,
    ("all", 8): 1616,
    ("all", 16): 3029,
    ("stage2", 8): 1138,
    ("last", 8): 990,
}
"""MiB that a process had at most after three updates of the original network, pycaffe on OpenBLAS, x86-64."""


@pytest.mark.parametrize(("learning", "batch_size"), list(MEASURED))
def test_memory_is_estimated_as_it_was_measured(
    learning: str, batch_size: int, tmp_path: Path, model_files: ModelFiles
) -> None:
    form = training_form(read_prototxt(model_files.prototxt), learning=learning, weighted=True)
    (tmp_path / "train.prototxt").write_text(text_format.MessageToString(form))
    found = solver_memory(read_training_network(tmp_path / "train.prototxt", batch_size)) >> 20
    assert found == pytest.approx(MEASURED[learning, batch_size], rel=0.02)


@pytest.mark.parametrize(
    ("batch_size", "fitting", "parts"),
    [(16, 8, (8, 2)), (16, 16, (16, 1)), (17, 8, (6, 3)), (5, 8, (5, 1)), (8, 1, (1, 8))],
)
def test_a_batch_is_cut_into_equal_parts_that_fit(batch_size: int, fitting: int, parts: tuple[int, int]) -> None:
    assert cut_batch(batch_size, fitting) == parts


def test_as_many_pictures_at_once_are_taken_as_memory_has_room_for() -> None:
    one, two = 400 << 20, 576 << 20
    assert fitting_batch(one, two, 64 << 30) == 8
    assert fitting_batch(one, two, 1 << 30) == 3
    with pytest.raises(TrainingError, match=r"takes about 0\.4 GB for one picture at a time, and there are 0\.3 GB"):
        fitting_batch(one, two, 1 << 28)
