"""Measuring, with the real engines and small networks; how long anything takes is nobody's promise here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nsfw_caffe.errors import EngineUnavailable, ModelError
from nsfw_caffe.networks import Measurement, build, cost, measure
from nsfw_caffe.networks import measure as measure_function
from nsfw_caffe.networks.forward_worker import _ENGINES
from nsfw_caffe.options import ENGINES, EngineName
from nsfw_caffe.system.processes import available_cores
from tests.support import REPOSITORY

SMALL = "squeezenet1_1"

TINY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 20 dim: 30 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 5 kernel_size: 3 } }
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "tiny.prototxt"
    path.write_text(TINY)
    return str(path)


def children() -> list[int]:
    """Return this process's children that live."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in path.read_text().split()]


@pytest.mark.slow
def test_every_engine_and_number_of_threads_in_order(tiny: str) -> None:
    said: list[tuple[str, int, int]] = []
    before = children()
    found = measure([SMALL, tiny], threads=[2, 1], rounds=3, progress=lambda *step: said.append(step))
    wanted = [(name, engine, threads) for name in (SMALL, tiny) for engine in ENGINES for threads in (2, 1)]
    assert [(each.network, each.engine, each.threads) for each in found] == wanted
    for each in found:
        assert len(each.times) == 3
        assert 0 < min(each.times) <= each.seconds <= max(each.times)
        assert each.peak_bytes > each.bytes_before > 20 << 20
    assert children() == before
    done, totals = [step[1] for step in said], {step[2] for step in said}
    assert done == list(range(len(said)))
    assert totals == {len(said)} == {2 * (1 + 6) + 3}
    assert f"{SMALL}: caffe, 2 threads" in [what for what, _, _ in said]
    assert said[-1][0] == "round 3 of 3"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_memory_is_the_networks(engine: EngineName) -> None:
    """It holds the weights at least, and tells a small network from one with fifty times its parameters."""
    small, large = measure([SMALL, "ms_ctc"], engines=[engine], threads=[1], rounds=1)
    for name, found in ((SMALL, small), ("ms_ctc", large)):
        assert found.network_bytes == found.peak_bytes - found.bytes_before > 4 * cost(name).parameters
    assert large.network_bytes > 3 * small.network_bytes


def test_a_heavier_network_takes_longer() -> None:
    light, heavy = measure([SMALL, "resnet50"], engines=["onnxruntime"], threads=[1], rounds=3)
    assert heavy.seconds > 2 * light.seconds


