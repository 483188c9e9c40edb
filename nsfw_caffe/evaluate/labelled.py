"""Scores with labels: what an evaluation is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nsfw_caffe.results.record import SetUp

Labels = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelledScores:
    """Scores of n labelled sources, and what was left out.

    Attributes
    ----------
    labels : numpy.ndarray
        bool, (n,): True for nsfw.
    scores : numpy.ndarray
        float64, (n,): NSFW probabilities, 0 to 1.
    sources : sequence of str, optional
        n names: paths, or ``archive!member``; None where the data has none.
    groups : mapping
        For each column that strata are asked for, its n values, as text.
    failures : sequence of tuple
        The labelled sources without a score, with what is wrong with each: left out of all figures.
    repeats : int
        Sources that were there more than once, with the same label: counted once.
    same_content : int
        How many sources have the content of another one; they are counted.
    contradictions : int
        Contents that some sources have with the label nsfw and others with sfw.
    set_ups : sequence of SetUp
        What the scores were made with, where that is known.
    versions : sequence of str
        Versions of this library that made them, where that is known.
    name : str
        What the data is called in a report.
    """

    labels: Labels
    scores: Scores
    sources: Sequence[str] | None = None
    groups: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    failures: Sequence[tuple[str, str]] = ()
    repeats: int = 0
    same_content: int = 0
    contradictions: int = 0
    set_ups: Sequence[SetUp] = ()
    versions: Sequence[str] = ()
    name: str = ""
