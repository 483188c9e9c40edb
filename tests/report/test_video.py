from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe import VideoError, VideoResult
from nsfw_caffe.report.video import Watched, video_report
from tests.clips import X264, Clip


def result(scores: list[float], *warnings: str, threshold: float = 0.8) -> VideoResult:
    count = float(len(scores))
    return VideoResult(np.arange(count), np.array(scores), 1.0, threshold, count, count, not warnings, warnings)


def test_text_says_what_is_odd_and_what_failed() -> None:
    report = video_report(
        [Watched("a\x1b.mp4", result([0.1, 0.2], "ends at 00:02.0")), Watched("b.mp4", VideoError("b.mp4", "bad"))]
    )
    text = report.to_text()
    assert "  It ends at 00:02.0.\n" in text
    assert "  b.mp4: bad\n" in text
    assert "\x1b" not in text
    assert "from" not in text  # no segments
    assert "2 videos" in report.to_html().decode()


def test_long_videos_have_every_peak_drawn() -> None:
    scores = np.zeros(36_000)
    scores[[17, 20_001]] = 0.9, 0.7
    page = video_report([Watched("long.mp4", result(scores.tolist()))]).to_html().decode()
    assert len(page) < 100_000
    assert "the highest of 36 frames" in page
    line = max(re.findall(r'<path d="([^"]*)"', page), key=len)
    heights = sorted({float(y) for y in re.findall(r"[ML] \S+ (\S+)", line)})
    assert len(heights) == 3
    top, middle, ground = heights
    assert (ground - middle) / (ground - top) == pytest.approx(7 / 9, abs=0.01)


def test_thumbnails_are_of_the_highest_frames(tmp_path: Path) -> None:
    path = Clip("clip.mp4", "libx264", X264).write(tmp_path)
    scores = [0.9, 0.1, 0.85, 0.99, 0.1, 0.95]
    watched = Watched("clip.mp4", result(scores), str(path))
    page = video_report([watched]).to_html().decode()
    assert re.findall(r"<strong>(\S+)</strong><bdi>(\S+)</bdi>", page) == [
        ("0.9000", "00:00.0"), ("0.9900", "00:03.0"), ("0.9500", "00:05.0")
    ]  # fmt: skip
    assert page.count("<img") == 3
    fewer = video_report([watched], pictures=1).to_html().decode()
    assert re.findall(r"<strong>(\S+)</strong>", fewer) == ["0.9900"]
    path.write_bytes(b"gone")
    assert "no thumbnail" in video_report([watched]).to_html().decode()
