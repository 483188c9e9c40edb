"""Training with the real Caffe: what it gives, going on after a kill with the same bits, and what is refused."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.training import solving
from nsfw_caffe.training.solving import Iteration, SolverJob, SolverResult, solve
from tests.support import run
from tests.training.networks import CLASSES, DROPPING, LAST_LAYER, PICTURES, WEIGHTED, make_job, write_arrays

UNTIL = """
import os, signal, sys
from nsfw_caffe.training.solving import SolverJob, solve

def progress(iteration):
    if iteration.number >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

solve(SolverJob.from_json(sys.argv[1]), resume=True, progress=progress)
"""


def weights_of(path: Path) -> dict[str, list[list[float]]]:
    return {
        layer.name: [blob_values(blob).tolist() for blob in layer.blobs]
        for layer in read_caffemodel(path).layer
        if layer.blobs
    }


def test_it_learns(tmp_path: Path) -> None:
    seen: list[Iteration] = []
    result = solve(make_job(tmp_path, test_every=10), progress=seen.append)
    assert [iteration.number for iteration in seen] == list(range(1, 21))
    assert result.history == tuple(seen)
    assert result.history[-1].loss < 0.1 < 1 < result.history[0].loss
    assert {iteration.rate for iteration in seen} == {0.05}
    assert list(result.kept) == [10, 20]
    assert file_sha256(result.kept[20]) == file_sha256(result.caffemodel)


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    result = solve(job)
    seen: list[Iteration] = []
    assert solve(job, resume=True, progress=seen.append) == result
    assert seen == []


def test_it_starts_from_weights(tmp_path: Path) -> None:
    first = solve(make_job(tmp_path)).caffemodel
    job = make_job(tmp_path, folder=str(tmp_path / "more"), weights=str(first), base_rate=1e-12, decay=0.0)
    (before,), (after,) = (weights_of(path).values() for path in (first, solve(job).caffemodel))
    assert np.abs(np.array(before[0]) - after[0]).max() < 1e-6


def test_several_batches_an_update_are_as_one(tmp_path: Path) -> None:
    """Caffe's iter_size, with rows of their own for each batch."""
    whole = solve(make_job(tmp_path, batch_size=8))
    parts = solve(make_job(tmp_path, batch_size=2, iter_size=4, folder=str(tmp_path / "parts")))
    (wanted,), (found,) = (weights_of(result.caffemodel).values() for result in (whole, parts))
    assert np.allclose(wanted[0], found[0], rtol=0, atol=2e-6)
    for one, other in zip(whole.history, parts.history, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)


def test_class_weights_of_one_change_nothing(tmp_path: Path) -> None:
    plain = solve(make_job(tmp_path))
    weighted = solve(make_job(tmp_path, WEIGHTED, class_weights=(1.0, 1.0, 1.0), folder=str(tmp_path / "weighted")))
    (wanted,), (found,) = (weights_of(result.caffemodel).values() for result in (plain, weighted))
    assert np.allclose(wanted[0], found[0], rtol=0, atol=1e-6)


def test_class_weights_weigh(tmp_path: Path) -> None:
    """After one update from zero weights, the gradient of each row is as many times as great."""
    zero = WEIGHTED.replace('type: "xavier"', 'type: "constant"')
    one, ten = (
        np.array(next(iter(weights_of(solve(job).caffemodel).values()))[1])
        for job in (
            make_job(tmp_path, zero, iterations=1, batch_size=50, class_weights=weights, folder=str(tmp_path / name))
            for name, weights in (("one", (1.0, 1.0, 1.0)), ("ten", (10.0, 10.0, 10.0)))
        )
    )
    assert np.allclose(ten, 10 * one, rtol=1e-4)


@pytest.mark.parametrize("policy", ["step", "exp", "inv", "multistep", "poly", "sigmoid"])
def test_the_rate_that_is_told_is_caffes(policy: str, tmp_path: Path) -> None:
    """With a gradient of zero but for the decay, each update multiplies the weights by 1 - rate * decay."""
    policies: dict[str, dict[str, Any]] = {
        "step": {"gamma": 0.5, "step_size": 3}, "exp": {"gamma": 0.9}, "inv": {"gamma": 0.1, "power": 0.75},
        "multistep": {"gamma": 0.5, "step_values": (2, 5)}, "poly": {"power": 2.0},
        "sigmoid": {"gamma": 0.5, "step_size": 4},
    }  # fmt: skip
    write_arrays(tmp_path / "rows")
    np.save(tmp_path / "rows" / "data.npy", np.zeros((50, 8), np.float32))
    job = make_job(
        tmp_path, policy=policy, base_rate=0.5, momentum=0.0, decay=0.1, iterations=8, test_every=1, **policies[policy]
    )
    result = solve(job)
    weights = [np.array(next(iter(weights_of(path).values()))[0]) for path in result.kept.values()]
    for before, after, iteration in zip(weights, weights[1:], result.history[1:], strict=False):
        assert np.allclose(after, before * (1 - iteration.rate * 0.1), rtol=1e-5)


