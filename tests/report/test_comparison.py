from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from nsfw_caffe.evaluate.comparison import compare_runs
from nsfw_caffe.report.comparison_figures import plots, write_plots
from nsfw_caffe.report.comparison_json import to_json
from nsfw_caffe.report.comparison_page import to_html
from nsfw_caffe.report.comparison_text import to_text
from nsfw_caffe.report.figures import to_svg
from tests.evaluate.labelled import of
from tests.report.labelled_results import comparison
from tests.report.test_page import EVIL, Elements


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


def test_json_has_the_numbers() -> None:
    compared = comparison()
    read = json.loads(to_json(compared))
    assert read["figures"]["auc_a"] == compared.figures.auc_a
    assert read["figures"]["became_nsfw"] == len(compared.figures.became_nsfw)
    assert len(read["changes"]) == len(compared.changes)
    assert read["changes"][0]["source"] == compared.changes[0].source
    assert not {"grid", "dots_a", "dots_b"} & set(read)


@pytest.mark.parametrize("samples", [300, 3000])
def test_page_and_plot(samples: int, tmp_path: Path) -> None:
    compared = comparison(samples)
    written = to_html(compared)
    assert Elements(written).tags.count("svg") == 1
    assert len(written) < 200_000
    (path,) = write_plots(compared, tmp_path)
    with Image.open(path) as picture:
        assert (path.name, picture.format) == ("scores-a-b.png", "PNG")


def test_a_dot_for_each_of_few_samples() -> None:
    compared = comparison(300)
    figure = Figure()
    plots(compared)[0].draw(figure)
    assert figure.axes[0].lines[0].get_xydata().tolist() == list(  # type: ignore[union-attr]
        map(list, zip(compared.dots_a, compared.dots_b, strict=True))
    )


def test_a_square_for_each_cell_that_has_samples() -> None:
    compared = comparison(3000)
    figure = Figure()
    plots(compared)[0].draw(figure)
    squares = sum(len(patch.get_path()) for patch in figure.axes[0].patches) / 5
    assert squares == (compared.grid > 0).sum()
    assert "var(--accent)" in to_svg(plots(compared)[0].draw)


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
