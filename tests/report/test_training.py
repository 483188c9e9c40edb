from __future__ import annotations

import ast
import dataclasses
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from nsfw_caffe.evaluate.intervals import Interval
from nsfw_caffe.report.figures import to_svg
from nsfw_caffe.report.formatting import number, numbers, percent, percents
from nsfw_caffe.report.model_card import model_card
from nsfw_caffe.report.sections import Report
from nsfw_caffe.report.training import training_report
from nsfw_caffe.report.training_plots import areas_plot, loss_plot, rocs_plot, thinned
from nsfw_caffe.training.reporting import reported
from nsfw_caffe.training.result import TrainingResult
from tests.report.test_evaluation import lines
from tests.report.test_sections import EVIL, Elements
from tests.support import PHOTOS
from tests.training.results import DETAILS, TUNING, result, updates

MARKUP = (
    "a|b",
    "*bold*",
    "_under_",
    "[a](http://evil.test)",
    "![x](y)",
    "`code`",
    "~~no~~",
    "<b>&lt;",
    "# no",
    "www.evil.test",
)

TUNED = dataclasses.replace(TUNING, history=updates(100))


def report(found: TrainingResult) -> Report:
    return training_report(reported(found, DETAILS))


def text_of(found: TrainingResult) -> str:
    return report(found).to_text()


def unescaped(found: TrainingResult) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", card(found))


def card(found: TrainingResult) -> str:
    return model_card(reported(found, DETAILS)).decode()


def titles(found: Report) -> list[str]:
    return [section.title for section in found.sections if section.parts]


def words(text: str) -> str:
    return " ".join(text.split())


def test_every_section_is_there() -> None:
    of_two = ["Overview", "Pictures", "Before and after", "Scores as probabilities", "How it learned"]
    of_two += ["The worst mistakes", "Made with"]
    assert titles(report(result())) == of_two
    assert titles(report(result(("a", "b", "c")))) == [*of_two[:3], "Which class is taken for which", *of_two[3:]]
    plots = [plot.name for plot in report(result(tuning=TUNED)).plots]
    assert plots == ["roc", "loss-last", "loss-tuned", "auc"]


@pytest.mark.parametrize("write", [text_of, unescaped])
def test_the_figures_are_the_result_s(write: Callable[[TrainingResult], str]) -> None:
    found = result(tuning=TUNED)
    said = [re.split(r"  +| \| ", line.strip("| ")) for line in write(found).splitlines()]
    assert found.before is not None
    assert found.last is not None
    for name, evaluation in (("before", found.before), ("last layer", found.last), ("after", found.after)):
        area = evaluation.roc.auc_interval
        assert ["AUC", name, number(evaluation.roc.auc), numbers(area)] in said
        for measure, rate in (("accuracy", "accuracy"), ("FPR", "fpr"), ("FNR", "fnr")):
            share = evaluation.confusions[0].share(rate)
            assert [measure, name, percent(share.value), percents(share.interval)] in said
    gain = found.comparison
    assert gain is not None
    assert gain.difference_interval is not None
    low, high = gain.difference_interval.low, gain.difference_interval.high
    row = ["over the original", f"{gain.difference:+.4f}", f"{low:+.4f} to {high:+.4f}", "p < 0.0001"]
    assert row in said
    text = words(write(found))
    assert "Intervals: 95 % (DeLong, logit; Wilson; DeLong, paired)." in text
    assert f"right one for {percent(found.accuracy.value)} ({percents(found.accuracy.interval)})" in text
    assert f"would be right for {percent(found.majority)}" in text
    for value in ("ab" * 32, "cd" * 32, "3,000 updates of 64 pictures", "100 updates of 2 x 8 pictures, of all layers"):
        assert value in text


