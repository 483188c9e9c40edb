"""Which set-up gives the scores that somebody published: every one that this machine has is tried."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from nsfw_caffe.errors import EngineUnavailable
from nsfw_caffe.fidelity.measure import Environment, measure
from nsfw_caffe.fidelity.verify import PORTABLE_ENGINES, TOLERANCE, Expected
from nsfw_caffe.options import BlasChoice, Jpeg, ScoringOptions

FAMILIES = {"ijg9d": "IJG libjpeg 9 family", "pillow": "libjpeg-turbo family"}
"""Published scores by the JPEG library of the preprocessing, under the name of its codec here; docs/fidelity.md."""

_JPEGS: tuple[Jpeg, ...] = ("ijg9d", "pillow")
_BLASES: tuple[BlasChoice, ...] = ("atlas", "system")

_TRIED = [
    *(ScoringOptions(engine="caffe", blas=blas, jpeg=jpeg) for blas in _BLASES for jpeg in _JPEGS),
    *(ScoringOptions(engine=engine, jpeg=jpeg) for engine in PORTABLE_ENGINES for jpeg in _JPEGS),
]


@dataclass(frozen=True)
class Trial:
    """What one set-up makes of published scores.

    Attributes
    ----------
    options : ScoringOptions
        The set-up.
    environment : Environment or None
        The libraries that it computed with; None where it is not available here.
    agreeing, total : int
        For how many pictures the score is the published one, to all its digits, and of how many.
    distance : float
        The largest difference to a published score, as far as that has digits.
    reason : str
        Why it is not available here; else "".
    """

    options: ScoringOptions
    environment: Environment | None
    agreeing: int
    total: int
    distance: float
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Whether each published score comes out."""
        return self.agreeing == self.total

    @property
    def family(self) -> str:
        """The published family that the set-up belongs to."""
        if self.options.jpeg == "pillow" and self.environment and "libjpeg-turbo" not in self.environment.jpeg:
            return f"the family of {self.environment.jpeg}"
        return FAMILIES[self.options.jpeg]


def try_all(expected: list[Expected]) -> Iterator[Trial]:
    """Score the pictures with each set-up that this machine has, in child processes; those with Caffe come first."""
    for options in _TRIED:
        if options.engine != "caffe" and importlib.util.find_spec(options.engine) is None:
            yield Trial(options, None, 0, len(expected), 1.0, f"{options.engine} is not installed")
            continue
        try:
            environment, measured = measure([picture.path for picture in expected], options)
        except EngineUnavailable as error:
            yield Trial(options, None, 0, len(expected), 1.0, str(error).splitlines()[0])
            continue
        agreeing, distance = 0, 0.0
        for picture, here in zip(expected, measured, strict=True):
            assert picture.published is not None
            agreeing += picture.agrees(here.score)
            rounded = here.score if picture.decimals is None else round(here.score, picture.decimals)
            distance = max(distance, abs(rounded - picture.published))
        yield Trial(options, environment, agreeing, len(expected), distance)


def agrees_as_well(trial: Trial, best: Trial) -> bool:
    """Tell whether a set-up gives the published scores as the best one does: to all digits, or within `TOLERANCE`."""
    return trial.environment is not None and (trial.agrees or (not best.agrees and trial.distance <= TOLERANCE))


def find_best(trials: list[Trial]) -> Trial | None:
    """Return the set-up whose scores are the published ones, or the nearest within `TOLERANCE`; None if there is none.

    Where several are, it is the first: Caffe before the portable engines, whose digits may agree by chance.
    """
    found = [trial for trial in trials if trial.environment is not None and trial.total]
    best = min(found, key=lambda trial: (not trial.agrees, 0 if trial.agrees else trial.distance), default=None)
    return best if best is not None and (best.agrees or best.distance <= TOLERANCE) else None
