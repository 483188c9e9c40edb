from __future__ import annotations

import numpy as np
import pytest

from nsfw_caffe.evaluate import Samples, confusion, roc
from nsfw_caffe.evaluate.extracts import BINS, histogram, rate_curves, thin_roc, worst
from tests.evaluate.labelled import of, simulated


@pytest.mark.parametrize("nsfw", [True, False])
@pytest.mark.parametrize("decimals", [15, 1])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_the_worst_of_a_class_in_order(nsfw: bool, decimals: int, count: int) -> None:
    data = simulated(300)
    samples = Samples(data.labels, data.scores.round(decimals))
    sign = 1 if nsfw else -1
    everybody = [(sign * score, index) for index, score in enumerate(samples.scores) if samples.labels[index] == nsfw]
    names = [f"{index}.jpg" for index in range(300)]
    found = worst(samples, names, count, nsfw=nsfw)
    assert [(sign * mistake.score, mistake.index) for mistake in found] == sorted(everybody)[:count]
    assert [mistake.source for mistake in found] == [names[mistake.index] for mistake in found]


def test_without_names() -> None:
    data = of("ns", [0.2, 0.7])
    assert worst(Samples(data.labels, data.scores), None, 1, nsfw=True)[0].source is None


def test_histograms_count_every_score() -> None:
    counts = histogram(np.array([0, 0.0199, 0.02, 0.5, 1.0, 1.0]))
    assert (len(counts), counts.sum()) == (BINS, 6)
    assert counts[[0, 1, 25, 49]].tolist() == [2, 1, 1, 2]


def test_rates_at_even_thresholds() -> None:
    data = simulated()
    curves = rate_curves(Samples(data.labels, data.scores))
    for index in (0, 1, 250, 499, 500):
        counts = confusion(data.labels, data.scores, threshold=curves.thresholds[index])
        assert curves.fpr[index] == pytest.approx(counts.fpr, abs=1e-12)
        assert curves.fnr[index] == counts.fnr


def test_a_thin_roc_looks_the_same_on_both_axes() -> None:
    data = simulated(60_000)
    curve = roc(data.labels, data.scores)
    thin = thin_roc(curve, 1000)
    assert len(curve.fpr) > 1000 >= len(thin.fpr)
    points, kept = ([*zip(c.fpr, c.tpr, c.thresholds, strict=True)] for c in (curve, thin))
    assert set(kept) <= set(points)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert (thin.auc, thin.auc_interval) == (curve.auc, curve.auc_interval)
    for across in (np.asarray, lambda fpr: np.log(np.maximum(fpr, 1e-5)) / np.log(1e5)):
        apart = np.abs(across(curve.fpr)[:, np.newaxis] - across(thin.fpr))
        apart += np.abs(curve.tpr[:, np.newaxis] - thin.tpr)
        assert apart.min(axis=1).max() < 0.01
    assert thin_roc(thin, 1000) is thin
