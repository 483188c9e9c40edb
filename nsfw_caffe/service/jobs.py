"""What the pool of workers is asked, what it answers, and why it may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Task: TypeAlias = Literal["score", "explain", "overlay"]

Kind: TypeAlias = Literal["picture", "video"]


@dataclass(frozen=True)
class Watch:
    """What is asked of a video: the arguments that `Classifier.classify_video` has for it."""

    every: float = 1.0
    start: float = 0.0
    end: float | None = None
    threshold: float | None = None
    """None for the library's own."""
    stop_at: float | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Job:
    """A file, and what is wanted of it.

    Of a picture that is its score, its heat map as JSON, or that over the picture as a PNG file.
    """

    content: bytes
    task: Task = "score"
    fine: bool = False
    """Whether the heat map is the one of shifted crops."""
    watch: Watch | None = None
    """None for a picture; where the file is a video, the scores of these frames of it are wanted."""

    @property
    def kind(self) -> Kind:
        """What the file is taken for."""
        return "picture" if self.watch is None else "video"


@dataclass(frozen=True)
class Answer:
    """What became of a job."""

    score: float
    """The highest one of a video's."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """How long each stage took: "queue", and "score" or "video"."""
    explanation: Mapping[str, Any] | None = None
    """`Explanation.to_json()`, for the tasks "explain" and "overlay"."""
    overlay: bytes | None = None
    """A PNG file, for the task "overlay"."""
    video: Mapping[str, Any] | None = None
    """`VideoResult.to_json()`, for a video."""


class JobRefused(Exception):  # noqa: N818 - a state, named as one
    """The pool cannot do a job; what is no picture or video is the library's own ImageError or ScoreError instead."""


class Busy(JobRefused):
    """As many jobs wait as may, or as many videos are under way."""

    def __init__(self, retry_after: int, why: str = "too many pictures are waiting") -> None:
        super().__init__(why)
        self.retry_after = retry_after
        """Whole seconds after which there may be room."""


class Overtime(JobRefused):
    """The picture or video took longer than it may: its worker was killed."""


class WorkerLost(JobRefused):
    """The worker died of the picture or video, and so did a second one."""


class NoDecoder(JobRefused):
    """Videos are not read here: what decodes them is not installed."""


class Unable(JobRefused):
    """No worker can load the model at the moment."""


class Draining(JobRefused):
    """The service is about to end and takes no more."""
