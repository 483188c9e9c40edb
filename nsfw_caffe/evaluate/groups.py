"""Whether scores are as good for one group of samples as for another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.delong import interval_of, placements
from nsfw_caffe.evaluate.error_rates import confusion
from nsfw_caffe.evaluate.intervals import LEVEL, Interval, Share
from nsfw_caffe.evaluate.libraries import load
from nsfw_caffe.evaluate.samples import Samples, samples_of

LEAST_EXPECTED = 5
"""The chi-squared distribution is taken where each cell has so many or more expected (Cochran, Biometrics 10, 1954)."""

PERMUTATIONS = 9999
"""How many permutations are drawn where it cannot be taken: the least p-value is then 1 in 10,000."""


@dataclass(frozen=True)
class Stratum:
    """One group.

    Attributes
    ----------
    group : str
        Its name.
    samples, nsfw : int
        How many samples it has, and how many of them are nsfw.
    auc, auc_interval : float and Interval, or None
        The area under its ROC curve, and `nsfw_caffe.evaluate.auc_interval`; None where it has one class only.
    fpr, fnr : Share
        The error rates at the threshold.
    """

    group: str
    samples: int
    nsfw: int
    auc: float | None
    auc_interval: Interval | None
    fpr: Share
    fnr: Share


@dataclass(frozen=True)
class GroupTest:
    """Whether the groups' true rates may be one and the same.

    Attributes
    ----------
    p_value : float
        How probable differences as large as these, or larger, are by chance; adjusted after Holm for there being two
        tests, of FPR and of FNR. 1 where there is nothing to compare.
    differs : bool
        Whether it is so small that the rates differ beyond chance: less than 1 minus the level, 0.05 by default.
    method : str
        "chi-squared", "permutation" where numbers are small, or "one group" where less than two groups have samples of
        the class.
    """

    p_value: float
    differs: bool
    method: str


@dataclass(frozen=True)
class Strata:
    """The groups, and whether they differ.

    Attributes
    ----------
    threshold : float
        A sample is taken for nsfw where its score is this or more.
    groups : tuple of Stratum
        In the order of their names.
    fpr_test, fnr_test : GroupTest
        Of the false positive rates and of the false negative rates.
    """

    threshold: float
    groups: tuple[Stratum, ...]
    fpr_test: GroupTest
    fnr_test: GroupTest


def strata(
    labels: npt.ArrayLike | Samples,
    scores: npt.ArrayLike | None = None,
    *,
    groups: npt.ArrayLike,
    threshold: float,
    level: float = LEVEL,
    seed: int = 0,
) -> Strata:
    """Evaluate each group of samples by itself, and test whether the groups' error rates differ beyond chance.

    Rates are compared by Pearson's chi-squared of errors by group. Where a number expected is less than 5, its
    distribution is that over 9,999 random permutations of the errors among the samples, with the observed one as one
    more (Phipson and Smyth, SAGMB 9, 2010).

    Parameters
    ----------
    labels, scores
        See `Samples`.
    groups : array_like
        (n,): each sample's group, as text or anything that has one.
    threshold : float
        A sample is taken for nsfw where its score is this or more.
    level : float, default 0.95
        Of the intervals and the tests.
    seed : int, default 0
        Of the permutations.

    Raises
    ------
    EvaluationError
        If the samples are unusable, or there are not as many groups as samples, or SciPy is not installed.

    Examples
    --------
    >>> from nsfw_caffe.evaluate import strata
    >>> found = strata([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], groups=["jpeg", "png", "jpeg", "png"], threshold=0.3)
    >>> [(group.group, group.samples, group.fpr.value) for group in found.groups]
    [('jpeg', 2, 0.0), ('png', 2, 1.0)]
    >>> found.fpr_test.differs
    False
    """
    samples = samples_of(labels, scores)
    found = tuple(_strata(samples, np.asarray(groups), threshold, level))
    rng = np.random.default_rng(seed)
    tests = [_test([group.fpr for group in found], rng), _test([group.fnr for group in found], rng)]
    return Strata(threshold, found, *_holm(tests, 1 - level))


def _strata(samples: Samples, groups: npt.NDArray[np.generic], threshold: float, level: float) -> Iterator[Stratum]:
    if groups.shape != samples.labels.shape:
        raise EvaluationError(f"groups of shape {groups.shape} for {len(samples)} samples: every sample needs one")
    if groups.dtype == np.object_:
        groups = groups.astype(np.str_)
    names, numbers = np.unique(groups, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers))[:-1]
    for name, members in zip(names, np.split(order, ends), strict=True):
        part = Samples(samples.labels[members], samples.scores[members])
        counts = confusion(part, threshold=threshold)
        placed = placements(part.nsfw, part.sfw) if counts.nsfw and counts.sfw else None
        yield Stratum(
            str(name),
            len(part),
            counts.nsfw,
            placed.auc if placed else None,
            interval_of(placed, level) if placed else None,
            counts.share("fpr", level=level),
            counts.share("fnr", level=level),
        )


def _test(shares: Sequence[Share], rng: np.random.Generator) -> GroupTest:
    totals = np.array([share.total for share in shares if share.total])
    errors = np.array([share.count for share in shares if share.total])
    if len(totals) < 2:
        return GroupTest(1.0, False, "one group")
    rate = errors.sum() / totals.sum()
    if rate in (0, 1):
        return GroupTest(1.0, False, "chi-squared")
    expected = totals * rate
    # Errors and the rest of a group are as far from what is expected: both cells in one sum.
    weights = 1 / expected + 1 / (totals - expected)
    observed = float((errors - expected) ** 2 @ weights)
    if min(expected.min(), (totals - expected).min()) >= LEAST_EXPECTED:
        p_value = float(load("scipy.special").chdtrc(len(totals) - 1, observed))
        return GroupTest(p_value, False, "chi-squared")
    drawn = rng.multivariate_hypergeometric(totals, errors.sum(), size=PERMUTATIONS, method="marginals")
    by_chance = (drawn - expected) ** 2 @ weights
    # Rounding must not make an equal statistic a smaller one.
    as_far = int((by_chance >= observed * (1 - 1e-9)).sum())
    return GroupTest((as_far + 1) / (PERMUTATIONS + 1), False, "permutation")


def _holm(tests: Sequence[GroupTest], alpha: float) -> list[GroupTest]:
    """Adjust the p-values of two tests (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    least = min(1.0, 2 * min(test.p_value for test in tests))
    p_values = [max(test.p_value, least) for test in tests]
    return [replace(test, p_value=p, differs=p < alpha) for test, p in zip(tests, p_values, strict=True)]
