from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Samples, Share, auc_interval, confusion, roc, strata
from nsfw_caffe.evaluate.groups import GroupTest, Strata
from tests.evaluate.data import separated


def from_rates(*groups: tuple[str, int, int, int, int]) -> Strata:
    """Return the strata of groups with so many sfw samples, false positives, nsfw samples and false negatives."""
    labels: list[int] = []
    scores: list[float] = []
    names: list[str] = []
    for name, sfw, alarms, nsfw, missed in groups:
        labels += [0] * sfw + [1] * nsfw
        scores += [0.9] * alarms + [0.1] * (sfw - alarms) + [0.1] * missed + [0.9] * (nsfw - missed)
        names += [name] * (sfw + nsfw)
    return strata(labels, scores, groups=names, threshold=0.5)


def test_each_group_is_evaluated_by_itself() -> None:
    labels, scores = separated(90, 120, digits=2)
    groups = np.random.default_rng(4).choice(["png", "gif", "jpeg"], 210)
    found = strata(Samples(labels, scores), groups=groups, threshold=0.5, level=0.9)
    assert [stratum.group for stratum in found.groups] == ["gif", "jpeg", "png"]
    assert found.threshold == 0.5
    for stratum in found.groups:
        part = groups == stratum.group
        counts = confusion(labels[part], scores[part], threshold=0.5)
        assert (stratum.samples, stratum.nsfw) == (part.sum(), labels[part].sum())
        assert stratum.auc == roc(labels[part], scores[part]).auc
        assert stratum.auc_interval == auc_interval(labels[part], scores[part], level=0.9)
        assert (stratum.fpr, stratum.fnr) == (counts.share("fpr", level=0.9), counts.share("fnr", level=0.9))


def test_large_groups_are_tested_by_chi_squared() -> None:
    found = from_rates(("a", 500, 25, 300, 30), ("b", 400, 60, 200, 22), ("c", 100, 10, 100, 9))
    fpr = chi2_contingency([[25, 60, 10], [475, 340, 90]], correction=False).pvalue
    fnr = chi2_contingency([[30, 22, 9], [270, 178, 91]], correction=False).pvalue
    assert fpr < fnr
    assert found.fpr_test.p_value == pytest.approx(2 * fpr, rel=1e-9)
    assert (found.fpr_test.differs, found.fpr_test.method) == (True, "chi-squared")
    assert found.fnr_test.p_value == pytest.approx(fnr, rel=1e-9)
    assert (found.fnr_test.differs, found.fnr_test.method) == (False, "chi-squared")


def test_small_groups_are_tested_by_permutation() -> None:
    found = from_rates(("a", 12, 7, 10, 3), ("b", 15, 1, 10, 3))
    # Of two groups, those permutations are Fisher's tables; his order of them agrees with chi-squared's here.
    exact = fisher_exact([[7, 1], [5, 14]]).pvalue
    assert found.fpr_test.p_value == pytest.approx(2 * exact, abs=0.004)
    assert (found.fpr_test.differs, found.fpr_test.method) == (True, "permutation")
    assert found.fnr_test == GroupTest(1.0, False, "permutation")


def test_p_values_are_holms() -> None:
    found = from_rates(("a", 1000, 100, 1000, 130), ("b", 1000, 140, 1000, 100))
    fpr = chi2_contingency([[100, 140], [900, 860]], correction=False).pvalue
    fnr = chi2_contingency([[130, 100], [870, 900]], correction=False).pvalue
    assert fpr < 0.025 < fnr < 0.05
    assert found.fpr_test.p_value == pytest.approx(2 * fpr, rel=1e-9)
    assert found.fnr_test.p_value == pytest.approx(fnr, rel=1e-9)
    assert found.fpr_test.differs
    assert found.fnr_test.differs
    # The larger one is never given a smaller value than the smaller one.
    close = from_rates(("a", 1000, 100, 1000, 100), ("b", 1000, 138, 1000, 137))
    assert close.fnr_test.p_value == close.fpr_test.p_value


def test_what_cannot_be_compared_does_not_differ() -> None:
    single = from_rates(("a", 30, 10, 30, 5))
    assert single.fpr_test == single.fnr_test == GroupTest(1.0, False, "one group")
    halves = from_rates(("a", 30, 10, 0, 0), ("b", 0, 0, 30, 5))
    assert halves.fpr_test.method == "one group"
    assert [stratum.auc for stratum in halves.groups] == [None, None]
    assert [stratum.auc_interval for stratum in halves.groups] == [None, None]
    assert halves.groups[0].fnr == Share(0, 0)
    flawless = from_rates(("a", 30, 0, 30, 30), ("b", 40, 0, 10, 10))
    assert flawless.fpr_test == flawless.fnr_test == GroupTest(1.0, False, "chi-squared")


def test_groups_of_every_type_have_a_name() -> None:
    def names(groups: object) -> list[str]:
        found = strata([1, 0, 1], [0.5, 0.5, 0.5], groups=np.asarray(groups), threshold=0.5)
        return [stratum.group for stratum in found.groups]

    assert names([2, 10, 2]) == ["2", "10"]
    assert names([True, False, True]) == ["False", "True"]
    assert names(np.array(["a", None, 1], object)) == ["1", "None", "a"]


def test_every_sample_needs_a_group() -> None:
    with pytest.raises(EvaluationError, match=r"groups of shape \(1,\) for 2 samples: every sample needs one"):
        strata([1, 0], [0.5, 0.5], groups=["a"], threshold=0.5)
