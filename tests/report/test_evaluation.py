from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from nsfw_caffe.evaluate.evaluation import Evaluation, evaluate
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.report.evaluation import evaluation_report, notes
from nsfw_caffe.report.formatting import threshold
from nsfw_caffe.results.record import Provenance
from nsfw_caffe.system.extras import install_hint
from tests.evaluate.labelled import of, simulated
from tests.report.labelled_results import data, evaluation
from tests.report.test_sections import EVIL, Elements
from tests.support import PHOTOS, run

PICTURES = [str(PHOTOS / "rocket.jpg"), str(PHOTOS / "coffee.png"), "/gone.jpg"]

QUICK = Options(resamples=100)


def to_text(found: Evaluation) -> str:
    return evaluation_report(found).to_text()


def to_html(found: Evaluation, *, pictures: int = 0, clear: bool = False) -> bytes:
    return evaluation_report(found, pictures=pictures, clear=clear).to_html()


def lines(text: str, title: str) -> list[str]:
    """Return the lines of a section, without spaces at their ends."""
    return next(block for block in text.split("\n\n") if block.startswith(f"{title}\n")).splitlines()[1:]


def test_every_section_is_there() -> None:
    text = to_text(evaluation())
    assert [block.split("\n")[0] for block in text.split("\n\n")] == [
        "Overview",
        "How well the classes are told apart",
        "Thresholds",
        "The chosen threshold",
        "Two thresholds, and people between them",
        "Scores as probabilities",
        "By site",
        "The highest-scored sfw",
        "The lowest-scored nsfw",
        "Without a score",
        "Made with",
    ]
    assert text.endswith("\n")
    assert max(map(len, text.splitlines())) <= 120


def test_numbers_have_their_intervals() -> None:
    found = evaluation()
    text = to_text(found)
    interval = found.roc.auc_interval
    area = f"{found.roc.auc:.4f}  {interval.low:.4f} to {interval.high:.4f}  DeLong, logit"
    assert area in lines(text, "How well the classes are told apart")[1]
    rate = found.confusions[1].share("fnr")
    assert f"{100 * rate.value:.2f} %" in text
    assert f"{100 * rate.interval.low:.2f} % to {100 * rate.interval.high:.2f} %" in text
    assert found.choice is not None
    chosen = lines(text, "The chosen threshold")
    assert chosen[0] == "  Chosen for FPR <= 0.01."
    assert chosen[2].split() == ["threshold", threshold(found.choice.threshold), *chosen[2].split()[2:]]
    assert chosen[3].endswith("Clopper-Pearson")
    assert chosen[4].endswith("Wilson")


def test_the_worst_by_name() -> None:
    text = to_text(evaluation(["/a.jpg", "/b.jpg"], worst=3))
    assert lines(text, "The highest-scored sfw")[:3] == ["   score  source", "  0.9900  /a.jpg", "  0.9800  /b.jpg"]
    assert len(lines(text, "The lowest-scored nsfw")) == 4


def test_groups_that_differ_are_warned_of() -> None:
    found = evaluation()
    assert "Warning" not in to_text(found)
    one = found.strata[0][1]
    differing = dataclasses.replace(one, fpr_test=dataclasses.replace(one.fpr_test, p_value=1e-9, differs=True))
    text = to_text(dataclasses.replace(found, strata=(("site", differing),)))
    assert "  Warning: the groups' false positive rates differ beyond chance (p < 0.0001, " in text


def test_without_a_choice_and_without_names() -> None:
    found = evaluation()
    nameless = tuple(dataclasses.replace(mistake, source=None) for mistake in found.highest_sfw)
    text = to_text(dataclasses.replace(found, choice=None, highest_sfw=nameless))
    assert "The chosen threshold" not in text
    assert f"sample {nameless[0].index}\n" in text


def test_what_a_precision_and_a_confident_choice_say() -> None:
    text = to_text(evaluation(precision=0.9, confident=True))
    assert "Chosen for precision >= 0.9" in text
    assert "on new data too" in text


def test_only_the_first_failures_are_named() -> None:
    failures = tuple((f"/{index}.jpg", "gone") for index in range(101))
    said = lines(to_text(dataclasses.replace(evaluation(), failures=failures)), "Without a score")
    assert said[0] == "  101 labelled sources without a score, left out of all figures. The first 100:"
    assert len(said) == 102


def test_names_cannot_move_the_cursor() -> None:
    assert "\x1b" not in to_text(evaluation(["/\x1b[2J.jpg"]))


def test_it_needs_no_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from tests.report.labelled_results import evaluation, comparison\n"
        "from nsfw_caffe.errors import NsfwCaffeError\n"
        "from nsfw_caffe.report.comparison import comparison_report\n"
        "from nsfw_caffe.report.evaluation import evaluation_report\n"
        "from nsfw_caffe.report.json_text import to_json\n"
        "found, compared = evaluation(), comparison()\n"
        "to_json(found), to_json(compared)\n"
        "for report in (evaluation_report(found), comparison_report(compared)):\n"
        "    report.to_text()\n"
        "    try: report.to_html()\n"
        "    except NsfwCaffeError as error: print(error)"
    )
    child = run("-c", code)
    said = f"an HTML page needs matplotlib: {install_hint('evaluate')}\n"
    assert child.stdout == said * 2, child.stderr


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


def test_few_samples_of_a_class_are_said() -> None:
    assert list(notes(evaluate(of("s" * 30 + "n" * 29, np.linspace(0, 1, 59).tolist()), QUICK))) == [
        "There are only 29 nsfw samples: the intervals are wide and say little; with 30 or more they begin to."
    ]
    assert [note[:29] for note in notes(evaluate(of("ns", [0.9, 0.1]), QUICK))] == [
        "There is only 1 nsfw sample: ",
        "There is only 1 sfw sample: t",
    ]
    assert list(notes(evaluate(simulated(), QUICK))) == []


def test_a_goal_out_of_reach_is_said() -> None:
    found = evaluate(of("ns" * 40, [0.1, 0.9] * 40), Options(precision=0.9, resamples=100))
    *_, last = notes(found)
    assert last == f"No threshold was chosen: {found.no_choice}."
    assert f"  {last[:60]}" in to_text(found)


def test_equal_scores_are_said() -> None:
    found = evaluate(of("nsss" * 40, [0.5, 0.5, 0.25, 0.75] * 40), QUICK)
    assert next(notes(found)).startswith("160 samples have 3 different scores: ")


def test_what_was_left_out_is_said() -> None:
    set_ups = [Provenance("caffe", "float32", "exact", frames, "ab" * 32) for frames in (1, 2)]
    left_out = simulated(
        failures=[("a", "it is empty")],
        repeats=2,
        same_content=1,
        contradictions=1,
        set_ups=set_ups,
        versions=["0.1.0"],
    )
    assert [note.partition(":")[0] for note in notes(evaluate(left_out, QUICK))] == [
        "1 labelled source without a score",
        "2 sources more than once in the data",
        "1 source with the content of another one",
        "1 picture labelled nsfw in one place and sfw in another",
        "The scores are of 2 different set-ups",
    ]
