"""What a request's query asks; what it does not know is refused, since a misspelt threshold would let pictures pass."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starlette.datastructures import QueryParams

from nsfw_caffe.service.jobs import Watch
from nsfw_caffe.service.refusals import Refused
from nsfw_caffe.sources.timeline import Grid

Verdict: TypeAlias = Literal["pass", "review", "block"]

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Thresholds:
    """From which scores on a picture is blocked, and looked at; None for no review."""

    block: float
    review: float | None = None

    def verdict(self, score: float) -> Verdict:
        """Return what becomes of a picture with this score: a threshold is the lowest score that it takes."""
        if score >= self.block:
            return "block"
        return "review" if self.review is not None and score >= self.review else "pass"


def read_nothing(query: QueryParams) -> None:
    """Refuse a query where none is known."""
    _read(query)


def read_detail(query: QueryParams) -> bool:
    """Return whether the fine heat map is asked for."""
    detail = _read(query, "detail").get("detail")
    if detail not in (None, "exact", "fine"):
        raise Refused("bad_request", "detail: expected exact or fine")
    return detail == "fine"


def read_thresholds(query: QueryParams) -> Thresholds:
    """Return the gate's thresholds."""
    values = _read(query, "block", "review")
    if "block" not in values:
        raise Refused("bad_request", "block is missing: the score from which on a picture is blocked, ?block=0.9")
    block = _probability("block", values["block"])
    review = _probability("review", values["review"]) if "review" in values else None
    if review is not None and review > block:
        raise Refused("bad_request", "review is more than block")
    return Thresholds(block, review)


def read_watch(query: QueryParams, limit: int) -> Watch:
    """Return what is asked of a video, no more than `limit` of whose frames are looked at."""
    values = _read(query, "every", "start", "end", "threshold", "stop_at")
    asked = {
        name: _probability(name, text) if name in ("threshold", "stop_at") else _seconds(name, text)
        for name, text in values.items()
    }
    watch = Watch(limit=limit, **asked)
    try:
        Grid(watch.every, watch.start, math.inf if watch.end is None else watch.end)
    except ValueError as error:
        raise Refused("bad_request", str(error)) from None
    return watch


def _read(query: QueryParams, *known: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in query.multi_items():
        if name not in known:
            expected = " or ".join(known) or "none"
            raise Refused("bad_request", f"the query has a parameter that is not known: expected {expected}")
        if name in values:
            raise Refused("bad_request", f"the query has {name} twice")
        values[name] = value
    return values


def _probability(name: str, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else -1.0
    if not 0 <= value <= 1:
        raise Refused("bad_request", f"{name}: expected a number from 0 to 1")
    return value


def _seconds(name: str, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise Refused("bad_request", f"{name}: expected a number of seconds")
    return value
