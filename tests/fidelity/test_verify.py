from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe import EngineUnavailable, ModelError
from nsfw_caffe.fidelity.measure import Environment, Measured, measure
from nsfw_caffe.fidelity.verify import (
    Expected,
    Trial,
    _compare,
    agrees_as_well,
    check_portable,
    find_best,
    published_pictures,
    recorded_pictures,
    try_all,
    units_in_last_place,
)
from nsfw_caffe.options import Jpeg, ScoringOptions
from nsfw_caffe.system.extras import install_hint
from tests.support import PHOTOS, needs_atlas, nsfw_caffe, run

OPENBLAS = "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3"
HASWELL = {"LD_PRELOAD": OPENBLAS, "OPENBLAS_CORETYPE": "Haswell"}


def test_recorded_bits_on_a_recorded_kernel() -> None:
    child = nsfw_caffe("verify", environment=HASWELL)
    assert child.returncode == 0, child.stdout
    assert child.stdout.count("equal      equal      equal") == len(recorded_pictures()) == 6
    assert "BLAS    openblas Haswell, one thread, /usr/lib" in child.stdout
    *_, bits, _, onnxruntime, openvino = child.stdout.splitlines()
    assert bits == "every recorded bit is equal"
    for line, engine in ((onnxruntime, "onnxruntime"), (openvino, "openvino")):
        assert re.fullmatch(rf"{engine} +equal +at most [0-9.e-]+ from Caffe's recorded scores; 5e-06 is allowed", line)


@needs_atlas
def test_recorded_bits_of_the_published_set_up() -> None:
    child = nsfw_caffe("verify", "--published")
    assert child.returncode == 0, child.stdout
    assert "IJG libjpeg 9d" in child.stdout
    assert "BLAS    atlas, one thread, /usr/lib" in child.stdout
    assert child.stdout.count("equal      equal      equal") == 6