SOLVERS: dict[str, dict[str, Any]] = {
    "SGD": {},
    "Nesterov": {},
    "AdaGrad": {"momentum": 0.0},
    "RMSProp": {"momentum": 0.0, "base_rate": 0.001},
    "AdaDelta": {"base_rate": 1.0, "delta": 1e-6},
    "Adam": {"base_rate": 0.001},
}


@pytest.mark.parametrize("solver", list(SOLVERS))
def test_a_killed_training_goes_on_with_the_same_bits(solver: str, tmp_path: Path) -> None:
    """Killed with -9, itself and thereby its child, at random moments; the network has dropout."""
    job = make_job(tmp_path, DROPPING, solver=solver, **(SOLVERS[solver] | {"iterations": 60, "snapshot_every": 7}))
    unbroken = solve(dataclasses.replace(job, folder=str(tmp_path / "unbroken")))
    for moment in sorted(random.Random(solver).sample(range(1, 60), 3)):
        child = run("-c", UNTIL, job.to_json(), str(moment))
        assert child.returncode in (-signal.SIGKILL, 0), child.stderr
    resumed = solve(job, resume=True)
    assert file_sha256(resumed.caffemodel) == file_sha256(unbroken.caffemodel)
    assert losses(resumed) == losses(unbroken)


def losses(result: SolverResult) -> list[tuple[int, float, float]]:
    return [(iteration.number, iteration.loss, iteration.rate) for iteration in result.history]


def test_a_snapshot_may_be_moved(tmp_path: Path) -> None:
    job = make_job(tmp_path, DROPPING, iterations=4000, snapshot_every=100)
    unbroken = solve(dataclasses.replace(job, folder=str(tmp_path / "unbroken")))
    run("-c", UNTIL, job.to_json(), "500")
    assert list((tmp_path / "run").glob("snapshot-*"))
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    resumed = solve(dataclasses.replace(job, folder=str(tmp_path / "elsewhere")), resume=True)
    assert file_sha256(resumed.caffemodel) == file_sha256(unbroken.caffemodel)


def test_a_child_that_is_killed_is_an_error(tmp_path: Path) -> None:
    job = make_job(tmp_path, DROPPING, iterations=100_000, snapshot_every=10)

    def kill_children(iteration: Iteration) -> None:
        if iteration.number >= 30:
            for pid in Path("/proc/self/task").joinpath(str(os.getpid()), "children").read_text().split():
                if b"solver_worker" in Path("/proc", pid, "cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)

    with pytest.raises(TrainingError, match=r"was killed \(out of memory\?.*; the snapshot of iteration \d+ stays"):
        solve(job, progress=kill_children)
    assert not (tmp_path / "run" / ".snapshot.part").exists()


def test_a_loss_that_is_not_finite_stops_with_advice(tmp_path: Path) -> None:
    write_arrays(tmp_path / "rows")
    np.save(tmp_path / "rows" / "data.npy", 1e18 * np.load(tmp_path / "rows" / "data.npy"))
    with pytest.raises(TrainingError, match=r"no longer finite in iteration \d+.*base_rate 1e\+29"):
        solve(make_job(tmp_path, base_rate=1e30))


def test_a_full_disk_is_one_error(tmp_path: Path) -> None:
    """The limit of a file's size is met in the child's `posix_fallocate`, as the disk's or a quota's would be."""
    job = make_job(tmp_path, iterations=10, snapshot_every=5)
    child = run(
        "-c",
        "import resource, signal, sys\n"
        "from nsfw_caffe.training.solving import SolverJob, solve, TrainingError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "try:\n    solve(SolverJob.from_json(sys.argv[1]))\n"
        "except TrainingError as error:\n    print(error)",
        job.to_json(),
    )
    assert "no room for the snapshot of iteration 5" in child.stdout, child.stderr
    assert "make room and resume" in child.stdout
    assert solve(job, resume=True).history[-1].number == 10


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    solve(job)
    with pytest.raises(TrainingError, match="has a snapshot of iteration 20: resume it, or take another folder"):
        solve(job)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"solver": "Adam"}, "solver: SGD there, Adam here"),
        ({"base_rate": 0.01}, "base_rate: 0.05 there, 0.01 here"),
        ({"seed": 2}, "seed: 1 there, 2 here"),
        ({"iterations": 30}, "iterations: 20 there, 30 here"),
    ],
)
def test_a_state_of_another_job_is_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    solve(make_job(tmp_path))
    with pytest.raises(TrainingError, match=message):
        solve(make_job(tmp_path, **fields), resume=True)


