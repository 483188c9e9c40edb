#!/usr/bin/env python
"""A GPU against Caffe on the CPU: how far the scores are apart, and how many pictures a second it takes.

python -m benchmarks.gpu                                          # Caffe, on the first GPU
python -m benchmarks.gpu --engine onnxruntime --device gpu:1

The pictures are crops of scikit-image's photos, 0.3 to 1.6 megapixels, as JPEG files of quality 90.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image

from nsfw_caffe import Classifier
from nsfw_caffe.engines.base import Engine, create_engine, score_of
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system.processes import available_cores

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "ihc.png", "retina.jpg")
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

Batch: TypeAlias = npt.NDArray[np.float32]
Scores: TypeAlias = npt.NDArray[np.float64]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--engine", choices=("caffe", "onnxruntime"), default="caffe")
    parser.add_argument("--device", default="gpu:0")
    parser.add_argument("--pictures", type=int, default=512, metavar="N")
    options = parser.parse_args()
    pictures = make_pictures(options.pictures)
    with ThreadPoolExecutor(available_cores()) as pool:
        batch = np.stack(list(pool.map(_preprocess, pictures)))
    engine = create_engine(fetch(), ScoringOptions(engine=options.engine, device=options.device))
    with Classifier(engine="caffe") as cpu:
        expected = np.array(cpu.classify_batch(pictures))
    print_differences(engine, batch, expected)
    print_speed(engine, batch)
    print_pipeline(Classifier(engine=options.engine, device=options.device), pictures)


def make_pictures(count: int) -> list[bytes]:
    """Cut and resize photos at random, the same in every run, and encode them."""
    folder = Path(skimage.__file__).parent / "data"
    photos = [Image.open(folder / name).convert("RGB") for name in PHOTOS if (folder / name).exists()]

    def make(number: int) -> bytes:
        rng = np.random.default_rng(number)
        photo = photos[number % len(photos)]
        width, height = (int(side * rng.uniform(0.2, 1)) for side in photo.size)
        left, top = int(rng.integers(photo.width - width + 1)), int(rng.integers(photo.height - height + 1))
        size = (int(rng.integers(640, 1441)), int(rng.integers(480, 1081)))
        buffer = io.BytesIO()
        photo.crop((left, top, left + width, top + height)).resize(size).save(buffer, "JPEG", quality=90)
        return buffer.getvalue()

    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(make, range(count)))


def print_differences(engine: Engine, batch: Batch, expected: Scores) -> None:
    """Compare with Caffe on the CPU; and one batch size, one place in a batch, one call with another."""
    print(f"{len(batch)} pictures, scores on the CPU {expected.min():.2g} to {expected.max():.2g}\n")
    print("| batch | to Caffe on the CPU, largest | mean | as logits, largest | to batches of 1, largest |")
    print("|---|---|---|---|---|")
    alone = _scores(engine, batch, 1)
    for size in BATCH_SIZES:
        found = _scores(engine, batch, size)
        away = np.abs(found - expected)
        logits = np.abs(_logits(found) - _logits(expected)).max()
        print(f"| {size} | {away.max():.1e} | {away.mean():.1e} | {logits:.1e} | {np.abs(found - alone).max():.1e} |")
    size = min(32, len(batch))
    places = []
    for place in range(size):
        others = np.roll(batch[:size], place, axis=0)
        places.append(_scores(engine, others, size)[place])
    print(f"\none picture in each place of a batch of {size}: largest difference {np.ptp(places):.1e}")
    repeats = {_scores(engine, batch[:size], size).tobytes() for _ in range(20)}
    print(f"the same batch 20 times: {len(repeats)} different results\n")


def print_speed(engine: Engine, batch: Batch) -> None:
    """Time the forward pass, from the tensor in the computer's memory to the outputs there."""
    print("| batch | forward, ms a batch | pictures/s |")
    print("|---|---|---|")
    for size in BATCH_SIZES:
        part = batch[:size]
        engine.batch_size = size
        seconds = _median(lambda part=part: engine.forward(part), repeats=15)  # type: ignore[misc]
        print(f"| {len(part)} | {seconds * 1e3:.2f} | {len(part) / seconds:.0f} |")
    print()


def print_pipeline(classifier: Classifier, pictures: list[bytes]) -> None:
    """Time files in, scores out, by threads; and the preprocessing alone."""
    print(f"{os.cpu_count()} cores; {sum(map(len, pictures)) / len(pictures) / 1e3:.0f} kB a picture\n")
    print("| threads | preprocessing alone, pictures/s | classify_batch, pictures/s |")
    print("|---|---|---|")
    threads = 1
    while threads <= available_cores():
        some = pictures[: max(64, len(pictures) * threads // available_cores())]
        with ThreadPoolExecutor(threads) as pool:
            before = _median(lambda some=some, pool=pool: list(pool.map(_preprocess, some)), repeats=2)  # type: ignore[misc]
        whole = _median(lambda some=some, threads=threads: classifier.classify_batch(some, workers=threads), repeats=2)  # type: ignore[misc]
        print(f"| {threads} | {len(some) / before:.0f} | {len(some) / whole:.0f} |")
        threads *= 2


def _preprocess(picture: bytes) -> Batch:
    return preprocess(picture, PillowCodec())


def _scores(engine: Engine, batch: Batch, size: int) -> Scores:
    engine.batch_size = size
    return np.array([score_of(output) for output in engine.forward(batch)])


def _logits(scores: Scores) -> Scores:
    return np.log(scores / (1 - scores))


def _median(call: Callable[[], object], repeats: int) -> float:
    call()  # memory is reserved, code loaded
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
