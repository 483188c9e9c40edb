from __future__ import annotations

from html.parser import HTMLParser

import pytest

from nsfw_caffe.report.figures import Plot
from nsfw_caffe.report.sections import Facts, Figure, Gallery, Paragraph, Part, Report, Section, Table, Thumbnail

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></textarea><svg onload=alert(1)>",
    "<!-- --!> <![CDATA[ &lt;script&gt; &#60;b>",
    "javascript:alert(1)",
)


class Elements(HTMLParser):
    """What a page consists of, as a parser sees it."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def draw_nothing(_figure: object) -> None:
    pass


def every_part(text: str) -> list[Part]:
    shown = [Thumbnail(text, "data:image/jpeg;base64,AAAA", 16, 9, None), Thumbnail(text, None, 0, 0, text)]
    return [
        Paragraph(text),
        Facts([(text, text)]),
        Table((text, f"#{text}"), [(text, text), (text, text)]),
        Figure(Plot(text, text, draw_nothing)),
        Gallery([text, text], lambda: shown, False, Table((text, f"#{text}"), [(text, text)] * 3)),
    ]


def page_of(text: str) -> bytes:
    return Report(text, text, [Section(text, every_part(text))]).to_html()


@pytest.mark.parametrize("text", EVIL)
def test_no_text_becomes_markup(text: str) -> None:
    evil, plain = Elements(page_of(text)), Elements(page_of("plain"))
    assert evil.tags == plain.tags
    assert [name for name, _ in evil.attributes] == [name for name, _ in plain.attributes]
    assert [value if value != text else "plain" for _, value in evil.attributes] == [v for _, v in plain.attributes]
    assert evil.text == plain.text.replace("plain", text)


def test_nothing_that_runs_or_loads() -> None:
    page = Elements(page_of("plain"))
    assert not {"script", "iframe", "object", "embed", "link", "base", "form", "a"} & set(page.tags)
    loading = [value for name, value in page.attributes if name in ("src", "href", "srcset", "action", "background")]
    assert loading == ["data:image/jpeg;base64,AAAA"]
    source = page_of("plain").decode()
    for outside in ("http:", "https:", "//", "@import", "url("):
        assert outside not in source


def test_the_policy_forbids_everything_but_its_own() -> None:
    page = page_of("plain").decode()
    policy = page.index('http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;')
    # A policy in a <meta> holds for what comes after it.
    assert policy < page.index("<title>") < page.index("<style>")
    assert "script-src" not in page


def test_cells_go_under_their_header() -> None:
    html = Table(("name", "#count"), [("a", "1")]).to_html()
    assert '<th scope="col">name</th><th scope="col" class="number">count</th>' in html
    assert '<td><bdi>a</bdi></td><td class="number"><bdi>1</bdi></td>' in html
    with pytest.raises(ValueError, match="zip"):
        Table(("name", "#count"), [("a",)]).to_html()


def test_names_that_are_no_utf8_or_turn_the_text_round() -> None:
    page = Report("t", "\udcff\u202egpj.exe\x00", []).to_html()
    assert rb"<bdi>\udcff\u202egpj.exe\x00</bdi>" in page


def test_the_same_page_twice() -> None:
    assert page_of("plain") == page_of("plain")


def test_a_text_has_what_a_page_draws_in_words() -> None:
    table = Table(("#score", "name"), [("0.9", "a"), ("0.10", "\x1b[2J")])
    plot = Plot("a", "A.", draw_nothing)
    shown = Report(
        "t",
        "s",
        [
            Section("First", [Paragraph("word " * 30), Facts([("one", "1"), ("three", "3")]), Figure(plot)]),
            Section("Empty", []),
            Section("Second", [Figure(plot, in_text=table), Gallery([], list, True, table)]),
        ],
    )
    lines = ["  score  name", "    0.9  a", r"   0.10  \x1b[2J"]
    assert shown.to_text().split("\n") == [
        "First",
        "  " + " ".join(["word"] * 19),
        "  " + " ".join(["word"] * 11),
        "  one    1",
        "  three  3",
        "",
        "Second",
        *lines,
        *lines,
        "",
    ]
    assert shown.plots == (plot, plot)
    assert b"Empty" not in shown.to_html()


def test_what_has_a_thumbnail_is_not_in_the_table_below() -> None:
    table = Table(("#score", "source"), [("0.9", "a"), ("0.8", "b")])
    read = [Thumbnail("a", None, 0, 0, "it has gone")]
    html = Gallery(["0.9"], lambda: read, True, table).to_html()
    assert html.startswith('<ul class="gallery"><li><div class="none">no thumbnail</div>')
    assert "<strong>0.9</strong><bdi>a (it has gone)</bdi></li></ul>\n<div" in html
    assert html.endswith(Table(table.header, table.rows[1:]).to_html())
    assert "<table>" not in Gallery(["0.9", "0.8"], lambda: read * 2, True, table).to_html()
