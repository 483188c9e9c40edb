#!/usr/bin/env python
"""How far decode="fast" moves scores, over large JPEG files made from the photos in scikit-image's wheel.

    python benchmarks/fast_decode.py              # the table of docs/speed.md
    python benchmarks/fast_decode.py FOLDER...    # with the large JPEG files of these folders besides

The photos are smaller than a camera's, so they are cut and enlarged, half of them with grain added, which an enlarged
photo lacks; and put side by side at their own size, which keeps them as sharp as they are.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from tqdm import tqdm

from nsfw_caffe import Classifier, ImageError
from nsfw_caffe.preprocessing.jpeg import FAST_SIDE, JPEG_FORMATS
from nsfw_caffe.results.record import THRESHOLDS

PHOTOS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
CUTS = 8
"""How many parts of each photo are scored, the whole being the first."""

SIDES = (1024, 1500, 2048, 3000, 4096)
"""The shorter side after enlarging: decoded at 1/2, 1/2, 1/4, 1/4 and 1/8."""

GRAIN = 6.0
"""Standard deviation of the grain, in levels."""

ENCODINGS = [(quality, subsampling) for quality in (75, 85, 92, 97) for subsampling in (0, 2)]


def main() -> None:
    """Score each picture both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    exact, fast = Classifier(), Classifier(decode="fast")
    scores: dict[int, list[tuple[float, float]]] = {}
    for data in tqdm(_pictures(options.folders), desc="pictures", unit=""):
        try:
            scores.setdefault(_fraction(data), []).append((exact.classify(data), fast.classify(data)))
        except ImageError:
            continue
    print("| decoded at | pictures | scores | max | 99th percentile | mean | verdicts changed at 0.2, 0.5, 0.8 |")
    print("|---|---|---|---|---|---|---|")
    for fraction, pairs in sorted(scores.items()):
        _print_row(f"1/{fraction}", np.array(pairs))
    _print_row("all", np.concatenate([np.array(pairs) for pairs in scores.values()]))


def _print_row(name: str, pairs: np.ndarray) -> None:
    exact, fast = pairs.T
    difference = abs(exact - fast)
    changed = ", ".join(str(((exact >= threshold) != (fast >= threshold)).sum()) for threshold in THRESHOLDS)
    print(
        f"| {name} | {len(pairs)} | {exact.min():.3f} to {exact.max():.3f} | {difference.max():.4f} "
        f"| {np.percentile(difference, 99):.4f} | {difference.mean():.4f} | {changed} |"
    )


def _pictures(folders: list[Path]) -> Iterator[bytes]:
    random = np.random.default_rng(2016)
    grain = random.normal(0, GRAIN, (1024, 1024, 3))
    photos = [Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB") for name in PHOTOS]
    number = 0
    for photo in photos:
        for cut in range(CUTS):
            part = photo.crop(_box(random, photo.size)) if cut else photo
            for side in SIDES:
                number += 1
                scale = side / min(part.size)
                size = (max(side, round(part.width * scale)), max(side, round(part.height * scale)))
                large = part.resize(size, Image.Resampling.LANCZOS)
                yield _encode(_with_grain(large, grain) if number % 2 else large, number)
    for columns in (2, 3, 5, 8):
        for shift in range(len(photos)):
            yield _encode(_side_by_side(photos[shift:] + photos[:shift], columns), shift)
    for folder in folders:
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            if _fraction(data) > 1:
                yield data


def _box(random: np.random.Generator, size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = (int(side * random.uniform(0.2, 0.8)) for side in size)
    left, top = (int(random.integers(whole - part)) for whole, part in zip(size, (width, height), strict=True))
    return left, top, left + width, top + height


def _with_grain(picture: Image.Image, grain: np.ndarray) -> Image.Image:
    repeats = (-(-picture.height // len(grain)), -(-picture.width // len(grain)), 1)
    noise = np.tile(grain, repeats)[: picture.height, : picture.width]
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def _side_by_side(photos: list[Image.Image], columns: int) -> Image.Image:
    """Put square photos into a square of at least 1024 pixels a side, as sharp as they are."""
    tile = max(320, -(-1024 // columns))
    whole = Image.new("RGB", (tile * columns, tile * columns))
    for place in range(columns * columns):
        photo = photos[place % len(photos)]
        left, top = max(0, photo.width - tile) // 2, max(0, photo.height - tile) // 2
        piece = photo.crop((left, top, left + min(tile, photo.width), top + min(tile, photo.height)))
        whole.paste(piece.resize((tile, tile)), (place % columns * tile, place // columns * tile))
    return whole


def _encode(picture: Image.Image, number: int) -> bytes:
    quality, subsampling = ENCODINGS[number % len(ENCODINGS)]
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return buffer.getvalue()


def _fraction(data: bytes) -> int:
    """Return n where a file is decoded at 1/n of its size, 1 where decode="fast" changes nothing."""
    try:
        picture = Image.open(io.BytesIO(data))
    except OSError:
        return 1
    if picture.format not in JPEG_FORMATS:
        return 1
    width = picture.width
    picture.draft("RGB", (FAST_SIDE, FAST_SIDE))
    return round(width / picture.width)


if __name__ == "__main__":
    main()
