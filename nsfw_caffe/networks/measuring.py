"""How long a forward pass takes on this machine, and how much memory, network by network and engine by engine.

Each network in each engine is a process of its own. They take turns, so that whatever else the machine does hits all
of them alike; the median of the turns counts.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, TypeAlias

from nsfw_caffe.caffe_to_onnx.convert import convert
from nsfw_caffe.engines.base import installed_engines, require_engine
from nsfw_caffe.engines.caffe import last_words
from nsfw_caffe.errors import ModelError, NsfwCaffeError
from nsfw_caffe.model.network import layers_in_test, read_prototxt
from nsfw_caffe.model.random_weights import write_random_caffemodel
from nsfw_caffe.networks.catalogue import NETWORKS, build
from nsfw_caffe.networks.cost import Cost, cost
from nsfw_caffe.options import EngineName, ScoringOptions
from nsfw_caffe.system import processes
from nsfw_caffe.system.proc import require_linux

ROUNDS = 20
"""Turns that each process has."""

_HELD = 2.5
"""What a loaded network holds, in times the size of its weights: 1.7 to 2.3 with VGG-16, by engine."""

_PROCESS = 150 << 20
"""Bytes of a process that has an engine and no network."""

Turn: TypeAlias = tuple[float, int]
"""What a worker answers: seconds of one forward pass, and the most bytes of memory that it has had so far."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, and how many steps of how many are done."""


@dataclass(frozen=True)
class Measurement:
    """What a network took in an engine, for one picture at a time.

    Attributes
    ----------
    network : str
        Its name, or the prototxt's path.
    engine : str
        "caffe", "onnxruntime" or "openvino".
    threads : int
        How many threads computed.
    times : tuple of float
        Seconds of a forward pass, one a round.
    peak_bytes : int
        The most memory that the process had: Python, the engine, loading, and the forward passes.
    bytes_before : int
        What of that it had before it loaded the network.

    Examples
    --------
    >>> measured = Measurement("vgg16", "caffe", 1, (0.39, 0.38, 0.52), 1_900_000_000, 80_000_000)
    >>> measured.seconds, measured.network_bytes
    (0.39, 1820000000)
    """

    network: str
    engine: EngineName
    threads: int
    times: tuple[float, ...]
    peak_bytes: int
    bytes_before: int

    @property
    def seconds(self) -> float:
        """The median of the times."""
        return statistics.median(self.times)

    @property
    def network_bytes(self) -> int:
        """What loading and running the network added to the process's memory at most."""
        return self.peak_bytes - self.bytes_before


