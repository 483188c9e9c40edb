from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import auc_interval, choose_threshold, confusion, policy, precision_recall, roc, strata
from nsfw_caffe.evaluate.evaluation import POINTS, RATES, evaluate
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.results.record import Provenance
from tests.evaluate.labelled import of, simulated

QUICK = Options(resamples=100)


def test_it_says_what_the_statistics_say() -> None:
    groups = np.array(["a", "b"] * 200)
    data = simulated(groups={"side": groups})
    found = evaluate(data, QUICK)
    labels, scores = data.labels, data.scores
    assert (found.nsfw, found.sfw) == (int(labels.sum()), int((~labels).sum()))
    assert (found.roc.auc, found.roc.auc_interval) == (roc(labels, scores).auc, auc_interval(labels, scores))
    assert found.precision_recall.average_precision == precision_recall(labels, scores).average_precision
    assert found.confusions == tuple(confusion(labels, scores, threshold=value) for value in (0.2, 0.5, 0.8))
    assert found.choice == choose_threshold(labels, scores, fpr=0.01)
    assert found.policy == policy(labels, scores)
    assert found.strata == (("side", strata(labels, scores, groups=groups, threshold=found.choice.threshold)),)
    assert all(point.fnr <= rate for point, rate in zip(found.fpr_at_fnr, RATES, strict=True))
    assert all(point.fpr <= rate for point, rate in zip(found.fnr_at_fpr, RATES, strict=True))
    assert (found.distinct_scores, found.no_choice) == (400, None)


def test_the_same_data_gives_the_same_numbers() -> None:
    data = simulated()
    assert repr(evaluate(data, QUICK)) == repr(evaluate(data, QUICK))
    assert evaluate(data, dataclasses.replace(QUICK, seed=1)).brier_interval != evaluate(data, QUICK).brier_interval


def test_options_reach_the_numbers() -> None:
    options = Options((0.3,), fnr=0.1, low=0.1, high=0.6, bins=4, level=0.9, resamples=100, worst=3, confident=True)
    data = simulated()
    found = evaluate(data, options)
    assert found.choice == choose_threshold(data.labels, data.scores, fnr=0.1, level=0.9, confident=True)
    assert (found.policy.low, found.policy.high, len(found.calibration.counts)) == (0.1, 0.6, 4)
    assert (len(found.confusions), len(found.highest_sfw), len(found.lowest_nsfw)) == (1, 3, 3)
    intervals = (found.roc.auc_interval, found.average_precision_interval, found.brier_interval, found.ece_interval)
    assert {interval.level for interval in intervals} == {0.9}
    assert found.policy.passed.level == found.fpr_at_fnr[0].fpr_interval.level == 0.9


@pytest.mark.parametrize("label", ["n", "s"])
def test_one_class_is_refused(label: str) -> None:
    with pytest.raises(EvaluationError, match="an evaluation needs both classes; add labelled"):
        evaluate(of(label * 3, [0.1, 0.2, 0.3]))


def test_two_samples() -> None:
    found = evaluate(of("ns", [0.9, 0.1]), QUICK)
    assert (found.roc.auc, found.nsfw, found.sfw) == (1, 1, 1)


def test_a_goal_out_of_reach_is_said() -> None:
    found = evaluate(of("ns" * 40, [0.1, 0.9] * 40), Options(precision=0.9, resamples=100))
    assert found.choice is None
    assert found.no_choice is not None
    assert found.no_choice.startswith("precision >= 0.9 cannot be reached: ")


def test_distinct_scores_are_counted() -> None:
    assert evaluate(of("nsss" * 40, [0.5, 0.5, 0.25, 0.75] * 40), QUICK).distinct_scores == 3


def test_what_was_left_out_is_told() -> None:
    set_ups = [Provenance("caffe", "float32", "exact", frames, "ab" * 32) for frames in (1, 2)]
    left_out = {"repeats": 2, "same_content": 1, "contradictions": 3}
    data = simulated(failures=[("a", "it is empty")], set_ups=set_ups, versions=["0.1.0"], **left_out)
    found = evaluate(data, QUICK)
    assert {name: getattr(found, name) for name in left_out} == left_out
    assert (found.failures, found.set_ups, found.versions) == ((("a", "it is empty"),), tuple(set_ups), ("0.1.0",))


def test_curves_are_thinned_and_areas_are_not() -> None:
    data = simulated(30_000)
    found = evaluate(data, Options(resamples=10))
    assert len(found.precision_recall.recall) <= POINTS < data.labels.sum()
    assert len(found.roc.fpr) <= POINTS
    assert found.roc.auc == roc(data.labels, data.scores).auc
