"""An evaluation as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np

from nsfw_caffe.evaluate.error_rates import Confusion
from nsfw_caffe.evaluate.evaluation import RATES, Evaluation
from nsfw_caffe.evaluate.intervals import Share
from nsfw_caffe.evaluate.thresholds import ThresholdChoice
from nsfw_caffe.report.shared_sections import library_versions


def to_json(evaluation: Evaluation) -> str:
    """Write an evaluation as a JSON object, on indented lines.

    Its keys are the attributes of `Evaluation`, and so on down: of `Roc`, `Confusion`, `Interval` and the others. What
    is more:

    - each of ``confusions`` has its ``threshold``, and besides the counts the rates ``fpr``, ``fnr``, ``precision``,
      ``recall`` and ``accuracy``, each with ``count``, ``total``, ``value`` and ``interval``;
    - each of ``fpr_at_fnr`` and ``fnr_at_fpr`` has the rate ``held_at``;
    - ``strata`` is an object by the name of the column;
    - ``made_with`` has the versions of what computed the evaluation.

    What is not defined, and a threshold above every score, is null. Curves are thinned as in `Evaluation`; all numbers
    have all their digits.

    Parameters
    ----------
    evaluation : Evaluation
        What to write.
    """
    level = evaluation.options.level
    found = plain(evaluation)
    found["confusions"] = [
        {"threshold": value, **_confusion(counts, level)}
        for value, counts in zip(evaluation.options.thresholds, evaluation.confusions, strict=True)
    ]
    for name in ("fpr_at_fnr", "fnr_at_fpr"):
        found[name] = [{"held_at": rate, **point} for rate, point in zip(RATES, found[name], strict=True)]
    if isinstance(evaluation.choice, ThresholdChoice):
        found["choice"]["confusion"] = _confusion(evaluation.choice.confusion, level)
    found["strata"] = {name: plain(groups) for name, groups in evaluation.strata}
    return dump(found)


def dump(found: dict[str, Any]) -> str:
    """Write an object, and what computed it, in lines that end with a newline."""
    return json.dumps({**found, "made_with": library_versions()}, indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a dataclass of results holds
    """Make of a result what JSON has a form for: numbers that are none become None."""
    if isinstance(value, Share):
        return {
            "count": value.count,
            "total": value.total,
            "value": plain(value.value),
            "interval": plain(value.interval),
        }
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
