"""An evaluation or a comparison as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np

from nsfw_caffe.evaluate.comparison import RunsCompared
from nsfw_caffe.evaluate.error_rates import Confusion
from nsfw_caffe.evaluate.evaluation import RATES, Evaluation
from nsfw_caffe.evaluate.intervals import Share
from nsfw_caffe.evaluate.libraries import library_versions
from nsfw_caffe.report.evaluation import notes


def to_json(found: Evaluation | RunsCompared) -> str:
    """Write an evaluation or a comparison as a JSON object of its attributes, indented, with a newline at the end.

    What is not defined, and a threshold above every score, is null; all numbers have all their digits.
    """
    shown = _evaluation(found) if isinstance(found, Evaluation) else _comparison(found)
    return json.dumps({**shown, "made_with": library_versions()}, indent=2, allow_nan=False) + "\n"


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    level = evaluation.options.level
    shown: dict[str, Any] = plain(evaluation)
    shown["confusions"] = [
        {"threshold": value, **_confusion(counts, level)}
        for value, counts in zip(evaluation.options.thresholds, evaluation.confusions, strict=True)
    ]
    for name in ("fpr_at_fnr", "fnr_at_fpr"):
        shown[name] = [{"held_at": rate, **point} for rate, point in zip(RATES, shown[name], strict=True)]
    if evaluation.choice is not None:
        shown["choice"]["confusion"] = _confusion(evaluation.choice.confusion, level)
    shown["strata"] = {name: plain(groups) for name, groups in evaluation.strata}
    shown["notes"] = list(notes(evaluation))
    return shown


def _comparison(compared: RunsCompared) -> dict[str, Any]:
    shown: dict[str, Any] = plain(compared)
    for drawn in ("grid", "dots_a", "dots_b"):
        del shown[drawn]
    for name in ("became_nsfw", "became_sfw"):
        shown["figures"][name] = len(getattr(compared.figures, name))
    return shown


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a dataclass of results holds
    """Make of a result what JSON has a form for: numbers that are none become None."""
    if isinstance(value, Share):
        return {name: plain(getattr(value, name)) for name in ("count", "total", "value", "interval")}
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _confusion(counts: Confusion, level: float) -> dict[str, Any]:
    rates = ("fpr", "fnr", "precision", "recall", "accuracy")
    return {**plain(counts), **{rate: plain(counts.share(rate, level=level)) for rate in rates}}
