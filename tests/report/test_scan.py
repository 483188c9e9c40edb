from __future__ import annotations

import dataclasses
from pathlib import Path

from nsfw_caffe.report.scan import scan_report
from nsfw_caffe.report.summary import Summary, summarise
from tests.records import RECORD, failed, of_file, scored
from tests.report.test_sections import EVIL, Elements
from tests.support import PHOTOS

PIXELS = "4000 \u00d7 3000"


def to_text(summary: Summary) -> str:
    return scan_report(summary, "results.csv", top=2).to_text()


def to_page(summary: Summary, name: str = "results.csv", *, pictures: int = 0, clear: bool = False) -> Elements:
    return Elements(scan_report(summary, name, pictures=pictures, clear=clear).to_html())


def test_a_whole_summary() -> None:
    rows = [scored(f"{n}.jpg", 0.01) for n in range(1200)]
    rows += [scored("high.jpg", 0.93), failed("empty.jpg", "the file is empty")]
    text = to_text(summarise(rows, top=2))
    assert text.startswith(
        "Overview\n"
        "  sources           1,202\n"
        "  scored            1,201\n"
        "  failed            1\n"
        "  repeated content  0\n"
        "  size              1.2 MB\n"
    )
    assert "  set-up     onnxruntime, float32, exact decoding, frames 1, model abababab\n" in text
    assert "  threshold  at or above   share\n        0.2            1  0.08 %\n" in text
    assert f"  0.00 - 0.05    1,200  {'#' * 40}\n  0.05 - 0.10        0\n" in text
    assert "  0.90 - 0.95        1  #\n" in text
    assert (
        f"Highest scores\n   score       pixels  source\n  0.9300  {PIXELS}  high.jpg\n  0.0100  {PIXELS}  0.jpg\n\n"
    ) in text
    assert "What failed\n  count     share  reason\n      1  100.00 %  the file is empty\n  All of them:\n" in text
    assert "  source     reason\n  empty.jpg  the file is empty\n" in text
    assert f"Slowest\n     time       pixels  source\n  0.010 s  {PIXELS}  0.jpg\n  0.010 s" in text


def test_nothing_scored() -> None:
    text = to_text(summarise([failed("a.jpg", "the file is empty")]))
    assert "  failed            1\n" in text
    assert "threshold" not in text
    assert "mean score" not in text


def test_no_rows() -> None:
    summary = summarise([])
    assert to_text(summary) == (
        "Overview\n"
        "  sources           0\n"
        "  scored            0\n"
        "  failed            0\n"
        "  repeated content  0\n"
        "  size              0 B\n"
        "  working time      0.000 s\n"
    )
    assert to_page(summary).tags.count("h2") == 1


def test_names_cannot_steer_a_terminal() -> None:
    evil = "\x1b]0;title\x07\n.jpg"
    rows = [scored(evil, 0.9), failed(evil, evil), dataclasses.replace(RECORD, format=evil, version=evil, engine=evil)]
    text = to_text(summarise(rows))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert r"\x1b]0;title\x07\x0a.jpg" in text


def test_a_whole_page() -> None:
    rows = [of_file(PHOTOS / "rocket.jpg", 0.93), scored("/gone.jpg", 0.91), scored("/low.jpg", 0.2)]
    summary = summarise([*rows, failed("/empty.jpg", "the file is empty")])
    page = to_page(summary, pictures=2)
    assert page.tags.count("h2") == 7
    assert [tag for tag in ("svg", "img") if page.tags.count(tag) != 1] == []
    assert page.text.count("no thumbnail") == 1
    for text in ("results.csv", "0.9300", "/gone.jpg (it has gone)", "/low.jpg", "the file is empty", "ab" * 32):
        assert text in page.text
    assert "blurred" in page.text
    assert "blurred" not in to_page(summary, pictures=2, clear=True).text


def test_no_thumbnails_unless_asked_for() -> None:
    page = to_page(summarise([of_file(PHOTOS / "rocket.jpg")]))
    assert "img" not in page.tags
    assert str(PHOTOS / "rocket.jpg") in page.text


def test_names_stay_names(tmp_path: Path) -> None:
    def page(names: tuple[str, ...]) -> Elements:
        rows = [scored(str(tmp_path / name), 0.5) for name in names]
        rows += [failed(name, name) for name in names]
        return to_page(summarise(rows), names[0], pictures=2)

    evil, plain = page(EVIL), page(tuple(f"plain {name!r}" for name in range(len(EVIL))))
    assert sorted(evil.tags) == sorted(plain.tags)
    assert "".join(evil.text.split()).count("alert(1)") >= 4


def test_the_same_results_give_the_same_page() -> None:
    report = scan_report(summarise([of_file(PHOTOS / "rocket.jpg"), scored("b", 0.1)]), "r.csv", pictures=1)
    assert report.to_html() == report.to_html()