def test_portable_engine_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its scores are real; what is recorded is said to be other."""
    coffee = next(picture for picture in recorded_pictures() if picture.path.name == "coffee.png")
    found = {finding.engine: finding for finding in check_portable([coffee])}
    assert [finding.verdict for finding in found.values()] == ["equal", "equal"]
    far = {"pillow": {blas: score + 1e-5 for blas, score in coffee.scores["pillow"].items()}}
    monkeypatch.setattr("nsfw_caffe.fidelity.verify.PORTABLE_ENGINES", ("onnxruntime",))
    (finding,) = check_portable([replace(coffee, scores=far, sha256="0")])
    assert finding.verdict == "different"
    assert finding.reason.startswith("at most 1.0e-05 from Caffe's recorded scores")
    assert "something else for coffee.png" in finding.reason


def test_portable_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nsfw_caffe.fidelity.verify.PORTABLE_ENGINES", ("missing_engine",))
    (finding,) = check_portable(recorded_pictures())
    assert (finding.verdict, finding.reason) == ("not installed", install_hint("missing_engine"))


def test_without_caffe_the_portable_engines_are_still_checked(tmp_path: Path) -> None:
    (tmp_path / "caffe.py").write_text("raise ModuleNotFoundError('No module named caffe', name='caffe')")
    child = nsfw_caffe("verify", environment={"PYTHONPATH": str(tmp_path)})
    assert child.returncode == 3
    assert "Caffe: No module named caffe" in child.stderr
    assert [line.split()[:2] for line in child.stdout.splitlines()[1:]] == [
        ["onnxruntime", "equal"],
        ["openvino", "equal"],
    ]


@needs_atlas
def test_published_scores() -> None:
    folder = os.environ.get("NSFW_CAFFE_PUBLISHED")
    if folder is None:
        pytest.skip("NSFW_CAFFE_PUBLISHED names no folder of pictures with published scores")
    child = nsfw_caffe("verify", "--published", "--against", Path(folder) / "published.json")
    assert child.returncode == 0, child.stdout


def test_json_says_what_the_text_says(tmp_path: Path) -> None:
    (tmp_path / "coffee.png").symlink_to(PHOTOS / "coffee.png")
    coffee = next(picture for picture in recorded_pictures() if picture.path.name == "coffee.png")
    entry = {"file": "coffee.png", "sha256": coffee.sha256, "nsfw": coffee.scores["pillow"]["openblas Haswell"]}
    (tmp_path / "scores.json").write_text(json.dumps({"scores": [entry]}))
    child = nsfw_caffe("verify", "--json", "--against", tmp_path / "scores.json", environment=HASWELL)
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    assert (found["verdict"], found["error"], found["environment"]["blas"]) == ("equal", None, "openblas Haswell")
    assert [Path(picture["source"]) for picture in found["pictures"]] == [each.path for each in recorded_pictures()]
    for picture in found["pictures"]:
        assert (picture["file"], picture["tensor"], picture["score"], picture["reason"]) == (*["equal"] * 3, "")
    assert found["pictures"][2]["measured"] == {
        "sha256": coffee.sha256,
        "tensor": coffee.tensors["pillow"],
        "score": coffee.scores["pillow"]["openblas Haswell"],
    }
    assert [(each["engine"], each["verdict"]) for each in found["engines"]] == [
        ("onnxruntime", "equal"),
        ("openvino", "equal"),
    ]
    assert len(found["set_ups"]) == 8
    assert "ATLAS" in found["set_ups"][0]["reason"]  # which cannot be had beside another BLAS
    assert found["best"] in found["set_ups"]
    assert (found["best"]["engine"], found["best"]["family"]) == ("caffe", "libjpeg-turbo family")
    assert (found["best"]["equal"], found["best"]["total"], found["as_well"]) == (1, 1, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "family"),
    [("published.json", "IJG libjpeg 9 family"), ("turbo/published.json", "libjpeg-turbo family")],
)
@needs_atlas
def test_the_family_of_published_scores(file: str, family: str) -> None:
    path = Path(os.environ.get("NSFW_CAFFE_PUBLISHED", "")) / file
    if "NSFW_CAFFE_PUBLISHED" not in os.environ or not path.is_file():
        pytest.skip(f"NSFW_CAFFE_PUBLISHED names no folder with {file}")
    child = nsfw_caffe("verify", "--against", path)
    assert child.returncode == 0, child.stdout
    last = child.stdout.splitlines()[-1]
    assert last.startswith(f"{family}: caffe on atlas with ")
    assert last.endswith(" gives every published digit")


def trial(jpeg: Jpeg, agreeing: int, distance: float) -> Trial:
    environment = Environment(jpeg, "libjpeg-turbo 3", "Pillow 13.0", "atlas", "/lib", "a CPU")
    return Trial(ScoringOptions(engine="caffe", jpeg=jpeg), environment, agreeing, 2, distance)


def test_the_best_set_up_is_the_one_whose_digits_agree_or_the_nearest() -> None:
    exact, near, far = trial("pillow", 2, 9e-8), trial("ijg9d", 1, 3e-7), trial("ijg9d", 1, 1e-2)
    missing = Trial(ScoringOptions(engine="caffe"), None, 0, 2, 1.0, "not installed")
    assert find_best([missing, near, far, exact]) is exact
    assert find_best([missing, far, near]) is near
    assert find_best([missing, far]) is None
    assert [agrees_as_well(each, exact) for each in (missing, near, far, trial("ijg9d", 2, 0))] == [
        False, False, False, True
    ]  # fmt: skip
    assert agrees_as_well(trial("pillow", 0, 1e-6), near)


def test_scores_that_no_set_up_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nsfw_caffe.fidelity.verify._TRIED", [ScoringOptions(engine="onnxruntime")])
    coffee = next(picture for picture in recorded_pictures() if picture.path.name == "coffee.png")
    (tried,) = try_all([replace(coffee, published=0.5)])
    assert (tried.agreeing, tried.total, round(tried.distance, 3)) == (0, 1, 0.487)
    assert find_best([tried]) is None


@needs_atlas
def test_against_a_wrong_score_and_a_wrong_file(tmp_path: Path) -> None:
    for name in ("coffee.png", "rocket.jpg"):
        (tmp_path / name).symlink_to(PHOTOS / name)
    coffee = next(picture for picture in recorded_pictures() if picture.path.name == "coffee.png")
    score = coffee.scores["ijg9d"]["atlas"]
    entries = [
        {"file": "coffee.png", "sha256": coffee.sha256, "nsfw": score},
        {"file": "coffee.png", "sha256": coffee.sha256, "nsfw": float(np.nextafter(np.float32(score), np.float32(1)))},
        {"file": "rocket.jpg", "sha256": "0" * 64, "nsfw": 0.5},
        {"file": "coffee.png", "sha256": coffee.sha256, "nsfw": round(score, 4), "digits": "4 decimals"},
    ]
    (tmp_path / "scores.json").write_text(json.dumps({"scores": entries}))
    child = nsfw_caffe("verify", "--published", "--against", tmp_path / "scores.json")
    assert child.returncode == 1
    lines = child.stdout.splitlines()
    rows = [line[24:57].split("  ") for line in lines if line.startswith(("coffee.png", "rocket.jpg"))]
    verdicts = [[word.strip() for word in row if word.strip()] for row in rows]
    assert verdicts[2:] == [
        ["equal", "no record", "equal"],
        ["equal", "no record", "different"],
        ["different", "no record", "different"],
        ["equal", "no record", "equal"],
    ]
    assert sum("1 units in the last place" in line for line in lines) == 1
    assert sum("the file is not the one that was recorded" in line for line in lines) == 1
    assert lines[-1] == "some bits differ from the record"
    child = nsfw_caffe("verify", "--published", "--against", tmp_path / "scores.json", "--json")
    assert child.returncode == 1
    found = json.loads(child.stdout)
    assert found["verdict"] == "different"
    assert [[picture[stage] for stage in ("file", "tensor", "score")] for picture in found["pictures"][6:]] == verdicts[
        2:
    ]


def test_missing_picture(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"scores": [{"file": "gone.jpg", "sha256": "", "nsfw": 0.5}]}')
    child = nsfw_caffe("verify", "--against", tmp_path / "scores.json")
    assert (child.returncode, child.stdout) == (3, "")
    assert child.stderr == f"nsfw-caffe: {tmp_path}/gone.jpg: the picture is missing\n"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"scores": [{}]}', '{"scores": [{"file": 1}]}'])
def test_not_a_file_of_scores(text: str, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(ModelError, match="not a file of published scores"):
        published_pictures(tmp_path / "scores.json")


def test_missing_set_up_is_said_by_the_child() -> None:
    code = (
        "import os, sys\n"
        "from nsfw_caffe import EngineUnavailable, ScoringOptions\n"
        "from nsfw_caffe.fidelity import measure\n"
        "try: measure.measure([], ScoringOptions.published())\n"
        "except EngineUnavailable as error: print(error)"
    )
    child = run("-c", code, environment={"LD_PRELOAD": OPENBLAS})
    assert "computes with openblas" in child.stdout


def test_a_child_that_dies_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os; os.kill(os.getpid(), 9)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EngineUnavailable, match="status -9"):
        measure([], ScoringOptions(engine="caffe"))


def compare(tensor: str, score: float, blas: str = "openblas Haswell") -> str:
    expected = Expected(
        Path("a.png"), "file", {"pillow": "tensor"}, {"pillow": {"openblas Haswell": 0.5, "atlas": 0.25}}
    )
    environment = Environment("pillow", "libjpeg-turbo 3", "Pillow 13.0", blas, "/lib", "a CPU")
    finding = _compare(expected, Measured("file", tensor, score), environment)
    return f"{finding.tensor}, {finding.score}: {finding.reason}"


def test_stages_are_told_apart() -> None:
    next_score = float(np.nextafter(np.float32(0.5), np.float32(1)))
    assert compare("tensor", 0.5) == "equal, equal: "
    assert compare("tensor", next_score) == (
        "equal, different: 1 units in the last place from 0.5: another build of openblas Haswell"
    )
    assert compare("other", next_score).endswith(
        "the tensor differs already: libjpeg-turbo 3 or the resize (Pillow 13.0) does"
    )
    assert compare("tensor", 0.25, "openblas Atom") == (
        "equal, equal: openblas Atom is not recorded; 0 units in the last place from 0.25 of atlas"
    )
    assert compare("tensor", next_score, "openblas Atom").startswith("equal, different: openblas Atom is not recorded")


def test_units_in_last_place() -> None:
    assert units_in_last_place(0.5, 0.5) == 0
    assert units_in_last_place(1.0, float(np.nextafter(np.float32(1), np.float32(2)))) == 1
    assert units_in_last_place(0.0, 1e-45) == 1
