from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, auc_interval, bootstrap
from nsfw_caffe.evaluate.labelled import Labels, Scores
from nsfw_caffe.evaluate.resampling import EXACT_LIMIT, SCORE_BINS, rows_of
from tests.evaluate.data import KINDS, separated

Counts = npt.NDArray[np.int64]


def share_of_nsfw(labels: Labels, _: Scores, sample_weight: Counts) -> float:
    return float(sample_weight[labels].sum() / sample_weight.sum())


@pytest.mark.parametrize("metric", [metrics.roc_auc_score, metrics.average_precision_score, metrics.brier_score_loss])
@pytest.mark.parametrize("kind", ["random", "many ties"])
def test_the_rows_with_their_counts_are_the_samples(kind: str, metric: object) -> None:
    labels, scores = KINDS[kind]
    row_labels, row_scores, counts = rows_of(Samples(labels, scores))
    assert callable(metric)
    assert metric(row_labels, row_scores, sample_weight=counts) == pytest.approx(metric(labels, scores), abs=1e-12)
    assert len(set(zip(row_labels, row_scores, strict=True))) == len(counts)


def test_the_interval_is_that_of_samples_drawn_one_by_one() -> None:
    labels, scores = separated(40, 70, digits=2)
    nsfw, sfw = scores[labels], scores[~labels]
    rng = np.random.default_rng(1)
    areas = []
    for _ in range(1000):
        drawn = np.concatenate([rng.choice(nsfw, len(nsfw)), rng.choice(sfw, len(sfw))])
        areas.append(metrics.roc_auc_score(np.repeat([1, 0], [len(nsfw), len(sfw)]), drawn))
    interval = bootstrap(labels, scores, statistic=metrics.roc_auc_score, resamples=1000)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(areas, [0.025, 0.975]), abs=0.008)
    assert (interval.level, interval.method) == (0.95, "bootstrap")


def test_the_seed_decides() -> None:
    labels, scores = KINDS["random"]

    def interval(seed: int) -> object:
        return bootstrap(labels, scores, statistic=metrics.roc_auc_score, resamples=50, seed=seed)

    assert interval(3) == interval(3)
    assert interval(3) != interval(4)


def test_stratified_resamples_keep_the_share_of_each_class() -> None:
    labels, scores = separated(30, 70)
    fixed = bootstrap(labels, scores, statistic=share_of_nsfw, resamples=200)
    free = bootstrap(labels, scores, statistic=share_of_nsfw, resamples=2000, stratified=False)
    assert (fixed.low, fixed.high) == (0.3, 0.3)
    assert (free.low, free.high) == pytest.approx((0.21, 0.39), abs=0.02)


def test_a_resample_of_one_class_is_drawn_again() -> None:
    seen = []

    def watch(labels: Labels, _: Scores, sample_weight: Counts) -> float:
        seen.append((int(sample_weight[labels].sum()), int(sample_weight[~labels].sum())))
        return 0.0

    bootstrap([1, 0, 0], [0.9, 0.1, 0.2], statistic=watch, resamples=200, stratified=False)
    assert len(seen) == 200
    assert {nsfw + sfw for nsfw, sfw in seen} == {3}
    assert all(nsfw and sfw for nsfw, sfw in seen)


def test_many_samples_are_drawn_from_in_bins() -> None:
    labels, scores = separated(60_000, 140_000)
    samples = Samples(labels, scores)
    row_labels, row_scores, counts = rows_of(samples)
    assert len(samples) > EXACT_LIMIT
    assert len(counts) <= 2 * (SCORE_BINS + 2)
    assert (int(counts[row_labels].sum()), int(counts[~row_labels].sum())) == (60_000, 140_000)
    assert (np.diff(row_scores[row_labels]) > 0).all()
    assert (np.diff(row_scores[~row_labels]) > 0).all()
    assert np.dot(row_scores, counts) == pytest.approx(scores.sum(), rel=1e-12)
    whole = metrics.roc_auc_score(labels, scores)
    assert metrics.roc_auc_score(row_labels, row_scores, sample_weight=counts) == pytest.approx(whole, abs=1e-6)
    interval = bootstrap(samples, statistic=metrics.roc_auc_score, resamples=400)
    exact = auc_interval(samples)
    assert interval.method == "bootstrap of 4096 bins"
    assert (interval.low, interval.high) == pytest.approx([exact.low, exact.high], abs=2e-4)


def test_no_score_is_in_two_bins() -> None:
    labels, scores = separated(60_000, 140_000, digits=2)
    row_labels, row_scores, counts = rows_of(Samples(labels, scores))
    assert 90 < len(row_scores[row_labels]) <= len(np.unique(scores[labels]))
    weighted = metrics.roc_auc_score(row_labels, row_scores, sample_weight=counts)
    assert weighted == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-6)


def test_bad_arguments_are_refused() -> None:
    labels, scores = KINDS["random"]
    for resamples in (0, 1, -5):
        with pytest.raises(EvaluationError, match=f"resamples={resamples}: expected 2 or more"):
            bootstrap(labels, scores, statistic=share_of_nsfw, resamples=resamples)
    with pytest.raises(EvaluationError, match="level=1"):
        bootstrap(labels, scores, statistic=share_of_nsfw, level=1)
    with pytest.raises(EvaluationError, match="there are only nsfw samples"):
        bootstrap([1, 1], [0.1, 0.2], statistic=share_of_nsfw)
    with pytest.raises(EvaluationError, match="the statistic is nan for a resample"):
        bootstrap(labels, scores, statistic=lambda *_, **__: float("nan"))
