#!/usr/bin/env python
"""What the largest pictures within the default limits cost: seconds and peak memory a picture, for each format.

    python benchmarks/largest_pictures.py

Each is made by a process of its own, and preprocessed by another, whose peak memory is what it has more than after the
imports: the file itself, and what the decoder and the conversion to RGB take. docs/limits.md has the table.
"""

from __future__ import annotations

import argparse
import io
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS
from nsfw_caffe.preprocessing.opening import STEPS_A_READ
from nsfw_caffe.preprocessing.steps import preprocess

SIDE = 10_000
_STEPS = DEFAULT_LIMITS.steps or 0
_FILES: dict[str, Callable[[], bytes]] = {
    "JPEG, 12 scans": lambda: _saved("RGB", "JPEG", progressive=True, subsampling=0),
    "JPEG, 64 scans, CMYK": lambda: _scans(_saved("CMYK", "JPEG", progressive=True, quality=95)),
    "JPEG of noise": lambda: _noise("JPEG", quality=95),
    "PNG, RGBA": lambda: _saved("RGBA", "PNG", compress_level=1),
    "PNG of noise": lambda: _noise("PNG", side=9000, compress_level=1),
    "PNG, 16 bits, RGBA": lambda: _png16(SIDE),
    "GIF": lambda: _saved("P", "GIF"),
    "WebP, lossless, RGBA": lambda: _saved("RGBA", "WEBP", lossless=True, method=0),
    "WebP, lossy": lambda: _saved("RGB", "WEBP", method=0),
    "AVIF": lambda: _saved("RGBA", "AVIF", speed=10, subsampling="4:4:4"),
    "JPEG 2000, RGBA": lambda: _saved("RGBA", "JPEG2000", irreversible=True, quality_layers=[200]),
    "TIFF, CMYK": lambda: _saved("CMYK", "TIFF", compression="tiff_lzw"),
    "TIFF of strips": lambda: _strips(100),
    "TGA": lambda: _saved("RGBA", "TGA", compression="tga_rle"),
    "BMP": lambda: _saved("RGB", "BMP", side=9000),
    "QOI": lambda: b"qoif" + struct.pack(">II", 2200, 2200) + b"\x04\0" + b"\xff\1\2\3\4" * 2200 * 2200,
    "PPM as text": lambda: b"P3 3162 3162 255 " + b"1 " * 3 * 3162 * 3162,
    "PNG of chunks": lambda: _chunks(400_000),
    "JPEG of segments": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 300_000 + _saved("RGB", "JPEG", side=16)[2:],
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        options.make.write_bytes(_FILES[options.names[0]]())
        return
    if options.measure:
        print(_measure(options.measure))
        return
    print("| picture | file, MB | seconds | memory, MB |\n|---|---|---|---|")
    for name in options.names or _FILES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            subprocess.run([sys.executable, __file__, "--make", str(path), name], check=True)
            run = subprocess.run([sys.executable, __file__, "--measure", str(path)], capture_output=True, text=True)
            told = run.stdout.strip() or f"status {run.returncode}: {run.stderr.strip().rpartition(chr(10))[2]}"
            print(f"| {name} | {path.stat().st_size / 1e6:.1f} | {told} |", flush=True)


def _measure(path: Path) -> str:
    preprocess(Image.new("RGB", (300, 300)), PillowCodec())
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.process_time()
    try:
        preprocess(path, PillowCodec())
        said = ""
    except Exception as error:  # noqa: BLE001 - it is what is to be known
        said = f" | {error}"
    seconds = time.process_time() - start
    return f"{seconds:.1f} | {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss) / 1000:.0f}{said}"


def _saved(mode: str, form: str, side: int = SIDE, **options: object) -> bytes:
    """Return a picture that is smooth, so that it is small, but nowhere the same."""
    picture = Image.linear_gradient("L").resize((side, side)).convert("RGB").convert(mode)
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def _noise(form: str, side: int = SIDE, **options: object) -> bytes:
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 256, (1000, 1000, 3), np.uint8)
    picture = Image.fromarray(np.tile(tile, (side // 1000, side // 1000, 1)))
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def _scans(data: bytes) -> bytes:
    last = data.rindex(b"\xff\xda")
    missing = (DEFAULT_LIMITS.jpeg_scans or 0) - data.count(b"\xff\xda")
    return data[:last] + data[last:-2] * missing + data[last:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png16(side: int) -> bytes:
    packer = zlib.compressobj(1)
    row = b"\0" + bytes(range(250)) * (side * 8 // 250)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunks(count: int) -> bytes:
    whole = _png16(10)
    return whole[:33] + _chunk(b"aaAa", b"") * count + whole[33:]


def _strips(side: int) -> bytes:
    """Return a small picture with as many strips as are allowed."""
    count = _STEPS // STEPS_A_READ
    fields = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (277, 1), (278, 1)]
    place = 8 + 2 + 12 * (len(fields) + 2) + 4
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields]
    entries.insert(5, struct.pack("<HHII", 273, 4, count, place))
    entries.append(struct.pack("<HHII", 279, 4, count, place + 4 * count))
    body = struct.pack("<I", place) * count + struct.pack("<I", 1) * count
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4) + body + bytes(side)


if __name__ == "__main__":
    main()
