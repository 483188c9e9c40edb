"""What a worker is made of, and what it says of itself then: the first two messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nsfw_caffe.options import ScoringOptions


@dataclass(frozen=True)
class WorkerSetUp:
    """What a worker makes its Classifier of, and its share of the machine."""

    scoring: ScoringOptions
    model: Mapping[str, str | None] = field(default_factory=dict)
    """Which model it is: the keywords of `Classifier.from_options` besides the options."""
    threads: int = 1
    """How many compute a forward pass, in engines whose bits do not depend on it."""
    number: int = 0
    """The worker's own, from 0 on."""


@dataclass(frozen=True)
class Description:
    """What scores, as a worker's Classifier reports it."""

    options: ScoringOptions
    """Those that were asked for, with the engine that "auto" has chosen."""
    model_sha256: str
    classes: tuple[str, ...]
    score_class: str
