from __future__ import annotations

import dataclasses
import json
import math

import numpy as np

from nsfw_caffe.evaluate.evaluation import Evaluation, evaluate
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.report.evaluation import notes
from nsfw_caffe.report.json_text import plain, to_json
from tests.evaluate.labelled import of
from tests.report.labelled_results import SET_UP, comparison, evaluation


def strict(text: str) -> dict[str, object]:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read: dict[str, object] = json.loads(text, parse_constant=refuse)
    return read


def test_the_numbers_with_all_their_digits() -> None:
    found = evaluation()
    text = to_json(found)
    assert text.endswith("}\n")
    read = json.loads(text)
    assert set(read) == {field.name for field in dataclasses.fields(Evaluation)} | {"made_with", "notes"}
    assert read["roc"]["auc"] == found.roc.auc
    assert read["roc"]["tpr"] == found.roc.tpr.tolist()
    assert read["roc"]["thresholds"][0] is None
    assert read["brier_interval"] == dataclasses.asdict(found.brier_interval)
    half = read["confusions"][1]
    assert (half["threshold"], half["true_positives"]) == (0.5, found.confusions[1].true_positives)
    share = found.confusions[1].share("fpr")
    assert (half["fpr"]["value"], half["fpr"]["interval"]["low"]) == (share.value, share.interval.low)
    assert [point["held_at"] for point in read["fnr_at_fpr"]] == [0.01, 0.05, 0.1]
    assert read["policy"]["passed"]["count"] == found.policy.passed.count
    assert read["strata"]["site"]["groups"][0]["group"] == "one"
    assert read["set_ups"] == [SET_UP._asdict()]
    assert read["failures"] == [["/broken.jpg", "the file is empty"]]
    assert set(read["made_with"]) == {"nsfw_caffe", "Python", "numpy", "scikit-learn", "SciPy"}


def test_what_is_not_defined_is_null() -> None:
    found = evaluate(of("ns" * 2, [0.1, 0.9] * 2), Options(precision=0.9, resamples=20))
    read = strict(to_json(found))
    assert (read["choice"], read["no_choice"]) == (None, found.no_choice)
    assert read["notes"] == list(notes(found))
    assert '"mean_score": [\n' in to_json(found)
    assert plain({"a": (math.nan, -math.inf), "b": np.array([1.5, np.inf])}) == {"a": [None, None], "b": [1.5, None]}


def test_any_name_can_be_written() -> None:
    name = "/\udcff\x00\u2028</script>.jpg"
    read = json.loads(to_json(evaluation([name])))
    assert read["highest_sfw"][0]["source"] == name
    to_json(evaluation([name])).encode("ascii")


def test_a_comparison() -> None:
    compared = comparison()
    read = json.loads(to_json(compared))
    assert read["figures"]["auc_a"] == compared.figures.auc_a
    assert read["figures"]["became_nsfw"] == len(compared.figures.became_nsfw)
    assert len(read["changes"]) == len(compared.changes)
    assert read["changes"][0]["source"] == compared.changes[0].source
    assert not {"grid", "dots_a", "dots_b"} & set(read)
