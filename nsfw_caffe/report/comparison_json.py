"""A comparison as JSON."""

from __future__ import annotations

from nsfw_caffe.evaluate.comparison import RunsCompared
from nsfw_caffe.report.evaluation_json import dump, plain


def to_json(compared: RunsCompared) -> str:
    """Write a comparison as a JSON object, on indented lines.

    Its keys are the attributes of `RunsCompared` but for what is only drawn, and so on down; ``made_with`` has the
    versions of what computed it. Of the verdicts that differ ``became_nsfw`` and ``became_sfw`` have the numbers, and
    ``changes`` the samples. What is not defined is null; all numbers have all their digits.

    Parameters
    ----------
    compared : RunsCompared
        What to write.
    """
    found = plain(compared)
    for drawn in ("grid", "dots_a", "dots_b"):
        del found[drawn]
    for name in ("became_nsfw", "became_sfw"):
        found["figures"][name] = len(getattr(compared.figures, name))
    return dump(found)