def test_a_gain_within_chance_is_warned_of() -> None:
    found = result(tuning=TUNED)
    assert found.comparison is not None
    assert not found.gain_is_chance
    text = words(report(found).to_text())
    assert "Warning: the gain over the original" not in text
    assert "Warning: the gain over the last layer alone is within chance" in text
    chance = result(noise=300)
    assert chance.gain_is_chance
    for said in (report(chance).to_text(), card(chance)):
        assert "Warning: the gain over the original is within chance" in words(said)
    interval = Interval(-0.2, -0.1, 0.95, "DeLong, paired")
    worse = dataclasses.replace(found, comparison=dataclasses.replace(found.comparison, difference_interval=interval))
    assert "Warning: the gain over the original is a loss beyond chance" in words(report(worse).to_text())


def test_without_the_original_there_is_no_before() -> None:
    text = report(result(original=False)).to_text()
    assert "before" not in "".join(lines(text, "Before and after")).partition("All on")[0]
    assert "over the original" not in text


def test_a_choice_by_the_pictures_held_out_is_said() -> None:
    said = "The weights were chosen, among 3, by their area on the pictures held out"
    assert said in words(report(result(tuning=TUNED)).to_text())
    assert said in words(card(result(tuning=TUNED)))
    assert "were chosen" not in report(result()).to_text()


def test_few_pictures_are_said() -> None:
    few = words(report(result(pictures=58)).to_text())
    assert few.count("intervals are wide") == 2
    assert "Only 14 pictures of sfw held out" in few or "Only 15 pictures of sfw held out" in few
    assert "Only" not in report(result()).to_text()


def test_what_was_left_out_is_said() -> None:
    failures = tuple((f"/{index}.jpg", "gone") for index in range(101))
    found = result(failures=failures)
    assert "Left out: 101 that cannot be read, 2 with the content of another one, 1 that look like one held out." in (
        words(report(found).to_text())
    )
    assert "/99.jpg" in report(found).to_text()
    assert "/100.jpg" not in report(found).to_text()
    assert "/99.jpg" not in card(found)


@pytest.mark.parametrize(("balanced", "said"), [(True, "all classes are as frequent"), (False, "is mixed as")])
def test_what_a_score_is_the_probability_of_is_said(balanced: bool, said: str) -> None:
    found = dataclasses.replace(result(), balanced=balanced)
    assert said in report(found).to_text()
    assert said in card(found)


def test_which_class_is_taken_for_which() -> None:
    found = result(("a", "b", "c"), noise=1)
    said = [line.split()[:4] for line in lines(report(found).to_text(), "Which class is taken for which")][-3:]
    taken_for = found.pictures.after.argmax(axis=1)
    for label, (name, *counts) in enumerate(said):
        expected = np.bincount(taken_for[found.pictures.labels == label], minlength=3)
        assert (name, counts) == ("abc"[label], [str(count) for count in expected])
    assert taken_for.tolist() != found.pictures.labels.tolist()


