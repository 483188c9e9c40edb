#!/usr/bin/env python
"""Make many different picture files, some of them broken, from scikit-image's photos: the same in every run.

python benchmarks/make_pictures.py FOLDER --count 20000 --seed 1

The files lie in FOLDER/000, FOLDER/001 and so on, a thousand in each. They have some 20 to 300 kB, no two the same
content. One in fifty is broken: cut short, not a picture at all, or (one in all) empty.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import skimage
from PIL import Image

DATA = Path(skimage.__file__).parent / "data"
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "ihc.png", "retina.jpg")

FILES_A_FOLDER = 1000
ONE_BROKEN_IN = 50


class Format(NamedTuple):
    """A way to write a picture.

    Attributes
    ----------
    suffix : str
        Of the file's name.
    share : float
        How many of all pictures are written so.
    sides : tuple of int
        The least and the greatest width and height, for a file of 20 to 300 kB.
    options : dict
        For Pillow's writer: the fastest ways, for the pixels are what counts here.
    """

    suffix: str
    share: float
    sides: tuple[int, int]
    options: dict[str, Any]


FORMATS = {
    "JPEG": Format("jpg", 0.68, (400, 1000), {}),
    "PNG": Format("png", 0.12, (180, 400), {"compress_level": 1}),
    "WEBP": Format("webp", 0.10, (350, 700), {"method": 0}),
    "GIF": Format("gif", 0.05, (220, 480), {}),
    "BMP": Format("bmp", 0.05, (160, 300), {}),
}


def main() -> None:
    """Make the pictures and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where to write them: a new or an empty folder")
    parser.add_argument("--count", type=int, default=2000, metavar="N", help="how many files; default: 2000")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="other seeds, other pictures; default: 1")
    options = parser.parse_args()
    if options.count < 1:
        parser.error(f"--count {options.count}: expected 1 or more")
    if options.folder.exists() and (not options.folder.is_dir() or any(options.folder.iterdir())):
        parser.error(f"{options.folder} is there already, and is not an empty folder")
    broken, size = make(options.folder, options.count, options.seed)
    print(f"{options.count} files, {broken} of them broken, {size / 1e6:.1f} MB in {options.folder}")


def make(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """Write `count` files and return how many of them are broken, and the bytes of all.

    Raises
    ------
    RuntimeError
        Two files would have the same content: take another seed.
    """
    for number in range(-(-count // FILES_A_FOLDER)):
        (folder / f"{number:03}").mkdir(parents=True)
    broken = np.random.default_rng(seed).choice(count, count // ONE_BROKEN_IN, replace=False).tolist()
    hashes, size = set(), 0
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        task = functools.partial(_write, folder, seed, {index: kind for kind, index in enumerate(broken)})
        for digest, length in pool.map(task, range(count), chunksize=50):
            hashes.add(digest)
            size += length
    if len(hashes) != count:
        raise RuntimeError(f"seed {seed}: {count - len(hashes)} files have the content of another")
    return len(broken), size


def _write(folder: Path, seed: int, broken: dict[int, int], index: int) -> tuple[bytes, int]:
    random = np.random.default_rng((seed, index))
    name, content = _broken(random, broken[index]) if index in broken else _picture(random)
    (folder / f"{index // FILES_A_FOLDER:03}" / f"{index:06}.{name}").write_bytes(content)
    return hashlib.sha256(content).digest(), len(content)


def _picture(random: np.random.Generator) -> tuple[str, bytes]:
    """Return the suffix and the content of a part of a photo, in some size and some format."""
    name = str(random.choice(list(FORMATS), p=[form.share for form in FORMATS.values()]))
    form = FORMATS[name]
    photo = _photo(int(random.integers(len(PHOTOS))))
    shares = random.uniform(0.4, 1, 2)
    left, top = random.uniform(0, 1 - shares)
    box = (left, top, left + shares[0], top + shares[1])
    width, height = (int(side) for side in random.integers(*form.sides, 2))
    scaled = tuple(float(share * side) for share, side in zip(box, photo.size * 2, strict=True))
    picture = photo.resize((width, height), Image.Resampling.BILINEAR, box=scaled)  # type: ignore[arg-type]
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    quality = int(random.integers(70, 96))
    stream = io.BytesIO()
    picture.save(stream, name, quality=quality, **form.options)
    return form.suffix, stream.getvalue()


def _broken(random: np.random.Generator, number: int) -> tuple[str, bytes]:
    """Return the suffix and the content of the n-th broken file; the first one is empty."""
    if number == 0:
        return "jpg", b""
    if number % 3 == 0:
        return "jpg", b"<html>" + random.bytes(2000).hex().encode() + b"</html>"
    if number % 3 == 1:
        return "png", random.bytes(30_000)
    picture = _photo(number % len(PHOTOS)).resize([int(side) for side in random.integers(400, 800, 2)])
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return "jpg", stream.getvalue()[: len(stream.getvalue()) // 2]


@functools.cache
def _photo(number: int) -> Image.Image:
    return Image.open(DATA / PHOTOS[number]).convert("RGB")


if __name__ == "__main__":
    main()
