from __future__ import annotations

import dataclasses
import io

import pytest
from PIL import Image

from nsfw_caffe.evaluate.comparison import RunsCompared, compare_runs
from nsfw_caffe.report.comparison import comparison_report
from nsfw_caffe.report.figures import to_png
from tests.evaluate.labelled import of
from tests.report.labelled_results import comparison
from tests.report.test_sections import EVIL, Elements


def to_text(compared: RunsCompared) -> str:
    return comparison_report(compared).to_text()


def to_html(compared: RunsCompared) -> bytes:
    return comparison_report(compared).to_html()


def test_text_has_both_areas_and_their_difference() -> None:
    compared = comparison()
    figures = compared.figures
    text = to_text(compared)
    assert figures.difference_interval is not None
    low, high = figures.difference_interval.low, figures.difference_interval.high
    for said in (
        f"{figures.auc_a:.6f}",
        f"{figures.auc_b:.6f}",
        f"{figures.difference:+.6f}",
        f"{low:+.6f} to {high:+.6f}  DeLong, paired",
        "McNemar's exact test",
        "first.csv",
        "second.csv",
    ):
        assert said in text
    change = compared.changes[0]
    assert f"{change.score_a:.4f}  {change.score_b:.4f}  {'nsfw' if change.nsfw else 'sfw ':<5}" in text


def test_what_is_beyond_chance_is_said() -> None:
    compared = comparison(samples=2000, noise=0.5)
    assert "The areas differ beyond chance (p < 0.0001" in to_text(compared)
    assert "One is right more often beyond chance" in to_text(compared)
    assert "The areas do not differ beyond chance" in to_text(comparison(noise=0.01))
    assert f"The {len(compared.changes)} with the largest difference between the two scores:" in to_text(compared)


def test_one_class() -> None:
    one = compare_runs(of("nn", [0.2, 0.5]), of("nn", [0.2, 0.5]))
    assert "The samples are of one class" in to_text(one)
    assert "Verdicts that differ" not in to_text(one)
    assert to_html(one).count(b"<svg") == 1


def test_areas_that_do_not_vary() -> None:
    apart = compare_runs(of("nsns", [0.7, 0.2, 0.9, 0.1]), of("nsns", [0.8, 0.3, 0.6, 0.2]))
    assert "Whether the difference is chance cannot be told" in to_text(apart)


@pytest.mark.parametrize("samples", [300, 3000])
def test_page_and_plot(samples: int) -> None:
    compared = comparison(samples)
    written = to_html(compared)
    assert Elements(written).tags.count("svg") == 1
    assert len(written) < 200_000
    (plot,) = comparison_report(compared).plots
    with Image.open(io.BytesIO(to_png(plot))) as picture:
        assert (plot.name, picture.format) == ("scores-a-b", "PNG")


def test_names_stay_names() -> None:
    def page(texts: tuple[str, ...]) -> Elements:
        compared = comparison(noise=0.4)
        changes = tuple(
            dataclasses.replace(change, source=text) for change, text in zip(compared.changes, texts, strict=False)
        )
        return Elements(to_html(dataclasses.replace(compared, name_a=texts[0], name_b=texts[1], changes=changes)))

    evil, plain = page(EVIL), page(tuple(f"plain {index}" for index in range(len(EVIL))))
    assert evil.tags == plain.tags
    assert [name for name, _ in evil.attributes] == [name for name, _ in plain.attributes]
