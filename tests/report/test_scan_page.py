from __future__ import annotations

from pathlib import Path

from nsfw_caffe.report.scan_page import to_html
from nsfw_caffe.report.summary import summarise
from tests.records import failed, of_file, scored
from tests.report.test_page import EVIL, Elements
from tests.support import PHOTOS


def test_a_whole_page() -> None:
    rows = [of_file(PHOTOS / "rocket.jpg", 0.93), scored("/gone.jpg", 0.91), scored("/low.jpg", 0.2)]
    summary = summarise([*rows, failed("/empty.jpg", "the file is empty")])
    page = Elements(to_html(summary, "results.csv", pictures=2))
    assert page.tags.count("h2") == 7
    assert [tag for tag in ("svg", "img") if page.tags.count(tag) != 1] == []
    assert page.text.count("no thumbnail") == 1
    for text in ("results.csv", "0.9300", "/gone.jpg (it has gone)", "/low.jpg", "the file is empty", "ab" * 32):
        assert text in page.text
    assert "blurred" in page.text
    assert "blurred" not in Elements(to_html(summary, "results.csv", pictures=2, clear=True)).text


def test_no_thumbnails_unless_asked_for() -> None:
    page = Elements(to_html(summarise([of_file(PHOTOS / "rocket.jpg")]), "results.csv"))
    assert "img" not in page.tags
    assert str(PHOTOS / "rocket.jpg") in page.text


def test_names_stay_names(tmp_path: Path) -> None:
    def page(names: tuple[str, ...]) -> Elements:
        rows = [scored(str(tmp_path / name), 0.5) for name in names]
        rows += [failed(name, name) for name in names]
        return Elements(to_html(summarise(rows), names[0], pictures=2))

    evil, plain = page(EVIL), page(tuple(f"plain {name!r}" for name in range(len(EVIL))))
    assert sorted(evil.tags) == sorted(plain.tags)
    assert "".join(evil.text.split()).count("alert(1)") >= 4


def test_no_rows() -> None:
    page = Elements(to_html(summarise([]), "results.csv"))
    assert page.tags.count("h2") == 1


def test_the_same_results_give_the_same_page() -> None:
    summary = summarise([of_file(PHOTOS / "rocket.jpg"), scored("b", 0.1)])
    assert to_html(summary, "r.csv", pictures=1) == to_html(summary, "r.csv", pictures=1)
