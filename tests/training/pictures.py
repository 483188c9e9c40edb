"""Labelled pictures that can be told apart: red ones and blue ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw(path: Path, hue: int, seed: int) -> Path:
    """Write a picture of blocks, no two alike, with one colour in front."""
    generator = np.random.default_rng((hue, seed))
    blocks = generator.integers(0, 120, (8, 8, 3), np.uint8)
    blocks[..., hue] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blocks).resize((96, 96), Image.Resampling.NEAREST).save(path)
    return path


def labelled(folder: Path, count: int = 16, classes: tuple[str, ...] = ("blue", "red")) -> Path:
    """Fill a folder with a folder a class."""
    for number, name in enumerate(classes):
        for seed in range(count):
            draw(folder / name / f"{seed:03}.png", (2, 0, 1)[number], seed)
    return folder
