"""A process that has one network in one engine, and runs it each time its parent asks, for time and memory.

It is started as a program of its own, as Caffe's workers are, so that its memory is that of one network.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.networks.measuring import Turn, WorkerSetUp
from nsfw_caffe.options import EngineName, ScoringOptions
from nsfw_caffe.system.processes import own_memory

_SPREAD = 64
"""Standard deviation of the random picture: about that of pixels minus their mean."""

Forward: TypeAlias = Callable[[], object]


def main(descriptor: str) -> None:
    """Load the network, then give a `Turn` whenever asked, until the parent closes the connection or dies.

    First the parent gets the bytes of memory before the network is loaded, or an error of the library.
    """
    # Ctrl-C reaches the whole process group: the parent ends this process by closing the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection: Connection = Connection(int(descriptor))
    try:
        set_up: WorkerSetUp = connection.recv()
        try:
            module = _ENGINES[set_up.engine]
            load = module(set_up)
            connection.send(own_memory("VmRSS"))
            forward = load()
        except NsfwCaffeError as error:
            connection.send(error)
            return
        while connection.recv():
            forward()  # while the others had their turns, the caches have forgotten this network
            connection.send(_turn(forward))
    except (EOFError, ConnectionError):
        pass


def _turn(forward: Forward) -> Turn:
    start = time.perf_counter()
    forward()
    return time.perf_counter() - start, own_memory("VmHWM")


def _picture(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).normal(0, _SPREAD, shape).astype(np.float32)


# Each imports its engine, which is not counted as the network's memory, and returns what loads the network.


def _caffe(set_up: WorkerSetUp) -> Callable[[], Forward]:
    from nsfw_caffe.engines.blas import set_openblas_threads
    from nsfw_caffe.engines.caffe import import_caffe
    from nsfw_caffe.model.network import for_caffe

    caffe = import_caffe()
    set_openblas_threads(set_up.threads)

    def load() -> Forward:
        caffe.set_mode_cpu()
        with for_caffe(set_up.prototxt) as prototxt:
            net = caffe.Net(str(prototxt), caffe.TEST, weights=str(set_up.weights))
        blob = net.blobs[net.inputs[0]]
        blob.reshape(*set_up.input_shape)
        blob.data[...] = _picture(set_up.input_shape)
        forward: Forward = net.forward
        return forward

    return load


def _onnxruntime(set_up: WorkerSetUp) -> Callable[[], Forward]:
    from nsfw_caffe.engines.onnxruntime import create_session, require

    onnxruntime = require(ScoringOptions(engine="onnxruntime"))

    def load() -> Forward:
        session = create_session(onnxruntime, set_up.weights.read_bytes(), set_up.threads)
        inputs = {session.get_inputs()[0].name: _picture(set_up.input_shape)}
        return lambda: session.run(None, inputs)

    return load


def _openvino(set_up: WorkerSetUp) -> Callable[[], Forward]:
    from nsfw_caffe.engines.openvino import compile_settings, require

    core = require(ScoringOptions(engine="openvino"))

    def load() -> Forward:
        model: Any = core.read_model(set_up.weights.read_bytes())
        model.reshape(list(set_up.input_shape))
        request = core.compile_model(model, "CPU", compile_settings("float32", set_up.threads)).create_infer_request()
        inputs = [_picture(set_up.input_shape)]
        return lambda: request.infer(inputs)

    return load


_ENGINES: dict[EngineName, Callable[[WorkerSetUp], Callable[[], Forward]]] = {
    "caffe": _caffe,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


if __name__ == "__main__":
    main(sys.argv[1])