def test_the_surest_mistakes_are_shown_blurred(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.write(PHOTOS / "rocket.jpg", "in/rocket.jpg")
    names = (f"{archive}!in/rocket.jpg", str(PHOTOS / "coffee.png"), "/gone.jpg")
    found = result(names=names, noise=0.1)
    page = Elements(report(found).to_html())
    text = words(page.text)
    assert page.tags.count("img") == 2
    assert [text.index(name) for name in names] == sorted(text.index(name) for name in names)
    assert "1.0000 nsfw, labelled sfw" in text
    assert "(it has gone)" in text
    assert "blurred for good" in text
    assert f"{number(found.pictures.after[2].max())} nsfw, labelled sfw" in text


def test_no_mistake_is_said() -> None:
    assert lines(report(result(noise=0.01)).to_text(), "The worst mistakes") == [
        "  Each picture held out is taken for what it is labelled."
    ]


def test_names_stay_names(tmp_path: Path) -> None:
    def page(texts: tuple[str, ...]) -> Elements:
        named = result(
            texts[:3], names=texts, folder=tmp_path / texts[3].replace("/", ""), failures=((texts[4], texts[5]),)
        )
        return Elements(report(named).to_html())

    evil, plain = page(EVIL), page(tuple(f"plain {index}" for index in range(len(EVIL))))
    assert sorted(evil.tags) == sorted(plain.tags)
    assert "".join(evil.text.split()).count("alert(1)") > 2 * len(EVIL)


def test_a_page_asks_for_nothing() -> None:
    written = report(result(names=(str(PHOTOS / "rocket.jpg"),), tuning=TUNED)).to_html().decode()
    for outside in ("http:", "https:", "//", "@import", "url(h", "<script", "<link"):
        assert outside not in re.sub(r'src="data:[^"]*"', "", written)
    assert written == report(result(names=(str(PHOTOS / "rocket.jpg"),), tuning=TUNED)).to_html().decode()


@pytest.mark.parametrize("text", MARKUP)
def test_no_name_is_markup_in_the_card(text: str) -> None:
    found = card(result((text, "other"), score_class=text))
    # A backslash before what begins markup has Markdown show it.
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", found.replace("`nsfw-caffe train`", "").partition("## Pictures")[2])
    rows = [line for line in bare.splitlines() if line.startswith("|")]
    assert not set("*`[]<>~&") & set(bare)
    assert "www." not in bare
    assert "://" not in bare
    assert rows[2].count("|") == 4
    assert text in unescaped(result((text, "other"), score_class=text))


def test_the_card_s_commands_take_any_name(tmp_path: Path) -> None:
    found = card(result(folder=tmp_path / "my \"model's`"))
    assert "nsfw-caffe classify --model 'my \"model'\"'\"'s`' photo.jpg" in found
    (called,) = re.findall(r"Classifier\(model=(.*)\) as", found)
    assert ast.literal_eval(called) == "my \"model's`"


def test_how_far_the_loss_fell_is_said() -> None:
    losses = [step.loss for step in TUNED.history]
    said = f"All layers: 100 updates; the mean loss was {np.mean(losses[:10]):.4f} in the first tenth of them and"
    assert f"{said} {np.mean(losses[-10:]):.4f} in the last." in words(report(result(tuning=TUNED)).to_text())


def test_losses_are_thinned_to_means() -> None:
    few, many = [3.0, 2.0, 1.0], list(map(float, range(100_001)))
    assert [values.tolist() for values in thinned(few)] == [[1, 2, 3], few]
    ends, means = thinned(many)
    assert (len(means), ends[-1]) == (300, len(many))
    assert means[0] == np.mean(many[: int(ends[0])])
    assert means[-1] == np.mean(many[int(ends[-2]) :])
    assert len(to_svg(loss_plot("last", "the last layer", many))) < 30_000
    figure = Figure()
    loss_plot("last", "the last layer", list(range(20))).draw(figure)
    ticks = figure.axes[0].get_xticks()
    assert ticks.tolist() == ticks.round().tolist()


def test_the_curves_are_the_evaluations_own() -> None:
    found = result(tuning=TUNED)
    assert found.before is not None
    assert found.last is not None
    rocs = [("before", found.before.roc), ("last layer", found.last.roc), ("after", found.after.roc)]
    figure = Figure()
    rocs_plot(rocs, "nsfw").draw(figure)
    for line, (name, roc) in zip(figure.axes[0].lines[1:], rocs, strict=True):
        assert line.get_label() == name
        assert np.array_equal(line.get_xdata(), roc.fpr)
        assert np.array_equal(line.get_ydata(), roc.tpr)
    figure = Figure()
    areas_plot(TUNED.checked, TUNED.chosen, found.after.roc.auc_interval).draw(figure)
    curve, dot = figure.axes[0].lines
    assert np.asarray(curve.get_xydata()).tolist() == [[0, 0.9], [50, 0.95], [100, 0.93]]
    assert np.asarray(dot.get_xydata()).tolist() == [[50, 0.95]]
