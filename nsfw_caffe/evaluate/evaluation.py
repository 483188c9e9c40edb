"""Everything that an evaluation says of scores with labels, in one piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.curves import (
    PrecisionRecall,
    RateCurves,
    Roc,
    average_precision_interval,
    histogram,
    precision_recall,
    rate_curves,
    roc,
    thin,
    thin_roc,
)
from nsfw_caffe.evaluate.error_rates import Confusion, RateAt, confusion, fnr_at_fpr, fpr_at_fnr
from nsfw_caffe.evaluate.groups import Strata, strata
from nsfw_caffe.evaluate.intervals import Interval
from nsfw_caffe.evaluate.labelled import LabelledScores
from nsfw_caffe.evaluate.moderation import Policy, policy
from nsfw_caffe.evaluate.options import DEFAULTS, Options
from nsfw_caffe.evaluate.reliability import Calibration, brier_interval, calibration, ece_interval
from nsfw_caffe.evaluate.samples import Mistake, Samples, worst
from nsfw_caffe.evaluate.thresholds import ThresholdChoice, choose_threshold
from nsfw_caffe.results.record import Provenance

RATES = (0.01, 0.05, 0.1)
"""At which the one kind of mistake is held to say what the other one is."""

DEFAULT_THRESHOLD = 0.5
"""At which groups are compared where no threshold could be chosen."""

POINTS = 2000
"""Of a curve that is kept, at most: more than a plot has pixels."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` finds out.

    Attributes
    ----------
    name : str
        What the data is called.
    options : Options
        What was asked.
    nsfw, sfw : int
        Samples of each class.
    failures : tuple of (str, str)
        Labelled sources without a score, with what is wrong with each: left out of all figures.
    repeats, same_content, contradictions : int
        See `LabelledScores`.
    distinct_scores : int
        How many of the scores are different ones.
    roc, precision_recall : Roc, PrecisionRecall
        The curves, thinned to POINTS points, with the exact area, its interval, and the exact average precision.
    average_precision_interval, brier_interval, ece_interval : Interval
        Of the average precision, of the Brier score and of the expected calibration error.
    confusions : tuple of Confusion
        One a threshold of the options.
    fpr_at_fnr, fnr_at_fpr : tuple of RateAt
        The best of the one rate with the other one held at each of RATES.
    calibration : Calibration
        Whether scores are probabilities.
    choice, no_choice : ThresholdChoice or None, str or None
        The threshold for the options' goal; where none reaches it, why.
    policy : Policy
        What passes, what is blocked, and what people would look at.
    strata : tuple of (str, Strata)
        For each column of groups its name and how its groups differ.
    highest_sfw, lowest_nsfw : tuple of Mistake
        The worst mistakes on each side, the worst first.
    rates : RateCurves
        The two kinds of mistake at thresholds all over the scale.
    sfw_histogram, nsfw_histogram : numpy.ndarray
        int64, (BINS,): how many samples of each class have a score in each of the bins of equal width.
    set_ups, versions : tuple
        The `Provenance` of each set-up that made the scores, and this library's versions, where they are known.
    """

    name: str
    options: Options
    nsfw: int
    sfw: int
    failures: tuple[tuple[str, str], ...]
    repeats: int
    same_content: int
    contradictions: int
    distinct_scores: int
    roc: Roc
    precision_recall: PrecisionRecall
    average_precision_interval: Interval
    confusions: tuple[Confusion, ...]
    fpr_at_fnr: tuple[RateAt, ...]
    fnr_at_fpr: tuple[RateAt, ...]
    calibration: Calibration
    brier_interval: Interval
    ece_interval: Interval
    choice: ThresholdChoice | None
    no_choice: str | None
    policy: Policy
    strata: tuple[tuple[str, Strata], ...]
    highest_sfw: tuple[Mistake, ...]
    lowest_nsfw: tuple[Mistake, ...]
    rates: RateCurves
    sfw_histogram: npt.NDArray[np.int64]
    nsfw_histogram: npt.NDArray[np.int64]
    set_ups: tuple[Provenance, ...]
    versions: tuple[str, ...]


def evaluate(data: LabelledScores, options: Options = DEFAULTS) -> Evaluation:
    """Find out how good scores are on labelled data: the same data and options give the same numbers.

    Parameters
    ----------
    data : LabelledScores
        The samples, of both classes.
    options : Options
        What is asked.

    Raises
    ------
    EvaluationError
        If the samples are unusable or of one class, or scikit-learn is not installed; the message says what to do.

    Examples
    --------
    >>> import numpy as np
    >>> from nsfw_caffe.evaluate import LabelledScores, Options, evaluate
    >>> labels, scores = np.arange(200) >= 100, np.arange(200) / 200
    >>> found = evaluate(LabelledScores(labels, scores), Options(fpr=0.05, resamples=100))
    >>> found.roc.auc, found.choice.threshold, found.choice.fpr
    (1.0, 0.475, 0.05)
    """
    samples = Samples(data.labels, data.scores).need_both("an evaluation")
    level = options.level
    precise = precision_recall(samples)
    reliability = calibration(samples, bins=options.bins, level=level)
    choice, no_choice = _choose(samples, options)
    at = DEFAULT_THRESHOLD if choice is None else choice.threshold
    return Evaluation(
        name=data.name,
        options=options,
        nsfw=len(samples.nsfw),
        sfw=len(samples.sfw),
        failures=tuple(data.failures),
        repeats=data.repeats,
        same_content=data.same_content,
        contradictions=data.contradictions,
        distinct_scores=len(precise.thresholds),
        roc=thin_roc(roc(samples, level=level), POINTS),
        precision_recall=thin(precise, POINTS),
        average_precision_interval=average_precision_interval(samples, options),
        confusions=tuple(confusion(samples, threshold=value) for value in options.thresholds),
        fpr_at_fnr=tuple(fpr_at_fnr(samples, fnr=rate, level=level) for rate in RATES),
        fnr_at_fpr=tuple(fnr_at_fpr(samples, fpr=rate, level=level) for rate in RATES),
        calibration=reliability,
        brier_interval=brier_interval(samples, options),
        ece_interval=ece_interval(samples, reliability, options),
        choice=choice,
        no_choice=no_choice,
        policy=policy(samples, low=options.low, high=options.high, level=level),
        strata=tuple(
            (name, strata(samples, groups=groups, threshold=at, level=level, seed=options.seed))
            for name, groups in data.groups.items()
        ),
        highest_sfw=worst(samples, data.sources, options.worst, nsfw=False),
        lowest_nsfw=worst(samples, data.sources, options.worst, nsfw=True),
        rates=rate_curves(samples),
        sfw_histogram=histogram(samples.sfw),
        nsfw_histogram=histogram(samples.nsfw),
        set_ups=tuple(data.set_ups),
        versions=tuple(data.versions),
    )


def _choose(samples: Samples, options: Options) -> tuple[ThresholdChoice | None, str | None]:
    """Choose a threshold, or say why there is none."""
    wanted = {options.goal: getattr(options, options.goal)}
    try:
        return choose_threshold(
            samples, confident=options.confident, level=options.level, seed=options.seed, **wanted
        ), None
    except EvaluationError as error:  # the options are sound and so are the samples: only the goal is out of reach
        return None, str(error)
