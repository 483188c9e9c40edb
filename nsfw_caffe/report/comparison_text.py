"""A comparison for the terminal."""

from __future__ import annotations

from nsfw_caffe.evaluate.comparison import RunsCompared
from nsfw_caffe.report.comparison_sections import sections
from nsfw_caffe.report.section_text import as_text


def to_text(compared: RunsCompared) -> str:
    """Write a comparison as plain text, in lines that end with a newline."""
    return as_text(sections(compared))