def test_a_state_of_another_network_or_other_data_is_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    solve(job)
    with pytest.raises(TrainingError, match=r"another job \(net: "):
        solve(make_job(tmp_path, LAST_LAYER.replace("xavier", "msra")), resume=True)
    make_job(tmp_path)
    labels = np.load(tmp_path / "rows" / "labels.npy")
    np.save(tmp_path / "rows" / "labels.npy", labels[::-1])
    with pytest.raises(TrainingError, match=r"another job \(arrays: .*labels\.npy"):
        solve(job, resume=True)


@pytest.mark.parametrize("name", ["solver_iter_20.caffemodel", "solver_iter_20.solverstate", "state.json"])
def test_a_damaged_snapshot_is_refused(name: str, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    path = solve(job).caffemodel.with_name(name)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TrainingError, match="is damaged"):
        solve(job, resume=True)


@pytest.mark.parametrize("label", [-1, CLASSES, 2**40])
def test_a_label_out_of_range_is_refused(label: int, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    labels = np.load(tmp_path / "rows" / "labels.npy")
    labels[7] = label
    np.save(tmp_path / "rows" / "labels.npy", labels)
    _refused(job, f"1 labels are not from 0 to 2, the network's classes; the first is {label}, in row 7")


def change_after_the_checks(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    run_child = solving.run_child

    def run_later(*arguments: Any) -> None:
        change()
        run_child(*arguments)

    monkeypatch.setattr(solving, "run_child", run_later)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("labels", np.full(50, 3), r"labels are not from 0 to 2, the network's classes; the first is 3"),
        ("labels", np.full(50, -1), "the first is -1"),
        ("labels", np.full(50, 0.7), "it has to be whole numbers"),
        ("labels", np.zeros(49, np.int64), r"labels.npy is int64 \(49,\)"),
        ("data", np.zeros((50, 1), np.float32), "the data has changed since it was checked"),
        ("data", np.full((50, 8), np.nan, np.float32), "no longer finite in iteration 1"),
    ],
)
def test_arrays_that_change_after_the_checks_reach_no_memory_of_caffes(
    name: str, array: np.ndarray, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path)
    change_after_the_checks(monkeypatch, lambda: np.save(tmp_path / "rows" / f"{name}.npy", array))
    with pytest.raises(TrainingError, match=message):
        solve(job)


@pytest.mark.parametrize("label", [3, -1, 0.7, True, "1", None])
def test_a_list_of_pictures_that_changes_after_the_checks_is_refused(
    label: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path, PICTURES)
    path = tmp_path / "pictures" / "pictures.json"
    rows = json.loads(path.read_text())
    rows[5]["label"] = label
    change_after_the_checks(monkeypatch, lambda: path.write_text(json.dumps(rows)))
    with pytest.raises(TrainingError, match=r"labels are not from 0 to 2|labels have to be whole numbers"):
        solve(job)


def test_rows_that_are_cut_off_meanwhile_are_an_error(tmp_path: Path) -> None:
    write_arrays(tmp_path / "rows", rows=20_000)
    job = make_job(tmp_path, iterations=5000, snapshot_every=100)

    def cut(iteration: Iteration) -> None:
        if iteration.number == 100:
            os.truncate(tmp_path / "rows" / "data.npy", 100)

    with pytest.raises(TrainingError, match=r"data\.npy is cut short"):
        solve(job, progress=cut)
    assert list((tmp_path / "run").glob("snapshot-*"))
    assert not list(tmp_path.rglob("core*"))


def test_a_rate_of_policy_poly_ends_with_the_iterations(tmp_path: Path) -> None:
    """Caffe gives NaN past them: there is no going on."""
    job = make_job(tmp_path, policy="poly", power=0.5)
    assert all(np.isfinite(losses(solve(job))).ravel())
    with pytest.raises(TrainingError, match="iterations: 20 there, 21 here"):
        solve(dataclasses.replace(job, iterations=21), resume=True)


