"""What is asked of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from nsfw_caffe.errors import EvaluationError
from nsfw_caffe.evaluate.intervals import LEVEL, check_level, check_rate
from nsfw_caffe.evaluate.resampling import RESAMPLES
from nsfw_caffe.evaluate.thresholds import check_goal
from nsfw_caffe.results.record import THRESHOLDS

DEFAULT_FPR = 0.01
"""The goal where none is given."""

_GOALS = ("fpr", "fnr", "precision", "cost_ratio")


@dataclass(frozen=True)
class Options:
    """What is asked of an evaluation.

    Attributes
    ----------
    thresholds : tuple of float
        Scores, 0 to 1, to say the rates of mistakes at.
    fpr, fnr, precision, cost_ratio : float, optional
        What the threshold is chosen for, one of them: see `choose_threshold`. By default a false positive rate of 1 %.
    low, high : float
        The policy: below `low` a picture passes, from `high` on it is blocked, between them a person looks at it.
    bins : int
        Of the calibration.
    level : float
        Of all intervals, above 0 and below 1.
    resamples, seed : int
        Of the bootstrap, where one is used: the same data and seed give the same intervals.
    worst : int
        How many of the worst mistakes on each side to name.
    confident : bool
        Choose the threshold so that the goal is met on new data too: see `choose_threshold`.

    Raises
    ------
    EvaluationError
        If there is more than one goal, or a value is none of its kind; the message names it.
    """

    thresholds: tuple[float, ...] = THRESHOLDS
    fpr: float | None = None
    fnr: float | None = None
    precision: float | None = None
    cost_ratio: float | None = None
    low: float = THRESHOLDS[0]
    high: float = THRESHOLDS[-1]
    bins: int = 15
    level: float = LEVEL
    resamples: int = RESAMPLES
    seed: int = 0
    worst: int = 20
    confident: bool = False

    def __post_init__(self) -> None:
        given = [name for name in _GOALS if getattr(self, name) is not None]
        if len(given) > 1:
            raise EvaluationError(f"one threshold for {' and '.join(given)}: give one goal")
        if not given:
            object.__setattr__(self, "fpr", DEFAULT_FPR)
        check_goal(self.goal, getattr(self, self.goal), self.confident)
        for value in (*self.thresholds, self.low, self.high):
            check_rate("threshold", value)
        if self.low > self.high:
            raise EvaluationError(f"low={self.low}, high={self.high}: expected low to be high or less")
        check_level(self.level)
        for name, least in (("bins", 1), ("resamples", 2), ("worst", 0)):
            if getattr(self, name) < least:
                raise EvaluationError(f"{name}={getattr(self, name)}: expected {least} or more")

    @property
    def goal(self) -> str:
        """The name of the goal: "fpr" for example."""
        return next(name for name in _GOALS if getattr(self, name) is not None)


DEFAULTS = Options()
