#!/usr/bin/env python
"""Whether contact sheets score high: harmless photos of scikit-image's wheel, alone and in grids of sixteen.

    python -m benchmarks.grids    # the table of docs/faq.md

The photos are shrunk to tiles of equal size; crops are drawn from a seed.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable
from pathlib import Path

import skimage
from PIL import Image

from nsfw_caffe import Classifier

PHOTOS = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field", "ihc"),
    *("moon", "motorcycle_left", "motorcycle_right", "retina", "rocket"),
)
TILE, GAP = 256, 16  # pixels
CROPS, MIXED = 5, 100
"""Grids of crops for each photo, of which the highest counts; and grids of different photos."""


def main() -> None:
    """Score, and print the table."""
    folder = Path(skimage.__file__).parent / "data"
    photos = [Image.open(next(folder.glob(f"{name}.*"))).convert("RGB") for name in PHOTOS]
    classifier, chance = Classifier(engine="onnxruntime"), random.Random(0)
    score = classifier.classify
    rows = {"each alone": [score(photo) for photo in photos]}
    for side in (2, 3, 4, 6):
        rows[f"{side}x{side} grid of the same picture"] = [score(_grid([photo] * side**2, side)) for photo in photos]
    rows["4x4 grid of it with white gaps"] = [score(_grid([photo] * 16, 4, GAP)) for photo in photos]
    rows[f"4x4 grid of sixteen crops of one picture, the highest of {CROPS}"] = [
        max(score(_grid((_crop(photo, chance) for _ in range(16)), 4)) for _ in range(CROPS)) for photo in photos
    ]
    rows["4x4 grid of different pictures"] = [
        score(_grid([*chance.sample(photos, len(photos)), chance.choice(photos)], 4)) for _ in range(MIXED)
    ]
    print("| picture | median | highest | above 0.2 |\n|---|---|---|---|")
    for name, scores in rows.items():
        above = f"{sum(value > 0.2 for value in scores)} of {len(scores)}"
        print(f"| {name} | {statistics.median(scores):.3f} | {max(scores):.3f} | {above} |")


def _grid(pictures: Iterable[Image.Image], side: int, gap: int = 0) -> Image.Image:
    length = side * TILE + (side + 1) * gap
    grid = Image.new("RGB", (length, length), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, side)
        place = (gap + column * (TILE + gap), gap + row * (TILE + gap))
        grid.paste(picture.resize((TILE, TILE), Image.Resampling.LANCZOS), place)
    return grid


def _crop(photo: Image.Image, chance: random.Random) -> Image.Image:
    """Cut 80 to 100 % of a photo's sides out of it, anywhere: as frames of a video differ."""
    share = chance.uniform(0.8, 1)
    left, top = (chance.uniform(0, side * (1 - share)) for side in photo.size)
    return photo.crop((int(left), int(top), int(left + photo.width * share), int(top + photo.height * share)))


if __name__ == "__main__":
    main()
