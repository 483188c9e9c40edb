#!/usr/bin/env python
"""How far each part of a set-up moves the bits, over the pictures in scikit-image's wheel.

    python benchmarks/fidelity.py             # the tables of docs/fidelity.md
    python benchmarks/fidelity.py --record    # renew nsfw_caffe/fidelity/recorded.json, which `nsfw-caffe verify` reads

It needs OpenBLAS, ATLAS and the reference BLAS side by side:
apt-get install libopenblas0-pthread libatlas3-base libblas3
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from platform import machine

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image
from tqdm import tqdm

from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.engines.blas import SONAME, loaded_blas, set_openblas_threads
from nsfw_caffe.engines.caffe import CaffeEngine
from nsfw_caffe.errors import ImageError
from nsfw_caffe.fidelity.measure import Environment, Measured, measure
from nsfw_caffe.fidelity.verify import units_in_last_place
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.resize import RESIZE, resize
from nsfw_caffe.preprocessing.steps import preprocess

PICTURES = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "retina.jpg", "rocket.jpg")
"""The recorded pictures: photographs, three of which are JPEG files."""

KERNELS = {
    "x86_64": ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX", "Cooperlake"),
    "aarch64": ("armv8", "neoversen1", "neoversev1"),
}
"""Kernels of OpenBLAS; the last two for x86-64 need a CPU with AVX-512, the last for arm64 one with SVE."""

LIBRARIES = {"openblas": "openblas-pthread", "atlas": "atlas", "reference": "blas"}

Measurements = dict[tuple[str, str], list[Measured]]


def main() -> None:
    """Measure, then print or record."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--record", action="store_true", help="write nsfw_caffe/fidelity/recorded.json")
    options = parser.parse_args()
    folder = Path(skimage.__file__).parent / "data"
    if options.record:
        paths = [folder / name for name in PICTURES]
        record(paths, measure_set_ups(paths))
    else:
        paths = [path for path in sorted(folder.iterdir()) if _is_picture(path)]
        print_table(len(paths), measure_set_ups(paths))
        print_resize_threads_and_batch(paths)


def measure_set_ups(paths: list[Path]) -> Measurements:
    """Return what each set-up makes of the pictures, by names of codec and BLAS."""
    environments = [{"LD_PRELOAD": _library("openblas"), "OPENBLAS_CORETYPE": kernel} for kernel in KERNELS[machine()]]
    environments += [{"LD_PRELOAD": _library(name)} for name in ("atlas", "reference")]
    measurements: Measurements = {}
    for environment in tqdm(environments, desc="BLAS kernels", file=sys.stderr):
        with _environment(environment):
            set_up, measured = measure(paths, ScoringOptions(engine="caffe"))
        measurements[_key(set_up)] = measured
    if importlib.util.find_spec("jpeglib"):
        set_up, measured = measure(paths, ScoringOptions.published())
        measurements[_key(set_up)] = measured
    return measurements


def record(paths: list[Path], measurements: Measurements) -> None:
    """Renew the file that `nsfw-caffe verify` compares with; what is there of other architectures' kernels stays."""
    target = Path(__file__).parent.parent / "nsfw_caffe" / "fidelity" / "recorded.json"
    known = {picture["file"]: picture for picture in json.loads(target.read_text())["pictures"]}
    pictures = []
    for index, path in enumerate(paths):
        tensors: dict[str, str] = {}
        scores: dict[str, dict[str, float]] = known.get(path.name, {"scores": {}})["scores"]
        for (codec, blas), measured in sorted(measurements.items()):
            if tensors.setdefault(codec, measured[index].tensor) != measured[index].tensor:
                raise SystemExit(f"{path.name}: the tensor depends on the BLAS, which cannot be")
            scores.setdefault(codec, {})[blas] = measured[index].score
        if path.name in known:  # one record for every architecture
            tensors = known[path.name]["tensors"] | tensors
        sha256 = next(iter(measurements.values()))[index].sha256
        pictures.append({"file": path.name, "sha256": sha256, "tensors": tensors, "scores": scores})
    target.write_text(json.dumps({"pictures": pictures}, indent=2) + "\n")
    print(f"wrote {target}: {len(pictures)} pictures, {len(measurements)} set-ups")


def print_table(count: int, measurements: Measurements) -> None:
    """Print how far each set-up is from ATLAS with Pillow's JPEG library."""
    anchor = np.array([measured.score for measured in measurements["pillow", "atlas"]])
    print(f"{count} pictures; difference to atlas with Pillow's JPEG library\n")
    print("| JPEG library | BLAS | scores that differ | largest difference | units in the last place |")
    print("|---|---|---|---|---|")
    for (codec, blas), measured in measurements.items():
        scores = np.array([picture.score for picture in measured])
        units = max(units_in_last_place(*pair) for pair in zip(scores, anchor, strict=True))
        print(f"| {codec} | {blas} | {(scores != anchor).sum()} | {abs(scores - anchor).max():.1e} | {units} |")


def print_resize_threads_and_batch(paths: list[Path]) -> None:
    """Print what a resize of both axes in one call, more threads and larger batches change on this machine."""
    codec = PillowCodec()
    sizes = [(width, height) for width in (64, 300, 750, 1080) for height in (300, 1334, 2400, 4000)]
    noise = np.random.default_rng(0).integers(0, 256, (4000, 1080, 3), dtype=np.uint8)
    differing = 0
    for width, height in sizes:
        picture = Image.fromarray(noise[:height, :width])
        one_call = picture.resize(RESIZE, Image.Resampling.BILINEAR)
        differing += bool((np.asarray(one_call) != np.asarray(resize(picture))).any())
    print(f"\nresize of both axes in one call, Pillow {version('pillow')}: {differing} of {len(sizes)} sizes differ")

    engine = create_engine(fetch(), ScoringOptions(engine="caffe"))
    assert isinstance(engine, CaffeEngine)
    tensors = np.stack([preprocess(path, codec) for path in paths])
    set_openblas_threads(1)
    reference = engine.forward(tensors)[:, 1]
    print(f"difference to one thread, one picture at a time, on {loaded_blas()}:")
    for count in (2, 3, 4, 8, 16):
        set_openblas_threads(count)
        print(f"  {count} threads: {_difference(engine.forward(tensors)[:, 1], reference)}")
    set_openblas_threads(1)
    for engine.batch_size in (2, 3, 5, 8, 16):
        print(f"  batches of {engine.batch_size}: {_difference(engine.forward(tensors)[:, 1], reference)}")


def _difference(scores: npt.NDArray[np.float32], reference: npt.NDArray[np.float32]) -> str:
    difference = abs(scores - reference)
    return f"{(difference > 0).sum()} of {len(scores)} scores differ, by {difference.max():.1e} at most"


def _key(environment: Environment) -> tuple[str, str]:
    return environment.codec, environment.blas


def _library(name: str) -> str:
    path = next(Path("/usr/lib").glob(f"*/{LIBRARIES[name]}/{SONAME}"), None)
    if path is None:
        raise SystemExit(f"no {name}: apt-get install libopenblas0-pthread libatlas3-base libblas3")
    return str(path)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = os.environ.copy()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _is_picture(path: Path) -> bool:
    if path.suffix not in (".gif", ".jpg", ".png", ".tif"):
        return False
    try:
        preprocess(path, PillowCodec())
    except ImageError:
        return False
    return True


if __name__ == "__main__":
    main()
