from __future__ import annotations

import dataclasses
from pathlib import Path

from nsfw_caffe.evaluate.evaluation import evaluate
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.report.evaluation_page import to_html
from tests.report.labelled_results import data, evaluation
from tests.report.test_page import EVIL, Elements
from tests.support import PHOTOS

PICTURES = [str(PHOTOS / "rocket.jpg"), str(PHOTOS / "coffee.png"), "/gone.jpg"]


def test_a_whole_page() -> None:
    found = evaluation()
    written = to_html(found)
    page = Elements(written)
    assert page.tags.count("svg") == page.tags.count("figcaption") == 6
    assert (page.tags.count("h2"), page.tags.count("img"), page.tags.count("script")) == (11, 0, 0)
    for text in (
        "labels.csv",
        f"{found.roc.auc:.4f}",
        "the file is empty",
        "ab" * 32,
        "scikit-learn",
        "Clopper-Pearson",
    ):
        assert text in page.text
    assert len(written) < 400_000


def test_thumbnails_of_the_worst() -> None:
    page = Elements(to_html(evaluation(PICTURES), pictures=3))
    assert (page.tags.count("img"), page.text.count("no thumbnail")) == (2, 4)
    assert page.text.count("blurred") == 2
    assert f"0.9900{PICTURES[0]}" in page.text
    # Who is shown is not named a second time below.
    assert page.text.count(PICTURES[0]) == 1
    clear = Elements(to_html(evaluation(PICTURES), pictures=3, clear=True))
    assert (clear.tags.count("img"), clear.text.count("blurred")) == (2, 0)


def test_no_thumbnails_without_names() -> None:
    found = evaluate(dataclasses.replace(data(), sources=None), Options(resamples=50))
    page = Elements(to_html(found, pictures=3))
    assert "no thumbnail" not in page.text
    assert f"sample {found.highest_sfw[0].index}" in page.text


def test_names_stay_names(tmp_path: Path) -> None:
    def page(texts: tuple[str, ...]) -> Elements:
        made = data([str(tmp_path / text) for text in texts])
        groups = {text: made.groups["site"].astype("U99") for text in texts}
        for text, column in groups.items():
            column[:100] = text
        evil = dataclasses.replace(
            made, name=texts[0], groups=groups, failures=[(text, text) for text in texts], versions=texts
        )
        return Elements(to_html(evaluate(evil, Options(resamples=20)), pictures=2))

    evil, plain = page(EVIL), page(tuple(f"plain {index}" for index in range(len(EVIL))))
    assert sorted(evil.tags) == sorted(plain.tags)
    assert "".join(evil.text.split()).count("alert(1)") >= 4 * len(EVIL) // 2


def test_the_same_evaluation_gives_the_same_page() -> None:
    found = evaluation(PICTURES)
    assert to_html(found, pictures=1) == to_html(found, pictures=1)
