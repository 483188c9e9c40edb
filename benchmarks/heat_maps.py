#!/usr/bin/env python
"""What heat maps cost, how exact they are, and whether they find a patch: the table of docs/explain.md.

Times are of the processor, on one thread, a score and its explanation turn by turn.

python -m benchmarks.heat_maps              # from the checkout's root
python -m benchmarks.heat_maps --rounds 9   # shorter; default 41
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from nsfw_caffe import Classifier, EngineUnavailable, Explanation
from nsfw_caffe.explain import overlay
from nsfw_caffe.options import EngineChoice, Precision
from tests.support import PHOTOS

SET_UPS: tuple[tuple[EngineChoice, Precision], ...] = (
    ("caffe", "float32"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
)

NAMES = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "retina.jpg", "hubble_deep_field.jpg")

PATCH = Path(__file__).parents[1] / "tests/explain/patch.png"

CORNERS = (24, 136)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=41, help="rounds to take the median of")
    options = parser.parse_args()
    photos = [PHOTOS / name for name in NAMES]
    print("| engine | score, ms | explained | more | fine, ms | mean + bias - log-odds | hottest place on the patch |")
    print("|---|---|---|---|---|---|---|")
    for engine, precision in SET_UPS:
        try:
            with Classifier(engine=engine, precision=precision, threads=1) as classifier:
                print(row(classifier, photos, options.rounds), flush=True)
        except EngineUnavailable as error:
            print(f"| {engine}, {precision} | {error} |")
    explanation = Classifier(engine="onnxruntime").explain(photos[0])
    print(f"\noverlay of {NAMES[0]}: {median_of(lambda: overlay(photos[0], explanation), options.rounds) * 1e3:.0f} ms")


def row(classifier: Classifier, photos: list[Path], rounds: int) -> str:
    """Measure one engine, scores and explanations turn by turn, and write its row."""
    path = photos[0]
    assert [classifier.explain(photo).score for photo in photos] == [classifier.classify(photo) for photo in photos]
    pairs = [
        (median_of(lambda: classifier.classify(path), 1), median_of(lambda: classifier.explain(path), 1))
        for _ in range(rounds)
    ]
    score, explained = (statistics.median(times) for times in zip(*pairs, strict=True))
    more = statistics.median(one / other - 1 for other, one in pairs)
    fine = median_of(lambda: classifier.explain(path, detail="fine"), max(1, rounds // 10))
    errors = [error_of(classifier.explain(photo)) for photo in photos]
    found = [finds(classifier, photo) for photo in photos]
    return (
        f"| {classifier.engine}, {classifier.options.precision} | {score * 1e3:.1f} | {explained * 1e3:.1f} "
        f"| {more:+.1%} | {fine * 1e3:.0f} | {max(errors):.1e} | {sum(found)} of {len(CORNERS) ** 2 * len(photos)} |"
    )


def median_of(call: Callable[[], object], rounds: int) -> float:
    """Return the median of a call's seconds of the processor."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def error_of(explanation: Explanation) -> float:
    """Return how far the mean of a map and the bias are from the log-odds."""
    return abs(float(explanation.heat_map.mean()) + explanation.bias - explanation.log_odds)


def finds(classifier: Classifier, path: Path) -> int:
    """Count the places of the patch, of four in a photo, that have the hottest cell on it."""
    photo, patch = Image.open(path).convert("RGB").resize((256, 256)), Image.open(PATCH)
    count = 0
    for top in CORNERS:
        for left in CORNERS:
            pasted = photo.copy()
            pasted.paste(patch, (left, top))
            heat_map = classifier.explain(pasted).heat_map
            row, column = np.unravel_index(heat_map.argmax(), heat_map.shape)
            middle = (16 + 32 * int(each) + 16 for each in (row, column))
            count += all(start <= at < start + patch.width for start, at in zip((top, left), middle, strict=True))
    return count


if __name__ == "__main__":
    main()
