from __future__ import annotations

import dataclasses

from nsfw_caffe.report.summary import summarise
from nsfw_caffe.report.text import to_text
from tests.records import RECORD, failed, scored


def test_a_whole_summary() -> None:
    rows = [scored(f"{n}.jpg", 0.01) for n in range(1200)]
    rows += [scored("high.jpg", 0.93), failed("empty.jpg", "the file is empty")]
    text = to_text(summarise(rows, top=2), top=2)
    assert text.startswith(
        "sources     1,202, 1.2 MB\nscored      1,201, of which 0 with content seen before\nfailed      1\n"
    )
    assert "set-up      onnxruntime, float32, exact decoding, frames 1, model abababab\n" in text
    assert "threshold    at or above     share\n0.2                    1    0.08 %\n" in text
    assert f"0.00 - 0.05  1,200  {'#' * 40}\n0.05 - 0.10      0\n" in text
    assert "0.90 - 0.95      1  #\n" in text
    assert "highest scores\n  0.9300  high.jpg\n  0.0100  0.jpg\n\n" in text
    assert "what failed\n  1  the file is empty\n\nfirst failures\n  empty.jpg:  the file is empty\n" in text
    assert "slowest\n  0.010 s  0.jpg\n  0.010 s  1.jpg\n" in text


def test_nothing_scored() -> None:
    text = to_text(summarise([failed("a.jpg", "the file is empty")]))
    assert "failed      1\n" in text
    assert "threshold" not in text
    assert "mean score" not in text


def test_no_rows() -> None:
    assert to_text(summarise([])) == (
        "sources     0, 0 B\nscored      0, of which 0 with content seen before\nfailed      0\n"
    )


def test_names_cannot_steer_a_terminal() -> None:
    evil = "\x1b]0;title\x07\n.jpg"
    rows = [scored(evil, 0.9), failed(evil, evil), dataclasses.replace(RECORD, format=evil, version=evil, engine=evil)]
    text = to_text(summarise(rows))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"\x1b]0;title\x07\x0a.jpg" in text
