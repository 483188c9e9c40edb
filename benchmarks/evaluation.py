#!/usr/bin/env python
"""Time and memory of a whole evaluation: numbers, text, JSON, page and plots.

python benchmarks/evaluation.py 10000000
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from nsfw_caffe.evaluate.comparison import compare_runs
from nsfw_caffe.evaluate.evaluation import evaluate
from nsfw_caffe.evaluate.labelled import LabelledScores
from nsfw_caffe.report.comparison import comparison_report
from nsfw_caffe.report.evaluation import evaluation_report
from nsfw_caffe.report.figures import to_png
from nsfw_caffe.report.json_text import to_json

Made = TypeVar("Made")


def main() -> None:
    """Evaluate simulated scores on one core, and print what each step took."""
    parser = argparse.ArgumentParser(description="Time and memory of a whole evaluation.")
    parser.add_argument("samples", type=int, nargs="?", default=1_000_000)
    samples = parser.parse_args().samples
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    data, others = simulated(samples)
    say("the data itself", 0.0)
    found = timed("numbers", lambda: evaluate(data))
    timed("text", lambda: evaluation_report(found).to_text())
    text = timed("JSON", lambda: to_json(found))
    page = timed("page", lambda: evaluation_report(found).to_html())
    timed("plots", lambda: [to_png(plot) for plot in evaluation_report(found).plots])
    compared = timed("comparison: numbers", lambda: compare_runs(data, others))
    other_page = timed("comparison: page", lambda: comparison_report(compared).to_html())
    print(f"JSON {len(text):,} B, page {len(page):,} B, page of the comparison {len(other_page):,} B")


def simulated(samples: int) -> tuple[LabelledScores, LabelledScores]:
    """Return scores of a tenth nsfw, and the same with a little noise."""
    rng = np.random.default_rng(0)
    labels = rng.random(samples) < 0.1
    scores = rng.beta(0.6, 6, samples)
    scores[labels] = rng.beta(4, 1.2, int(labels.sum()))
    noisy = np.clip(scores + rng.normal(0, 0.01, samples), 0, 1)
    groups = {"group": rng.integers(0, 4, samples).astype("U1")}
    return LabelledScores(labels, scores, groups=groups, name="first"), LabelledScores(labels, noisy, name="second")


def timed(what: str, make: Callable[[], Made]) -> Made:
    """Return what is made, and say how long that took."""
    start = time.perf_counter()
    made = make()
    say(what, time.perf_counter() - start)
    return made


def say(what: str, seconds: float) -> None:
    """Print a step with its time and the memory at its worst so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what:<22}{seconds:>8.2f} s{peak:>8.2f} GB at most so far", flush=True)


if __name__ == "__main__":
    main()
