#!/usr/bin/env python
"""Memory of a long scan: it has to stay flat.

    python -m benchmarks.memory ENGINE [PICTURES]    # 5,000 pictures by default

Prints the resident memory of this process and its workers, tenth by tenth of the run, and the ratio of the last tenth's
peak to the second's.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import cast

from tqdm import tqdm

from benchmarks.bench import make_pictures
from nsfw_caffe import Classifier
from nsfw_caffe.options import EngineChoice

PAGES_PER_MEGABYTE = 256


def main(engine: EngineChoice, count: int) -> None:
    """Scan the pictures, over and over, and print the table."""
    pictures = itertools.islice(itertools.cycle(make_pictures()), count)
    peaks = [0.0] * 10
    for index, result in enumerate(tqdm(Classifier(engine=engine).scan(pictures), total=count)):
        if result.error is not None:
            raise SystemExit(result.error)
        if index % 20 == 0:
            tenth = index * 10 // count
            peaks[tenth] = max(peaks[tenth], resident_megabytes())
    print(f"{engine}, {count} pictures, MB in each tenth: {', '.join(f'{peak:.0f}' for peak in peaks)}")
    print(f"last tenth to second: {peaks[-1] / peaks[1]:.3f}")


def resident_megabytes(process: int | str = "self") -> float:
    """Return the resident memory of a process, this one by default, and its children, in megabytes."""
    children = Path(f"/proc/{process}/task").glob("*/children")
    processes = [process, *itertools.chain.from_iterable(path.read_text().split() for path in children)]
    pages = sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in processes)
    return pages / PAGES_PER_MEGABYTE


if __name__ == "__main__":
    main(cast("EngineChoice", sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5_000)
