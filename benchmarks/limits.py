#!/usr/bin/env python
"""What a core of this machine could do at best, while the others do the same: `bench.py` starts one a core.

    python -m benchmarks.limits CORE PATH...    # prints a line of JSON

`float32` and `bfloat16` are the floating-point operations a second of large matrix products by OpenVINO, `blas` those
of the BLAS that Caffe takes; `preprocessing` is the seconds from file to tensor, `decode` the JPEG library's share.
"""

from __future__ import annotations

import ctypes
import functools
import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from nsfw_caffe.engines import openvino
from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.options import Precision, ScoringOptions
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system.processes import keep_to_cores

SECONDS = 2.0
"""How long each part is measured: the processes begin together, and so stay together."""

SIDE = 2048
PRODUCTS = 8
"""Matrix products in a row, so that converting the input and the output to bfloat16 and back does not count."""


def main(core: int, paths: list[str]) -> None:
    """Measure on one core and print."""
    keep_to_cores([core])
    contents = [Path(path).read_bytes() for path in paths]
    operations = 2 * SIDE**3
    parts: dict[str, tuple[float, Callable[[], object]]] = {"blas": (operations, blas_product())}
    for precision in ("float32", "bfloat16"):
        try:
            parts[precision] = PRODUCTS * operations, openvino_products(precision)
        except EngineUnavailable:
            continue  # this CPU has no bfloat16
    answer = {name: work / shortest(run) for name, (work, run) in parts.items()}
    codec = PillowCodec()
    answer["preprocessing"] = shortest(lambda: [preprocess(content, codec) for content in contents]) / len(paths)
    answer["decode"] = shortest(lambda: [Image.open(io.BytesIO(content)).load() for content in contents]) / len(paths)
    print(json.dumps(answer))


def shortest(run: Callable[[], object]) -> float:
    """Return the seconds that a function takes at best."""
    end = time.perf_counter() + SECONDS
    best = float("inf")
    while (start := time.perf_counter()) < end:
        run()
        best = min(best, time.perf_counter() - start)
    return best


def blas_product() -> Callable[[], object]:
    """Give a product of square matrices by `libblas.so.3`, with one thread."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sgemm = ctypes.CDLL("libblas.so.3").cblas_sgemm
    matrices = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)).astype(np.float32)
    first, second, product = (matrix.ctypes.data_as(ctypes.c_void_p) for matrix in matrices)
    row_major, as_it_is, one, zero = 101, 111, ctypes.c_float(1), ctypes.c_float(0)
    side = ctypes.c_int(SIDE)
    shape = (row_major, as_it_is, as_it_is, side, side, side)
    run = functools.partial(sgemm, *shape, one, first, side, second, side, zero, product, side)
    run()
    assert np.allclose(matrices[2], matrices[0] @ matrices[1], atol=1e-2)
    return run


def openvino_products(precision: Precision) -> Callable[[], object]:
    """Give products of square matrices by OpenVINO, with one thread."""
    core = openvino.require(ScoringOptions(engine="openvino", precision=precision))
    import openvino.opset13 as layers
    from openvino import Model

    random = np.random.default_rng(0)
    weights = layers.constant(random.normal(size=(SIDE, SIDE)).astype(np.float32) / SIDE**0.5)
    source = product = layers.parameter([SIDE, SIDE], np.float32)
    for _ in range(PRODUCTS):
        product = layers.matmul(product, weights, False, False)
    compiled = core.compile_model(Model([product], [source]), "CPU", openvino.compile_settings(precision, threads=1))
    matrix = random.normal(size=(SIDE, SIDE)).astype(np.float32)
    return lambda: compiled(matrix)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