def _refused(job: SolverJob, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        solve(job)
    assert not Path(job.folder).exists()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("labels", np.full(50, 0.7), r"labels.npy is float64 \(50,\); it has to be whole numbers \(50,\)"),
        ("labels", np.zeros(49, np.int64), r"labels.npy is int64 \(49,\)"),
        ("data", np.zeros((50, 8)), r"data.npy is float64 \(50, 8\); it has to be float32"),
        ("data", np.zeros((50, 7), np.float32), "a row of data.npy is 7; the network takes 8"),
        ("data", np.full((50, 8), np.nan, np.float32), "row 0 has a number that is not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: np.ndarray, message: str, tmp_path: Path) -> None:
    job = make_job(tmp_path)
    np.save(tmp_path / "rows" / f"{name}.npy", array)
    _refused(job, message)


def test_no_rows_are_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path)
    np.save(tmp_path / "rows" / "data.npy", np.zeros((0, 8), np.float32))
    np.save(tmp_path / "rows" / "labels.npy", np.zeros(0, np.int64))
    _refused(job, "labels.npy is empty")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"solver": "SDG"}, "solver 'SDG' is unknown; there are: SGD"),
        ({"policy": "linear"}, "policy 'linear' is unknown"),
        ({"solver": "AdaGrad"}, "AdaGrad takes no momentum"),
        ({"solver": "RMSProp"}, "RMSProp takes no momentum"),
        ({"solver": "RMSProp", "momentum": 0.0, "rms_decay": 1.0}, "rms_decay cannot be 1.0"),
        ({"policy": "step"}, "policy 'step' needs a step_size of 1 or more"),
        ({"policy": "multistep", "step_values": (5, 5)}, "needs step_values that rise"),
        ({"base_rate": float("nan")}, "base_rate cannot be nan"),
        ({"base_rate": 0}, "base_rate has to be above 0"),
        ({"iterations": 0}, "iterations has to be a whole number of 1 or more"),
        ({"batch_size": 2**31}, "batch_size has to be"),
        ({"arrays": None}, "either arrays or pictures"),
        ({"class_weights": (1.0, 1.0, 1.0)}, "an input 'weight' is needed"),
        ({"net": "nowhere.prototxt"}, "nowhere.prototxt cannot be read"),
        ({"weights": "nowhere.caffemodel"}, "nowhere.caffemodel cannot be read"),
        ({"weights": "weights.h5"}, "HDF5"),
        ({"arrays": "nowhere"}, "data.npy cannot be read"),
    ],
)
def test_parameters_that_caffe_aborts_on_are_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    _refused(make_job(tmp_path, **fields), message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"SoftmaxWithLoss"', '"EuclideanLoss"', "the inputs differ in size|a loss has to be SoftmaxWithLoss"),
        ('bottom: "fc" bottom: "label"', 'bottom: "gone" bottom: "label"', "gone"),
        ('type: "Input" top: "data"', 'type: "MemoryData" top: "data"', "brings data or code of its own"),
        ('type: "InnerProduct"', 'type: "Python"', "brings data or code of its own"),
        ('name: "loss"', 'name: "fc"', "2 layers have the name 'fc'"),
        ('top: "label"', 'top: "tag"', "label"),
        ('bottom: "label" top: "loss" }', 'bottom: "label" top: "loss" include { phase: TEST } }', "has no loss"),
        ("num_output: 3", "num_output: 0", "fc"),
        ("layer {", "layer [", "is not a prototxt that can be read"),
    ],
)
def test_networks_that_caffe_aborts_on_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    _refused(make_job(tmp_path, LAST_LAYER.replace(old, new)), message)


def test_a_rate_of_batch_statistics_is_refused(tmp_path: Path) -> None:
    _refused(make_job(tmp_path, DROPPING.replace("lr_mult: 0", "lr_mult: 1")), "a BatchNorm's lr_mult has to be 0")


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    weights = solve(make_job(tmp_path)).caffemodel
    for old, new, message in (
        ("num_output: 3", "num_output: 4", r"layer 'fc' is 3x8, but 4x8 in the network"),
        ("num_output: 3", "num_output: 3 bias_term: false", "layer 'fc' has 2 blobs, but 1 in the network"),
        ('"fc"', '"fc_new"', "has weights for no layer of the network"),
    ):
        job = make_job(tmp_path, LAST_LAYER.replace(old, new), weights=str(weights), folder=str(tmp_path / "refused"))
        _refused(job, message)


def test_what_only_caffe_knows_is_told_with_its_last_line(tmp_path: Path) -> None:
    text = LAST_LAYER.replace('type: "xavier"', 'type: "unheard of"')
    with pytest.raises(TrainingError, match=r"Caffe's solver ended with status -6: .*Unknown filler name: unheard of"):
        solve(make_job(tmp_path, text))
    assert not list(tmp_path.rglob("core*"))


def test_two_trainings_in_one_folder_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrainingError, match="another training is at work in"):
            solve(make_job(tmp_path))


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, reason in ((tmp_path / "file" / "run", "Not a directory"), (tmp_path / "file", "File exists")):
        with pytest.raises(TrainingError, match=rf"file.* cannot be written \({reason}\)"):
            solve(make_job(tmp_path, folder=str(folder)))


def test_what_was_half_written_goes_when_caffe_has_died(tmp_path: Path) -> None:
    job = make_job(tmp_path, LAST_LAYER.replace('type: "xavier"', 'type: "unheard of"'))
    (tmp_path / "run" / ".snapshot.part").mkdir(parents=True)
    with pytest.raises(TrainingError):
        solve(job)
    assert not (tmp_path / "run" / ".snapshot.part").exists()
