"""The files that examples name, in docstrings and in the documentation."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from tests.support import PHOTOS

FILES = {
    "photo.jpg": "astronaut.png",
    "photos/cat.jpg": "chelsea.png",
    "photos/cup.jpg": "coffee.png",
    "photos/text.jpg": "README.txt",
    "labelled/nsfw/person.jpg": "astronaut.png",
    "labelled/nsfw/retina.jpg": "retina.jpg",
    "labelled/sfw/cup.jpg": "coffee.png",
    "labelled/sfw/text.jpg": "page.png",
}
"""What examples may use, and which of scikit-image's files it is; one is no picture, and the labels are made up."""

CLIP = ("chelsea.png", "astronaut.png")
"""What is shown in clip.gif, for 0.4 s and for 0.8 s."""

TABLE = "source,label,score\na.jpg,sfw,0.1\nb.jpg,sfw,0.4\nc.jpg,nsfw,0.35\nd.jpg,nsfw,0.8\n"
"""What is in the file labels.csv."""


def make_example_files(folder: Path) -> None:
    """Fill a folder with FILES, labels.csv and clip.gif."""
    for path, original in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PHOTOS / original, folder / path)
    (folder / "labels.csv").write_text(TABLE)
    first, second = (Image.open(PHOTOS / name).resize((256, 256)) for name in CLIP)
    first.save(folder / "clip.gif", save_all=True, append_images=[second], duration=[400, 800])
