#!/usr/bin/env python
"""Evaluate the model on a stand-in for labelled data: crops of the photos that scikit-image brings.

    python examples/evaluation.py FOLDER
    nsfw-caffe evaluate --nsfw FOLDER/nsfw --sfw FOLDER/sfw --html FOLDER/evaluation.html --thumbnails 8

None of these pictures is pornographic. The label is a stand-in: a picture counts as "nsfw" here if it shows a person
or a part of one (a portrait, a man with a camera, the back of an eye), and as "sfw" if it does not. The figures show
how an evaluation goes, and nothing about the model: for that, label some thousand pictures of your own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

PHOTOS = {
    "nsfw": ("astronaut.png", "camera.png", "retina.jpg"),
    "sfw": ("brick.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "hubble_deep_field.jpg", "ihc.png",
            "moon.png", "motorcycle_left.png", "page.png", "rocket.jpg"),
}  # fmt: skip


def main() -> None:
    """Make the two folders."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write them: a new or an empty folder")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="pictures of each label; default: 200")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="other seeds, other crops; default: 1")
    options = parser.parse_args()
    if options.folder.exists() and any(options.folder.iterdir()):
        parser.error(f"{options.folder} is not empty")
    random = np.random.default_rng(options.seed)
    for label, names in PHOTOS.items():
        (options.folder / label).mkdir(parents=True)
        for number in range(options.count):
            name = names[number % len(names)]
            write_crop(random, name, options.folder / label / f"{number:04}-{Path(name).stem}.jpg")
    print(
        f"{options.count} pictures in each of {options.folder}/nsfw and {options.folder}/sfw; the labels are stand-ins"
    )


def write_crop(random: np.random.Generator, name: str, path: Path) -> None:
    """Write a part of a photo, some of its sharpness lost, as a JPEG of some quality."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as photo:
        share = random.uniform(0.3, 1, 2)
        left, top = random.uniform(0, 1 - share)
        width, height = photo.size
        box = (left * width, top * height, (left + share[0]) * width, (top + share[1]) * height)
        crop = photo.convert("RGB").crop(box)
    side = int(random.integers(120, 640))
    crop.thumbnail((side, side))
    crop.save(path, quality=int(random.integers(30, 95)))


if __name__ == "__main__":
    main()
