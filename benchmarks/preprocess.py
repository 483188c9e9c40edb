#!/usr/bin/env python
"""Where a picture's time goes on its way to the network: milliseconds a stage, on one core.

    taskset -c 0 python benchmarks/preprocess.py    # the tables of docs/speed.md

The pictures are one photo of scikit-image's wheel, enlarged, with grain, as JPEG files of quality 90. Each figure is
the median of the repeats, which go through all stages in turn, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import functools
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

from nsfw_caffe.preprocessing.jpeg import QUALITY, FastPillowCodec, PillowCodec
from nsfw_caffe.preprocessing.resize import PATHS, resize, resize_by_extension, resize_by_pillow
from nsfw_caffe.preprocessing.steps import preprocess

SIZES = ((640, 480), (1152, 864), (2048, 1536), (4000, 3000))
"""0.3, 1, 3.1 and 12 megapixels."""

Stages = dict[str, Callable[[], Any]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=41)
    repeats = parser.parse_args().repeats
    columns = [_measure(_stages(_jpeg(size)), repeats) for size in SIZES]
    print("| ms | " + " | ".join(f"{width}x{height}" for width, height in SIZES) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{column[name]:.2f}" for column in columns) + " |")
    for path in PATHS:
        ratios = (column["resize by Pillow"] / column[f"resize, {path}"] for column in columns)
        print(f"| Pillow's resize / {path} | " + " | ".join(f"{ratio:.1f}" for ratio in ratios) + " |")
    shares = (
        (column["decode"] + column["encode"] + column["decode again"]) / column["all, exact"] for column in columns
    )
    print("| JPEG library's share | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


def _jpeg(size: tuple[int, int]) -> bytes:
    photo = Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").convert("RGB").resize(size)
    grain = np.random.default_rng(0).normal(0, 4, (size[1], size[0], 1))
    buffer = io.BytesIO()
    Image.fromarray((np.asarray(photo) + grain).clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _stages(data: bytes) -> Stages:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    pixels = np.asarray(picture)
    small = resize(picture)
    exact, fast = PillowCodec(), FastPillowCodec()
    again = _encode(small)
    return {
        "decode": lambda: Image.open(io.BytesIO(data)).load(),
        "decode, fast": lambda: fast.decode_source(Image.open(io.BytesIO(data)), data),
        "resize by Pillow": lambda: resize_by_pillow(picture),
        **{f"resize, {path}": functools.partial(resize_by_extension, picture, path) for path in PATHS},
        "resize of an array": lambda: resize(pixels),
        "encode": lambda: _encode(small),
        "decode again": lambda: Image.open(io.BytesIO(again)).load(),
        "all, exact": lambda: preprocess(data, exact),
        "all, fast": lambda: preprocess(data, fast),
    }


def _encode(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def _measure(stages: Stages, repeats: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(repeats):
        for name, stage in stages.items():
            start = time.perf_counter()
            stage()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
