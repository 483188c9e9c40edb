from __future__ import annotations

import math

import pytest
from scipy.stats import beta, binomtest, norm

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate import Share, clopper_pearson, wilson
from nsfw_caffe.evaluate.intervals import check_rate, normal_p_value


@pytest.mark.parametrize(
    ("count", "total", "score", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_the_published_values(count: int, total: int, score: tuple[float, float], exact: tuple[float, float]) -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table I: methods 3 and 5."""
    for interval, published in ((wilson(count, total), score), (clopper_pearson(count, total), exact)):
        assert (round(interval.low, 4), round(interval.high, 4)) == published


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (1, 2), (3, 17), (17, 17), (50_000, 10_000_000)])
def test_the_formulas_written_out(count: int, total: int, level: float) -> None:
    share, z = count / total, float(norm.ppf((1 + level) / 2))
    root = math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    ends = [(share + z**2 / (2 * total) + sign * z * root) / (1 + z**2 / total) for sign in (-1, 1)]
    found = wilson(count, total, level=level)
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-12)
    assert (found.level, found.method) == (level, "Wilson")

    found = clopper_pearson(count, total, level=level)
    low = beta.ppf((1 - level) / 2, count, total - count + 1) if count else 0.0
    high = beta.ppf((1 + level) / 2, count + 1, total - count) if count < total else 1.0
    assert (found.low, found.high) == pytest.approx([low, high], rel=1e-9, abs=1e-12)

    if total < 100:
        for method, ours in (("wilson", wilson(count, total, level=level)), ("exact", found)):
            theirs = binomtest(count, total).proportion_ci(level, method)
            assert (ours.low, ours.high) == pytest.approx([theirs.low, theirs.high], abs=1e-9)


def test_one_side_has_the_whole_tail() -> None:
    upper, lower = (clopper_pearson(5, 100, side=side) for side in ("upper", "lower"))
    both = clopper_pearson(5, 100, level=0.9)
    assert (upper.low, upper.high) == pytest.approx((0, both.high), abs=1e-12)
    assert (lower.low, lower.high) == pytest.approx((both.low, 1), abs=1e-12)
    assert (upper.method, lower.method) == ("Clopper-Pearson, upper bound", "Clopper-Pearson, lower bound")
    assert clopper_pearson(0, 10, level=0.95, side="upper").high == pytest.approx(1 - 0.05**0.1)


def test_of_nothing_nothing_is_known() -> None:
    for interval in (wilson(0, 0), clopper_pearson(0, 0)):
        assert (interval.low, interval.high) == (0.0, 1.0)
    assert math.isnan(Share(0, 0).value)
    assert (Share(0, 0).interval.low, Share(0, 0).interval.high) == (0.0, 1.0)


def test_a_share_has_its_interval() -> None:
    share = Share(3, 12, 0.9)
    assert (share.value, share.interval) == (0.25, wilson(3, 12, level=0.9))


def test_p_values_are_of_both_sides() -> None:
    for z in (-5.0, -1.96, 0.0, 0.1, 8.0):
        assert normal_p_value(z) == pytest.approx(2 * norm.sf(abs(z)), rel=1e-12)


def test_bad_arguments_are_refused() -> None:
    for level in (0, 1, 95, float("nan")):
        for interval in (wilson, clopper_pearson):
            with pytest.raises(EvaluationError, match=r"level=.*: expected a share between 0 and 1"):
                interval(1, 2, level=level)
    for count, total in ((-1, 3), (4, 3)):
        for interval in (wilson, clopper_pearson):
            with pytest.raises(EvaluationError, match=f"{count} of {total}: expected a count from 0 to the total"):
                interval(count, total)
    for rate in (-0.1, 1.1, float("nan")):
        with pytest.raises(EvaluationError, match=r"fpr=.*: expected a share from 0 to 1"):
            check_rate("fpr", rate)
