"""Solvers that train together, with the real Caffe, and without Spark."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.spark.connections import listen
from nsfw_caffe.spark.ranks import part_of
from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.training.feeding import shard_of
from nsfw_caffe.training.solving import SolverJob, SolverResult, result_of, run_child, solve
from tests.training.networks import PICTURES, make_job

BATCH = 8


def run_ranks(job: SolverJob, ranks: int, folder: Path, weights: list[Path] | None = None) -> list[SolverResult]:
    """Have ranks do a job, each with its pictures alone, or weights of its own too; the first one's error is raised."""
    part = part_of(job, ranks)
    assert part.share is not None
    assert job.pictures is not None
    pictures = json.loads(Path(job.pictures).read_text())
    listeners = [listen("127.0.0.1") for _ in range(ranks)]
    group = {
        "addresses": [("127.0.0.1", listener.getsockname()[1]) for listener in listeners],
        "key": secrets.token_hex(32),
        "timeout": 20.0,
    }

    def run(rank: int) -> SolverResult:
        assert part.share is not None
        place = folder / str(rank)
        place.mkdir(parents=True)
        mine = [one for row, one in enumerate(pictures) if shard_of(row, BATCH, ranks) == rank]
        (place / "pictures.json").write_text(json.dumps(mine))
        paths: dict[str, Any] = {"net": job.net, "folder": str(place), "pictures": str(place / "pictures.json")}
        start = job.weights if weights is None else str(weights[rank])
        mine_to_do = dataclasses.replace(
            part, share=part.share._replace(rank=rank), weights=start, prefetch_workers=1, **paths
        )
        descriptor = listeners[rank].fileno()
        run_child(
            mine_to_do,
            {},
            None,
            program="spark.rank_worker",
            group=group | {"rank": rank, "listener": descriptor},
            descriptors=[descriptor],
        )
        return result_of(mine_to_do)

    with contextlib.ExitStack() as listening, ThreadPoolExecutor(ranks) as pool:
        for listener in listeners:
            listening.enter_context(listener)
        return list(pool.map(run, range(ranks)))


def weights_of(path: Path) -> np.ndarray[Any, Any]:
    blobs = [blob_values(blob) for layer in read_caffemodel(path).layer for blob in layer.blobs]
    return np.concatenate([values.reshape(-1).astype(np.float64) for values in blobs])


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> SolverJob:
    return make_job(tmp_path_factory.mktemp("ranks"), PICTURES, batch_size=BATCH, snapshot_every=0)


@pytest.fixture(scope="module")
def start(job: SolverJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give weights to begin with: no step is that small."""
    folder = tmp_path_factory.mktemp("start")
    return solve(dataclasses.replace(job, folder=str(folder), iterations=1, base_rate=1e-30, decay=0.0)).caffemodel


def test_the_mean_of_two_gradients_is_the_gradient_of_the_whole_batch(
    job: SolverJob, start: Path, tmp_path: Path
) -> None:
    """A step without momentum and decay is the gradient."""
    step = dataclasses.replace(job, weights=str(start), iterations=1, base_rate=1.0, momentum=0.0, decay=0.0)
    gradients = [
        weights_of(run_ranks(step, ranks, tmp_path / str(ranks))[0].caffemodel) - weights_of(start) for ranks in (1, 2)
    ]
    one, two = gradients
    assert np.linalg.norm(one) > 0.01
    assert np.linalg.norm(one - two) < 1e-6 * np.linalg.norm(one)


def test_ranks_have_the_same_bits_after_fifty_iterations(job: SolverJob, tmp_path: Path) -> None:
    """And the losses of one solver with the whole batch."""
    long = dataclasses.replace(job, iterations=50, base_rate=0.01)
    (one,) = run_ranks(long, 1, tmp_path / "one")
    first, second = run_ranks(long, 2, tmp_path / "two")
    assert file_sha256(first.caffemodel) == file_sha256(second.caffemodel)
    assert [line.loss for line in first.history] == [line.loss for line in second.history]
    assert [line.loss for line in first.history] == pytest.approx([line.loss for line in one.history], abs=1e-5)
    assert one.history[-1].loss < one.history[0].loss
    assert all(0 < line.exchange < line.seconds for line in first.history)


def test_weights_that_have_come_apart_are_an_error(job: SolverJob, start: Path, tmp_path: Path) -> None:
    """As processors do it that compute differently; here, only one of the ranks begins with these weights."""
    other = tmp_path / "other.caffemodel"
    weights = read_caffemodel(start)
    layer = next(layer for layer in weights.layer if layer.name == "fc")
    layer.blobs[0].data[0] += 1
    other.write_bytes(weights.SerializeToString())
    with pytest.raises(TrainingError, match="the solvers' weights are not the same any more"):
        run_ranks(dataclasses.replace(job, iterations=1), 2, tmp_path / "ranks", [start, other])


def test_a_batch_that_cannot_be_shared_is_refused(job: SolverJob) -> None:
    with pytest.raises(TrainingError, match="a batch of 8 cannot be shared by 3 workers: take a multiple of them"):
        part_of(job, 3)
    many = dataclasses.replace(job, batch_size=16)
    with pytest.raises(TrainingError, match="a batch of 16 is more than the 12 pictures there are"):
        part_of(many, 2)
    part = part_of(dataclasses.replace(job, batch_size=4, iter_size=2), 1)
    assert (part.batch_size, part.iter_size) == (4, 2)
