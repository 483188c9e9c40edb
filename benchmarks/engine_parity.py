#!/usr/bin/env python
"""How far the portable engines are from Caffe, over the tests' corpus: the table of docs/engines.md.

python -m benchmarks.engine_parity             # from the checkout's root
python -m benchmarks.engine_parity FOLDER      # over the pictures in a folder instead
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

from nsfw_caffe import Classifier, EngineUnavailable
from nsfw_caffe.results.record import THRESHOLDS
from tests.fidelity import corpus

SET_UPS = (("onnxruntime", "float32"), ("openvino", "float32"), ("openvino", "bfloat16"))


def main() -> None:
    """Score everything with each engine, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, help="pictures to score")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's, about files that are odd on purpose
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(options.folder.iterdir()) if options.folder else corpus.generate(Path(folder))
        print_table(paths)


def print_table(paths: list[Path]) -> None:
    """Print a row an engine; what Caffe cannot score is left out."""
    caffes = {result.source: result.score for result in Classifier(engine="caffe").scan(paths)}
    scored = [path for path in paths if caffes[path] is not None]
    expected = np.array([caffes[path] for path in scored])
    print(f"{len(scored)} files\n")
    print("| engine | precision | largest difference | mean | 99th percentile | verdicts changed at 0.2, 0.5, 0.8 |")
    print("|---|---|---|---|---|---|")
    for name, precision in SET_UPS:
        label = f"| {name} {version(name)} | {precision} "
        try:
            results = Classifier(engine=name, precision=precision).scan(scored)
        except EngineUnavailable as error:
            print(f"{label}| {error} | | | |")
            continue
        found = np.array([result.score for result in results])
        difference = np.abs(found - expected)
        changed = [int(((found >= threshold) != (expected >= threshold)).sum()) for threshold in THRESHOLDS]
        print(
            f"{label}| {difference.max():.1e} | {difference.mean():.1e} | {np.percentile(difference, 99):.1e} "
            f"| {', '.join(map(str, changed))} |"
        )


if __name__ == "__main__":
    main()