def measure(
    networks: Sequence[str],
    *,
    engines: Sequence[EngineName] | None = None,
    threads: Sequence[int] | None = None,
    rounds: int = ROUNDS,
    progress: Progress | None = None,
) -> tuple[Measurement, ...]:
    """Measure forward time and memory of networks, with random weights and one picture at a time.

    Parameters
    ----------
    networks : sequence of str
        Names of `NETWORKS`, or paths of deploy prototxts with one input.
    engines : sequence of str, optional
        In which engines; by default in all that are installed.
    threads : sequence of int, optional
        With how many threads; by default with one, and with as many as there are cores.
    rounds : int, default 20
        How many times each is timed, 1 or more.
    progress : callable, optional
        Called with what is being done (str), the steps done and the steps in all (int).

    Returns
    -------
    tuple of Measurement
        One for each network, engine and number of threads, in the order in which they were given.

    Raises
    ------
    ValueError
        If there is no such network, or a number is less than 1.
    ModelError
        If a prototxt cannot be read, or an engine cannot run it.
    EngineUnavailable
        If an engine that was named is not there, or none is, or the system is not Linux.

    Examples
    --------
    >>> (measured,) = measure(["squeezenet1_1"], engines=["onnxruntime"], threads=[1], rounds=2)
    >>> measured.engine, len(measured.times), measured.seconds < 1
    ('onnxruntime', 2, True)
    """
    require_linux("measuring networks")
    threads = tuple(dict.fromkeys(threads or (1, processes.available_cores())))
    if rounds < 1 or min(threads) < 1:
        raise ValueError(f"rounds={rounds}, threads={threads}: each has to be 1 or more")
    costs = {network: cost(network) for network in networks}
    for network in networks:
        _require_one_input(network)
    engines = [require_engine(ScoringOptions(engine=name)) for name in engines or installed_engines()]
    set_ups = [(engine, count) for engine in engines for count in threads]
    groups = list(_groups(list(costs.values()), len(set_ups), processes.available_memory() // 2))
    steps = _Steps(len(costs) * (1 + len(set_ups)) + len(groups) * rounds, progress)
    return tuple(measurement for group in groups for measurement in _measure_group(group, set_ups, rounds, steps))


def _require_one_input(network: str) -> None:
    """Refuse what a picture alone cannot be put through, the form for training for example."""
    if network in NETWORKS:
        return
    read = read_prototxt(Path(network))
    inputs = [*read.input, *(top for layer in layers_in_test(read) if layer.type == "Input" for top in layer.top)]
    if len(inputs) != 1:
        found = f"inputs {', '.join(inputs)}" if inputs else "no input"
        raise ModelError(f"{network}: it has {found}; to be measured a network needs exactly one input")


def _groups(costs: Sequence[Cost], processes_each: int, memory: int) -> Iterator[list[Cost]]:
    """Part networks into groups whose processes can live at once; one that needs more than there is goes alone."""
    group: list[Cost] = []
    held = 0
    for counted in costs:
        needed = processes_each * (_PROCESS + int(_HELD * counted.weight_bytes) + counted.activation_bytes)
        if group and held + needed > memory:
            yield group
            group, held = [], 0
        group.append(counted)
        held += needed
    if group:
        yield group


@dataclass(frozen=True)
class WorkerSetUp:
    """What a worker loads."""

    engine: EngineName
    threads: int
    prototxt: Path
    weights: Path
    """The caffemodel for Caffe, the converted model for the others."""
    input_shape: tuple[int, ...]
    """Of one picture, with the axis of pictures."""


class _Steps:
    """Says what is done next."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._done = 0
        self._progress = progress

    def next(self, what: str) -> None:
        if self._progress is not None:
            self._progress(what, self._done, self._total)
        self._done += 1


def _measure_group(
    costs: Sequence[Cost], set_ups: Sequence[tuple[EngineName, int]], rounds: int, steps: _Steps
) -> list[Measurement]:
    with contextlib.ExitStack() as stack:
        workers = [worker for counted in costs for worker in _load(counted, set_ups, steps, stack)]
        for number in range(rounds):
            steps.next(f"round {number + 1} of {rounds}")
            for worker in workers:
                worker.take_turn()
        return [worker.measurement for worker in workers]


def _load(
    counted: Cost, set_ups: Sequence[tuple[EngineName, int]], steps: _Steps, stack: contextlib.ExitStack
) -> Iterator[_Worker]:
    """Give a network random weights, and start its processes, one after another, which end with the stack."""
    with tempfile.TemporaryDirectory(prefix="nsfw_caffe-") as folder:
        steps.next(f"{counted.name}: weights")
        prototxt, caffemodel, converted = _write_files(counted.name, Path(folder), {engine for engine, _ in set_ups})
        for engine, threads in set_ups:
            steps.next(f"{counted.name}: {engine}, {threads} thread{'' if threads == 1 else 's'}")
            weights = caffemodel if engine == "caffe" else converted
            set_up = WorkerSetUp(engine, threads, prototxt, weights, (1, *counted.input_shape))
            errors = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - it is a context manager
            worker = _Worker(counted.name, set_up, errors)
            stack.callback(worker.close)
            worker.load()
            yield worker


def _write_files(network: str, folder: Path, engines: set[EngineName]) -> tuple[Path, Path, Path]:
    """Write what the engines load: prototxt, caffemodel, and the converted model where one of them needs that."""
    prototxt, caffemodel, converted = (folder / f"network.{ending}" for ending in ("prototxt", "caffemodel", "onnx"))
    if network in NETWORKS:
        prototxt.write_text(build(network), encoding="utf-8")
    else:
        prototxt = Path(network)
    write_random_caffemodel(read_prototxt(prototxt), caffemodel)
    if engines != {"caffe"}:
        converted.write_bytes(convert(prototxt, caffemodel))
    return prototxt, caffemodel, converted


class _Worker:
    """A process with one network in one engine, loaded, that waits for its turns."""

    def __init__(self, network: str, set_up: WorkerSetUp, errors: IO[bytes]) -> None:
        self._network = network
        self._set_up = set_up
        self._errors = errors
        self._times: list[float] = []
        ours, theirs = socket.socketpair()
        threads = str(set_up.threads)
        with theirs:
            self._process = subprocess.Popen(
                processes.command("networks.forward_worker", str(theirs.fileno())),
                env=processes.environment(
                    GLOG_minloglevel="2", GLOG_logtostderr="1", OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads
                ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[theirs.fileno()],
            )
        self._connection = Connection(ours.detach())

    def load(self) -> None:
        """Wait until the network is loaded and has run once; ModelError where it cannot be."""
        self._bytes_before: int = self._ask(self._set_up)
        self.take_turn()
        self._times.clear()

    def take_turn(self) -> None:
        """Time a forward pass."""
        turn: Turn = self._ask(True)
        seconds, self._peak_bytes = turn
        self._times.append(seconds)

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.terminate()
        self._process.wait()

    @property
    def measurement(self) -> Measurement:
        """What the turns so far have given."""
        set_up = self._set_up
        return Measurement(
            self._network, set_up.engine, set_up.threads, tuple(self._times), self._peak_bytes, self._bytes_before
        )

    def _ask(self, message: object) -> Any:  # noqa: ANN401 - what the worker answers
        """Send a message and take the answer; the process's error is raised, and its death a ModelError."""
        try:
            self._connection.send(message)
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            raise ModelError(f"{self._network}: {self._set_up.engine} cannot run it ({self._last_words()})") from None
        if isinstance(answer, NsfwCaffeError):
            raise answer
        return answer

    def _last_words(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        words = last_words(self._errors.read().decode(errors="replace"))
        return f"status {status}: {words}" if words else f"status {status}"
