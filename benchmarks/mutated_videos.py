#!/usr/bin/env python
"""Mutated videos and animations of every container and codec, through one process: crashes, hangs, escapes, memory.

    python -m benchmarks.mutated_videos --count 5000

Each is a clip of two seconds, or an animation, that was written here, with bits flipped, cut short, parts spliced in
from another, or numbers changed to odd ones: in its head, where a container has its sizes, or wherever. A clip is made
anew from its number: --only N scores that one. Its first frames are scored, and all are decoded, straight on and by
seeking. A process does that; this one watches it, and ends it where a clip takes ten times the time that it may.
"""

from __future__ import annotations

import dataclasses
import json
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import IO

from benchmarks.mutated_pictures import mutate, run
from nsfw_caffe.classifier import Classifier
from nsfw_caffe.errors import VideoError
from nsfw_caffe.sources.frames import frames
from tests import clips

_BOXES = (b"tkhd", b"mdhd", b"mvhd", b"stsd", b"stts", b"stsc", b"stsz", b"stco", b"ctts", b"elst", b"avc1", b"hvc1")
"""What an MP4 has its sizes, times and places in."""

_ODD = (0, 1, 2, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 100_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def main() -> int:
    """Score them and print a summary; the status is 1 where there was anything but scores and errors."""
    return run(__doc__, "benchmarks.mutated_videos", "videos", _work)


def _work(start: int, count: int, seed: int, output: IO[str]) -> None:
    warnings.simplefilter("ignore")
    classifier = Classifier(engine="onnxruntime", threads=1)
    seeds = _seeds()
    for number in range(start, count):
        rng = random.Random(f"{seed} {number}")
        kind, data = mutate(seeds, rng)
        if rng.random() < 0.5:
            data = _with_an_odd_number(data, rng)
        begin = time.perf_counter()
        error = _look_at(classifier, data)
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        told = {"number": number, "kind": kind, "error": error, "seconds": seconds, "peak": peak}
        print(json.dumps(told), file=output, flush=True)


def _look_at(classifier: Classifier, data: bytes) -> str | None:
    try:
        classifier.classify_video(data, limit=3)
        for every in (0.0, 2.5):
            for _ in frames(data, every, limit=500):
                pass
    except VideoError as error:
        return error.reason
    return None


def _with_an_odd_number(data: bytes, rng: random.Random) -> bytes:
    """Change a number in one of an MP4's boxes, if it is one, or anywhere."""
    places = [place for box in _BOXES if (place := data.find(box)) >= 0]
    place = rng.choice(places) + 4 * rng.randrange(1, 24) if places else rng.randrange(max(len(data) - 4, 1))
    return data[:place] + struct.pack(">I", rng.choice(_ODD)) + data[place + 4 :]


def _seeds() -> dict[str, list[bytes]]:
    """Return small clips of each kind, by its name."""
    seeds: dict[str, list[bytes]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips.CLIPS:
            path = dataclasses.replace(clip, seconds=2.0, segments=((0.5, 1.0),)).write(Path(folder))
            seeds.setdefault(clip.name.rpartition(".")[2], []).append(path.read_bytes())
        for kind in ("gif", "webp", "png", "avif"):
            path = clips.write_animation(Path(folder) / f"a.{kind}", [0.3] * 6)
            seeds[kind] = [path.read_bytes()]
    return seeds


if __name__ == "__main__":
    sys.exit(main())
