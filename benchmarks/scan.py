#!/usr/bin/env python
"""A large scan: its rate and its memory, and whether it survives SIGKILL.

    python benchmarks/make_pictures.py FOLDER --count 20000
    python -m benchmarks.scan rate FOLDER [SCAN OPTION...]
    python -m benchmarks.scan kill FOLDER [SCAN OPTION...]    # each format of RESULTS, killed at ten random moments

`rate` scans the folder, and once more when all is known. `kill` compares what a scan that was killed ten times gives
with what an unbroken one gives. Options, `--engine onnxruntime` for example, go to `nsfw-caffe scan`.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.memory import resident_megabytes
from nsfw_caffe.results.formats import read_results
from nsfw_caffe.results.record import Record

KILLS = 10
SAMPLE_EVERY = 0.2


def main(mode: str, folder: Path, options: list[str]) -> None:
    """Run the benchmark and print its figures."""
    with tempfile.TemporaryDirectory() as temporary:
        if mode == "rate":
            rate(folder, Path(temporary) / "results.parquet", options)
        else:
            kill(folder, Path(temporary), options)


def rate(folder: Path, results: Path, options: list[str]) -> None:
    """Scan the folder twice, the second time with all known."""
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    seconds, peaks = measured(start(folder, results, options))
    records = list(read_results(results))
    errors = Counter(record.error for record in records if record.error is not None)
    print(f"{len(files)} files, {len(records)} rows, {errors.total()} errors in {seconds:.1f} s")
    print(f"{len(files) / seconds:.1f} files/s; MB in each tenth: {', '.join(f'{peak:.0f}' for peak in peaks)}")
    print("the rows are those of the files:", [record.source for record in records] == files)
    for error, count in errors.most_common(5):
        print(f"  {count} x {error}")
    seconds, peaks = measured(start(folder, results, options))
    print(f"with all known: {seconds:.1f} s, at most {max(peaks):.0f} MB")


def start(folder: Path, results: Path, options: list[str]) -> subprocess.Popen[bytes]:
    """Start a scan."""
    return subprocess.Popen([sys.executable, "-m", "nsfw_caffe", "scan", folder, "-o", results, *options])


def measured(scan: subprocess.Popen[bytes]) -> tuple[float, list[float]]:
    """Wait for a scan; return its seconds, and the peak of its memory in each tenth of them."""
    begin = time.monotonic()
    samples = []
    while scan.poll() is None:
        with contextlib.suppress(OSError):  # it ends just now
            samples.append(resident_megabytes(scan.pid))
        time.sleep(SAMPLE_EVERY)
    seconds = time.monotonic() - begin
    tenths = [samples[len(samples) * tenth // 10 : len(samples) * (tenth + 1) // 10] for tenth in range(10)]
    return seconds, [max(tenth) for tenth in tenths if tenth]


def kill(folder: Path, temporary: Path, options: list[str]) -> None:
    """Kill scans into each format at random moments, and compare."""
    seconds, _ = measured(start(folder, temporary / "unbroken.csv", options))
    expected = facts(temporary / "unbroken.csv")
    print(f"unbroken: {len(expected)} rows in {seconds:.1f} s")
    moments = random.Random(1)
    for ending in ("csv", "jsonl", "parquet", "sqlite"):
        results = temporary / f"killed.{ending}"
        for _ in range(KILLS):
            scan = start(folder, results, options)
            time.sleep(moments.uniform(0, 1.5 * seconds / KILLS))
            assert scan.poll() is None, "the scan was over before it was killed"
            scan.kill()
            scan.wait()
        start(folder, results, options).wait()
        found = facts(results)
        left = [path.name for path in temporary.iterdir() if path.name.startswith(".")]
        print(
            f"{ending}: {KILLS} kills, {len(found)} rows, {'equal' if found == expected else 'DIFFERENT'}, left: {left}"
        )


def facts(results: Path) -> list[tuple[str, float | None, str | None]]:
    """Read of each row what does not depend on when it was made."""

    def fact(record: Record) -> tuple[str, float | None, str | None]:
        return record.source, record.score, record.error

    return [fact(record) for record in read_results(results)]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
