from __future__ import annotations

import dataclasses

from nsfw_caffe.report.evaluation_text import to_text
from nsfw_caffe.report.rates import threshold
from tests.report.labelled_results import evaluation
from tests.support import run


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
        "from nsfw_caffe.report import evaluation_text, evaluation_json, comparison_text, comparison_json\n"
        "from nsfw_caffe.report import evaluation_page, comparison_page\n"
        "found, compared = evaluation(), comparison()\n"
        "evaluation_text.to_text(found), evaluation_json.to_json(found)\n"
        "comparison_text.to_text(compared), comparison_json.to_json(compared)\n"
        "for page, shown in ((evaluation_page, found), (comparison_page, compared)):\n"
        "    try: page.to_html(shown)\n"
        "    except NsfwCaffeError as error: print(error)"
    )
    child = run("-c", code)
    assert child.stdout == "an HTML page needs matplotlib: pip install 'nsfw-caffe[evaluate]'\n" * 2, child.stderr
