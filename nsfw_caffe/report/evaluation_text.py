"""An evaluation for the terminal."""

from __future__ import annotations

from nsfw_caffe.evaluate.evaluation import Evaluation
from nsfw_caffe.report.evaluation_sections import sections
from nsfw_caffe.report.section_text import as_text


def to_text(evaluation: Evaluation) -> str:
    """Write an evaluation as plain text, in lines that end with a newline."""
    return as_text(sections(evaluation))
