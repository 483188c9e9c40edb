"""What the pool of workers is asked, what it answers, and why it may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Task: TypeAlias = Literal["score", "explain", "overlay"]


@dataclass(frozen=True)
class Job:
    """A picture, and what is wanted of it: its score, its heat map as JSON, or that over the picture as a PNG file."""

    picture: bytes
    task: Task = "score"
    fine: bool = False
    """Whether the heat map is the one of shifted crops."""


@dataclass(frozen=True)
class Answer:
    """What became of a job."""

    score: float
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each stage took: "queue" and "score"."""
    explanation: Mapping[str, Any] | None = None
    """`Explanation.to_json()`, for the tasks "explain" and "overlay"."""
    overlay: bytes | None = None
    """A PNG file, for the task "overlay"."""


class JobRefused(Exception):  # noqa: N818 - a state, named as one
    """The pool cannot do a job; pictures that are none are the library's own ImageError or ScoreError instead."""


class Busy(JobRefused):
    """As many jobs wait as may."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many pictures are waiting")
        self.retry_after = retry_after
        """Whole seconds after which there may be room."""


class Overtime(JobRefused):
    """The picture took longer than it may: its worker was killed."""


class WorkerLost(JobRefused):
    """The worker died of the picture, and so did a second one."""


class Unable(JobRefused):
    """No worker can load the model at the moment."""


class Draining(JobRefused):
    """The service is about to end and takes no more."""
