from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, auc_interval, confusion, precision_recall, roc, thin
from nsfw_caffe.evaluate.curves import BINS, histogram, rate_curves, thin_roc
from tests.evaluate.data import KINDS, area, count, rates, separated, thresholds
from tests.evaluate.labelled import simulated


@pytest.mark.parametrize("kind", KINDS)
def test_an_roc_curve_has_the_rates_at_its_thresholds(kind: str) -> None:
    labels, scores = KINDS[kind]
    curve = roc(labels, scores)
    plain = {threshold: (fpr, 1 - fnr) for threshold, fpr, fnr in rates(labels, scores)}
    for threshold, fpr, tpr in zip(curve.thresholds.tolist(), curve.fpr, curve.tpr, strict=True):
        assert (fpr, tpr) == pytest.approx(plain[threshold], abs=1e-12)
    theirs = metrics.roc_curve(labels, scores)
    for ours, other in zip((curve.fpr, curve.tpr, curve.thresholds), theirs, strict=True):
        assert (ours == other).all()
    assert curve.thresholds[0] == np.inf
    assert curve.auc == pytest.approx(area(labels, scores), abs=1e-12)
    assert curve.auc == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert metrics.auc(curve.fpr, curve.tpr) == pytest.approx(curve.auc, abs=1e-12)
    assert curve.auc_interval == auc_interval(labels, scores)


@pytest.mark.parametrize("kind", KINDS)
def test_a_precision_recall_curve_has_the_rates_at_its_thresholds(kind: str) -> None:
    labels, scores = KINDS[kind]
    curve = precision_recall(Samples(labels, scores))
    assert curve.thresholds.tolist() == thresholds(scores)[:-1]
    steps = 0.0
    for index, threshold in enumerate(curve.thresholds):
        found, alarms, _, missed = count(labels, scores, threshold)
        precision, recall = found / (found + alarms), found / (found + missed)
        assert (curve.precision[index], curve.recall[index]) == pytest.approx([precision, recall], abs=1e-12)
        steps += precision * (recall - float(curve.recall[index + 1]))
    assert (curve.precision[-1], curve.recall[-1]) == (1, 0)
    assert curve.average_precision == pytest.approx(steps, abs=1e-12)
    assert curve.average_precision == pytest.approx(metrics.average_precision_score(labels, scores), abs=1e-12)


def test_a_thin_curve_lies_on_the_curve_and_near_all_of_it() -> None:
    labels, scores = separated(4000, 5000)
    curve = roc(labels, scores)
    for points in (2, 3, 50, 400):
        thinned = thin(curve, points)
        assert 0.8 * points <= len(thinned.fpr) == len(thinned.tpr) == len(thinned.thresholds) <= points
        whole = set(zip(curve.fpr.tolist(), curve.tpr.tolist(), curve.thresholds.tolist(), strict=True))
        assert whole >= set(zip(thinned.fpr.tolist(), thinned.tpr.tolist(), thinned.thresholds.tolist(), strict=True))
        assert (thinned.fpr[0], thinned.tpr[0], thinned.fpr[-1], thinned.tpr[-1]) == (0, 0, 1, 1)
        gaps = np.abs(curve.fpr[:, None] - thinned.fpr) + np.abs(curve.tpr[:, None] - thinned.tpr)
        assert gaps.min(axis=1).max() <= 2 / (points - 1)
        assert (thinned.auc, thinned.auc_interval) == (curve.auc, curve.auc_interval)


def test_a_precision_recall_curve_is_thinned_with_its_thresholds() -> None:
    labels, scores = separated(4000, 5000)
    curve = precision_recall(labels, scores)
    thinned = thin(curve, 100)
    assert len(thinned.precision) == len(thinned.recall) == len(thinned.thresholds) + 1 <= 100
    for threshold, precision, recall in zip(thinned.thresholds, thinned.precision, thinned.recall, strict=False):
        index = int(np.searchsorted(curve.thresholds, threshold))
        assert (curve.precision[index], curve.recall[index]) == (precision, recall)
    assert (thinned.precision[-1], thinned.recall[-1]) == (1, 0)
    assert thinned.average_precision == curve.average_precision


def test_a_short_curve_stays_whole() -> None:
    curve = roc(*KINDS["many ties"])
    assert thin(curve, len(curve.fpr)) is curve
    with pytest.raises(EvaluationError, match="points=1: a curve has 2 or more"):
        thin(curve, 1)


@pytest.mark.parametrize(("label", "name", "missing"), [(0, "sfw", "nsfw"), (1, "nsfw", "sfw")])
def test_curves_need_both_classes(label: int, name: str, missing: str) -> None:
    for curve, what in ((roc, "an ROC curve"), (precision_recall, "a precision-recall curve")):
        message = f"there are only {name} samples: {what} needs both classes; add labelled {missing} pictures"
        with pytest.raises(EvaluationError, match=message):
            curve([label, label], [0.1, 0.9])


def test_histograms_count_every_score() -> None:
    counts = histogram(np.array([0, 0.0199, 0.02, 0.5, 1.0, 1.0]))
    assert (len(counts), int(counts.sum())) == (BINS, 6)
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
