#!/usr/bin/env python
"""Mutated pictures of every format that is read, through one process: crashes, escapes, slow ones, memory.

    python -m benchmarks.mutated_pictures --count 10000

Each is a small picture that Pillow has written (or, of formats that it does not write, a few lines here) with bits
flipped, cut short, parts spliced in from another, or numbers of its header changed to odd ones. A picture is made anew
from its number: --only N scores that one. A process scores all; this one watches it, and ends it where a picture takes
ten times the time that it may.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import random
import resource
import selectors
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from PIL import Image

from nsfw_caffe.classifier import Classifier
from nsfw_caffe.preprocessing.formats import COMMON, OTHERS
from nsfw_caffe.preprocessing.limits import LimitExceeded, Limits
from nsfw_caffe.sources.item import later_frames

FRAMES = 3
"""Of an animated picture, as `scan --frames` looks at them."""

_MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16")
_OPTIONS: dict[str, list[dict[str, Any]]] = {
    "JPEG": [{}, {"progressive": True}, {"restart_marker_rows": 1}],
    "TIFF": [{}, *({"compression": name} for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"))],
    "WEBP": [{}, {"lossless": True}],
    "TGA": [{}, {"compression": "tga_rle"}],
    "ICO": [{}, {"bitmap_format": "bmp"}],
    "JPEG2000": [{}, {"no_jp2": True}, {"tile_size": (32, 32)}],
    "DDS": [{}, {"pixel_format": "DXT1"}, {"pixel_format": "DXT5"}],
    "BLP": [{}, {"blp_version": "BLP1"}],
    "SGI": [{}, {"bpc": 2}],
}
_ANIMATED = ("GIF", "PNG", "WEBP", "TIFF", "MPO", "AVIF")
_ODD = (0, 1, 2, 3, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 30_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass
class Outcome:
    """What became of all pictures."""

    scored: collections.Counter[str] = field(default_factory=collections.Counter)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)
    slow: list[str] = field(default_factory=list)
    escapes: list[str] = field(default_factory=list)
    peak: int = 0


def main() -> int:
    """Score them and print a summary; the status is 1 where there was anything but scores and errors."""
    return run(__doc__, "benchmarks.mutated_pictures", "pictures", _work)


def run(description: str | None, module: str, what: str, work: Callable[[int, int, int, IO[str]], None]) -> int:
    """Do what the arguments say: some of the work itself, or watch over processes of the module that do it."""
    options = arguments(description)
    if options.only is not None:
        work(options.only, options.only + 1, options.seed, sys.stdout)
        return 0
    if options.worker:
        work(options.start, options.count, options.seed, sys.stdout)
        return 0
    return tell(watch(options.count, options.seed, options.seconds, module), options.seconds, what)


def arguments(description: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=2016)
    parser.add_argument("--seconds", type=float, default=10.0, help="slower ones are reported")
    parser.add_argument("--only", type=int, metavar="N", help="score number N alone, here")
    parser.add_argument("--from", type=int, default=0, dest="start", help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def tell(outcome: Outcome, seconds: float, what: str) -> int:
    """Print what became of them, and return the status."""
    for kind in sorted(outcome.scored | outcome.errors):
        print(f"{kind}: {outcome.scored[kind]} scored, {outcome.errors[kind]} errors")
    print("\n".join([*outcome.slow, *outcome.escapes]))
    print(
        f"{outcome.scored.total() + outcome.errors.total()} {what}: {outcome.scored.total()} scored, "
        f"{outcome.errors.total()} errors, {len(outcome.slow)} slower than {seconds} s, "
        f"{len(outcome.escapes)} crashes, hangs and escapes; peak memory {outcome.peak} MiB"
    )
    return 1 if outcome.slow or outcome.escapes else 0


def watch(count: int, seed: int, seconds: float, module: str) -> Outcome:
    """Have a process score pictures, or what a module has, and another one go on where it died."""
    outcome = Outcome()
    start = 0
    while start < count:
        start = _watch_one(start, count, seed, seconds, outcome, module)
    return outcome


def _watch_one(start: int, count: int, seed: int, seconds: float, outcome: Outcome, module: str) -> int:
    command = [sys.executable, "-m", module, "--worker"]
    command += ["--from", str(start), "--count", str(count), "--seed", str(seed)]
    number = start
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as process,
    ):
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while number < count:
                if not selector.select(10 * seconds + (60 if number == start else 0)):
                    outcome.escapes.append(f"number {number}: hangs")
                    process.kill()
                    return number + 1
                line = process.stdout.readline()
                if not line:
                    status = process.wait()
                    complaints.seek(0)
                    last = complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
                    outcome.escapes.append(f"number {number}: ended with status {status}: {last}")
                    return number + 1
                told = json.loads(line)
                number = told["number"] + 1
                outcome.peak = max(outcome.peak, told["peak"])
                (outcome.errors if told["error"] else outcome.scored)[told["kind"]] += 1
                if told["seconds"] > seconds:
                    outcome.slow.append(f"number {told['number']}: {told['seconds']:.1f} s, {told['error']}")
                if number % 500 == 0:
                    print(f"{number} of {count}, peak memory {outcome.peak} MiB", flush=True)
    return number


def _work(start: int, count: int, seed: int, output: IO[str]) -> None:
    warnings.simplefilter("ignore")
    classifier = Classifier(engine="onnxruntime", threads=1)
    seeds = _seeds()

    def sources() -> Iterator[bytes]:
        for number in range(start, count):
            pictures.append(mutate(seeds, random.Random(f"{seed} {number}")))
            yield pictures[-1][1]

    pictures: list[tuple[str, bytes]] = []
    begin = time.perf_counter()
    for number, result in enumerate(classifier.scan(sources(), workers=1), start):
        kind, data = pictures.pop()
        try:
            for frame in later_frames(data, FRAMES, Limits()):
                next(classifier.scan([frame], workers=1))
        except LimitExceeded:
            pass
        now = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        told = {"number": number, "kind": kind, "error": result.reason, "seconds": now - begin, "peak": peak}
        print(json.dumps(told), file=output, flush=True)
        begin = time.perf_counter()


def mutate(seeds: dict[str, list[bytes]], rng: random.Random) -> tuple[str, bytes]:
    """Return a format's name and a picture of it that is not quite right."""
    kind = rng.choice(sorted(seeds))
    data = bytearray(rng.choice(seeds[kind]))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice((_flip, _flip, _flip_in_header, _number, _number, _cut, _splice, _repeat))(data, rng, seeds[kind])
    return kind, bytes(data)