def test_turns_are_taken_in_rounds(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["nsfw_caffe.networks.measuring"]
    turns = []
    take_turn = module._Worker.take_turn

    def watched(worker: object) -> None:
        turns.append(worker)
        take_turn(worker)

    monkeypatch.setattr(module, "_Worker", type("_Worker", (module._Worker,), {"take_turn": watched}))
    measure([tiny], engines=["onnxruntime", "openvino"], threads=[1], rounds=3)
    first, second = turns[:2]
    assert turns == [first, second, *[first, second] * 3]  # each loads, and then they alternate


def test_the_median_counts() -> None:
    measured = Measurement("a", "caffe", 1, (3.0, 1.0, 9.0), 7, 2)
    assert (measured.seconds, measured.network_bytes) == (3.0, 5)


def test_defaults_are_one_thread_and_all_cores(tiny: str) -> None:
    found = measure([tiny], engines=["onnxruntime"], rounds=1)
    assert [each.threads for each in found] == sorted({1, available_cores()})


def test_what_does_not_fit_at_once_is_measured_in_groups(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nsfw_caffe.system.processes.available_memory", lambda: 300 << 20)
    said: list[str] = []
    found = measure(
        [tiny, SMALL, "squeezenet1_0"],
        engines=["onnxruntime"],
        threads=[1],
        rounds=1,
        progress=lambda what, _done, _total: said.append(what),
    )
    assert [each.network for each in found] == [tiny, SMALL, "squeezenet1_0"]
    assert said.count("round 1 of 1") == 3


@pytest.mark.parametrize("arguments", [{"rounds": 0}, {"threads": [0]}, {"threads": [2, -1]}])
def test_numbers_below_one(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="has to be 1 or more"):
        measure([SMALL], **arguments)  # type: ignore[arg-type]


def test_an_unknown_network() -> None:
    with pytest.raises(ValueError, match="neither a file nor a network; there are: ms_ctc"):
        measure(["resnet5"])


def test_a_prototxt_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bad.prototxt"
    path.write_text(TINY.replace("kernel_size: 3", "kernel_size: 40"))
    with pytest.raises(ModelError, match=r"bad\.prototxt: layer 'conv'"):
        measure([str(path)])


def test_no_engine(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENGINES:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineUnavailable, match="onnxruntime: "):
        measure([tiny], engines=["onnxruntime"])
    with pytest.raises(EngineUnavailable, match=r"(?s)Caffe: .*\n  onnxruntime: .*\n  openvino: "):
        measure([tiny])


def test_engines_that_are_not_installed_are_left_out(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("caffe", "openvino"):
        monkeypatch.setitem(sys.modules, name, None)
    assert {found.engine for found in measure([tiny], rounds=1)} == {"onnxruntime"}


@pytest.mark.parametrize("engine", ["caffe", "onnxruntime"])
def test_a_layer_that_runs_code_is_refused(engine: EngineName, tmp_path: Path) -> None:
    path = tmp_path / "python.prototxt"
    path.write_text(TINY + 'layer { name: "code" type: "Python" bottom: "conv" top: "p" }')
    with pytest.raises(ModelError, match=r"python\.prototxt: layer 'code'"):
        measure([str(path)], engines=[engine])


def test_the_training_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train_val.prototxt"
    path.write_text(build(SMALL, form="train"))
    with pytest.raises(ModelError, match=r"train_val\.prototxt: it has inputs data, label; .* exactly one input"):
        measure([str(path)], engines=["caffe"])


def test_a_worker_that_dies(tiny: str) -> None:
    before = children()

    def kill(what: str, _done: int, _total: int) -> None:
        if what == "round 2 of 5":
            (worker,) = set(children()) - set(before)
            os.kill(worker, signal.SIGKILL)

    with pytest.raises(ModelError, match=r"tiny\.prototxt: onnxruntime cannot run it \(status -9\)"):
        measure([tiny], engines=["onnxruntime"], threads=[1], rounds=5, progress=kill)
    assert children() == before


def test_what_caffe_says_last_is_in_the_error(tmp_path: Path) -> None:
    """A file that has changed after it was looked at: Caffe ends the process, and its reason is told."""
    path = tmp_path / "net.prototxt"
    path.write_text(TINY)

    def change(what: str, _done: int, _total: int) -> None:
        if ": caffe" in what:
            path.write_text(TINY.replace("kernel_size: 3", "kernel_size: 3 group: 2"))

    with pytest.raises(ModelError, match=r"net\.prototxt: caffe cannot run it \(status -6: Check failed: channels_"):
        measure([str(path)], engines=["caffe"], threads=[1], rounds=1, progress=change)


@pytest.mark.parametrize("moment", ["caffe, 1 thread", "round 2"])
def test_interrupted_it_leaves_nothing_behind(moment: str, tmp_path: Path) -> None:
    script = (
        "import sys; from nsfw_caffe.networks import measure\n"
        f"measure(['{SMALL}'], engines=['caffe'], threads=[1], rounds=10**6,\n"
        "        progress=lambda what, *_: print(what, flush=True))\n"
    )
    command = [sys.executable, "-c", script]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=REPOSITORY
    ) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if moment in line:
                break
        path = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        deadline = time.monotonic() + 30
        while not (workers := path.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        parent.send_signal(signal.SIGINT)
        parent.stdout.close()
        assert parent.wait(30) != 0
    assert workers
    # One that was just being started ends by itself, when it finds its connection closed.
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def test_each_engine_has_its_loader() -> None:
    assert set(_ENGINES) == set(ENGINES)
    assert measure_function is measure


def test_a_built_network_is_what_is_measured(tmp_path: Path) -> None:
    """A file with the same network is loaded alike."""
    path = tmp_path / "deploy.prototxt"
    path.write_text(build(SMALL))
    named, filed = measure([SMALL, str(path)], engines=["openvino"], threads=[1], rounds=2)
    assert abs(named.network_bytes - filed.network_bytes) < 30 << 20