def _flip(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    for _flipped in range(rng.choice((1, 2, 8, 40))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_in_header(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    if data:
        data[rng.randrange(min(len(data), 64))] = rng.randrange(256)


def _number(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    form = rng.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(form)
    if len(data) > size:
        place = rng.randrange(min(len(data) - size, rng.choice((32, 128, 1024))))
        struct.pack_into(form, data, place, rng.choice(_ODD) & ((1 << 8 * size) - 1))


def _cut(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _splice(data: bytearray, rng: random.Random, others: list[bytes]) -> None:
    other = rng.choice(others)
    begin = rng.randrange(len(other))
    place = rng.randrange(len(data) + 1)
    data[place : place + rng.choice((0, 100))] = other[begin : begin + rng.choice((4, 64, 1000))]


def _repeat(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    begin = rng.randrange(len(data) + 1)
    data[begin:begin] = data[begin : begin + rng.choice((12, 100, 2000))] * rng.choice((2, 20, 200))


def _seeds() -> dict[str, list[bytes]]:
    """Return some small files of each format that is read."""
    Image.init()
    picture = Image.merge("RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L")])
    picture = picture.resize((96, 64))
    seeds: dict[str, list[bytes]] = {}
    for kind in (*COMMON, "MPO", *OTHERS):
        for mode in _MODES:
            for options in _OPTIONS.get(kind, [{}]):
                for frames in ([], [picture.rotate(90), picture.rotate(180)]) if kind in _ANIMATED else ([],):
                    converted = picture.convert("L").convert("I;16") if mode == "I;16" else picture.convert(mode)
                    more = {"save_all": True, "append_images": frames} if frames else {}
                    try:
                        stream = io.BytesIO()
                        converted.save(stream, kind, **options, **more)
                    except Exception:  # noqa: BLE001 - it writes other modes and options
                        continue
                    seeds.setdefault(kind, []).append(stream.getvalue())
    for kind, data in _by_hand(picture).items():
        seeds.setdefault(kind, []).append(data)
    return seeds


def _by_hand(picture: Image.Image) -> dict[str, bytes]:
    """Return files of formats that Pillow does not write."""
    width, height = picture.size
    rgb, grey = picture.tobytes(), picture.convert("L").tobytes()
    icon, page = io.BytesIO(), io.BytesIO()
    picture.save(icon, "ICO", bitmap_format="bmp", sizes=[(32, 32)])
    picture.save(page, "PCX")
    cards = [f"{name:8}= {value:>20}" for name, value in (("SIMPLE", "T"), ("BITPIX", 8), ("NAXIS", 2))]
    cards += [f"{name:8}= {value:>20}" for name, value in (("NAXIS1", width), ("NAXIS2", height))]
    fits = "".join(f"{card:80}" for card in [*cards, "END"]).encode().ljust(2880)
    rows = ",\n".join(
        '"' + "".join("ab"[level > 127] for level in grey[y : y + width]) + '"' for y in range(0, len(grey), width)
    )
    xpm = f'/* XPM */\nstatic char *x[] = {{\n"{width} {height} 2 1",\n"a c #000000",\n"b c #ffffff",\n{rows}\n}};\n'
    pixar = bytearray(1024)
    pixar[:4] = b"\200\350\000\000"
    struct.pack_into("<HH", pixar, 416, height, width)
    struct.pack_into("<HH", pixar, 424, 14, 2)
    mcidas = bytearray(struct.pack("!64i", *[0] * 64))
    struct.pack_into("!8i", mcidas, 0, 0, 4, 0, 0, 0, 0, 0, 0)
    for word, value in ((9, height), (10, width), (11, 1), (14, 1), (34, 256)):
        struct.pack_into("!i", mcidas, 4 * (word - 1), value)
    return {
        "CUR": b"\0\0\2\0" + icon.getvalue()[4:],
        "DCX": struct.pack("<3I", 0x3ADE68B1, 12, 0) + page.getvalue(),
        "FITS": fits + grey.ljust(-(-len(grey) // 2880) * 2880, b"\0"),
        "FTEX": b"FTEX"
        + struct.pack("<8i", 1, width, height, 1, 1, 1, 36, len(rgb))
        + struct.pack("<i", len(rgb))
        + rgb,
        "GBR": struct.pack(">5I4sI", 33, 2, width, height, 4, b"GIMP", 10) + b"name\0" + bytes(4 * width * height),
        "PCD": bytes(2048) + b"PCD_" + bytes(96 * 2048 - 2052) + grey * 96,
        "PIXAR": bytes(pixar) + rgb,
        "PSD": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, height, width, 8, 3) + bytes(14) + rgb,
        "SUN": struct.pack(">8I", 0x59A66A95, width, height, 24, len(rgb), 1, 0, 0) + rgb,
        "XPM": xpm.encode(),
        "XVTHUMB": f"P7 332\n#END_OF_COMMENTS\n{width} {height} 255\n".encode() + grey,
        "FLI": struct.pack("<IHHHHHHI", 128 + 1000, 0xAF12, 1, width, height, 8, 0, 70).ljust(128, b"\0")
        + struct.pack("<IHH", 1000, 0xF1FA, 1)
        + bytes(8)
        + struct.pack("<IH", 6, 13)
        + bytes(1000),
        "IMT": f"width {width}\nheight {height}\npixel n8\n".encode() + b"\x0c" + grey,
        "MCIDAS": bytes(mcidas) + grey,
    }


if __name__ == "__main__":
    sys.exit(main())
