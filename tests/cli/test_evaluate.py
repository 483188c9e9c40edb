from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import sklearn.metrics

from nsfw_caffe import Classifier
from nsfw_caffe.results.formats import write_results
from tests.cli.running import call
from tests.records import failed, scored
from tests.support import REPOSITORY, nsfw_caffe, run

ENGINE = ("--engine", "onnxruntime")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation") / "stand-in"
    child = run(REPOSITORY / "examples/evaluation.py", folder, "--count", "40")
    assert child.returncode == 0, child.stderr
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache


@pytest.mark.slow
def test_two_folders_end_to_end(folders: Path, tmp_path: Path, portable: Classifier, cache: Path) -> None:
    page, figures, plots = tmp_path / "e.html", tmp_path / "e.json", tmp_path / "plots"
    arguments = ("evaluate", "--nsfw", folders / "nsfw", "--sfw", folders / "sfw", *ENGINE, "--by", "format")
    options = ("--html", page, "--thumbnails", "3", "--heat-maps", "--json", figures, "--plots", plots)
    child = nsfw_caffe(*arguments, *options)
    assert child.returncode == 0, child.stderr
    files = sorted(folders.rglob("*.jpg"))
    scores = portable.classify_batch(files)
    labels = [path.parent.name == "nsfw" for path in files]
    auc = json.loads(figures.read_text())["roc"]["auc"]
    assert auc == pytest.approx(sklearn.metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert re.search(rf"area under the ROC curve +{auc:.4f}", child.stdout)
    text = page.read_text()
    assert text.count("<svg") >= 5
    assert text.count("data:image/jpeg") == 12
    explained = [float(found) for found in re.findall(r"heat map of ([\d.]+)\)", text)]
    assert explained == pytest.approx([float(found) for found in re.findall(r"<strong>([\d.]+)</strong>", text)])
    assert not re.search(r"(src|href)=.?https?:", text)
    assert {path.suffix for path in plots.iterdir()} == {".png"}
    (kept,) = (cache / "nsfw_caffe/evaluate").glob("*.sqlite")
    before = kept.stat()
    assert nsfw_caffe(*arguments).stdout == child.stdout
    assert kept.stat().st_mtime_ns == before.st_mtime_ns  # nothing was scored again


@pytest.mark.slow
def test_a_table_of_sources_is_scored(folders: Path, tmp_path: Path) -> None:
    files = sorted(folders.rglob("*.jpg"))[::4]
    missing = tmp_path / "missing.jpg"
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["source", "label", "half"])
        writer.writerows([path, path.parent.name, "ab"[number % 2]] for number, path in enumerate([*files, missing]))
    text = (tmp_path / "labels.csv").read_text().replace(f"{missing},{tmp_path.name}", f"{missing},sfw")
    (tmp_path / "labels.csv").write_text(text)
    kept = tmp_path / "scores.csv"
    child = nsfw_caffe("evaluate", tmp_path / "labels.csv", "--scores", kept, "--by", "half", "--json", "-", *ENGINE)
    assert child.returncode == 1, child.stderr  # one has no score
    figures = json.loads(child.stdout)
    assert (figures["nsfw"], figures["sfw"]) == (10, 10)
    assert figures["failures"] == [[str(missing), "cannot be read (No such file or directory)"]]
    joined = nsfw_caffe("evaluate", tmp_path / "labels.csv", "--results", kept, "--by", "half", "--json", "-")
    assert json.loads(joined.stdout)["roc"] == figures["roc"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give DATA, or --nsfw DIR and --sfw DIR"),
        (("--nsfw", "."), "--nsfw and --sfw go together: a ROC needs both"),
        (("d.csv", "--nsfw", ".", "--sfw", "."), "give DATA, or --nsfw DIR and --sfw DIR"),
        (("--nsfw", ".", "--sfw", ".", "--results", "r.csv"), "--results goes with DATA"),
        (("missing.txt",), "missing.txt: its ending says no format"),
        (("--nsfw", "missing", "--sfw", ".", *ENGINE), "missing: no such folder"),
        (("--nsfw", "empty", "--sfw", "empty", *ENGINE), "empty: there is nothing to score"),
        (("one.csv",), "there are only sfw samples"),
        (("one.csv", "--max-fpr", "2"), "2 is not between 0 and 1"),
        (("one.csv", "--max-fpr", "0.1", "--max-fnr", "0.1"), "not allowed with argument"),
        (("one.csv", "--low", "0.9", "--high", "0.1"), "low=0.9, high=0.1: expected low to be high or less"),
        (("one.csv", "--thumbnails", "3"), "--thumbnails goes with --html"),
        (("one.csv", "--heat-maps"), "--heat-maps goes with --thumbnails"),
        (("one.csv", "--json", "figures.txt"), "figures.txt: the file's name has to end in .json; --json alone prints"),
    ],
    ids=str,
)
def test_wrong_usage(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.csv").write_text("label,score\nsfw,0.1\nsfw,0.2\n")
    monkeypatch.chdir(tmp_path)
    ended = call(capsys, "evaluate", *arguments)
    assert ended.returncode == 2
    assert message in ended.stderr


def test_no_place_to_keep_scores_is_told_of(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    ended = call(capsys, "evaluate", "--nsfw", folders / "nsfw", "--sfw", folders / "sfw", *ENGINE)
    assert ended.returncode == 2
    assert "cannot be made (Not a directory): give --scores FILE" in ended.stderr


def test_the_same_folder_on_both_sides_is_told_of(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = call(capsys, "evaluate", "--nsfw", folders / "sfw", "--sfw", folders / "sfw", *ENGINE)
    assert ended.returncode == 2
    assert "is labelled both nsfw and sfw: decide for one" in ended.stderr


@pytest.mark.slow
def test_one_picture_under_both_labels_is_told_of(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("nsfw", "sfw"):
        (tmp_path / label).mkdir()
        for path in sorted((folders / label).iterdir())[:3]:
            shutil.copy(path, tmp_path / label)
    shutil.copy(min((folders / "sfw").iterdir()), tmp_path / "nsfw" / "z.jpg")
    ended = call(capsys, "evaluate", "--nsfw", tmp_path / "nsfw", "--sfw", tmp_path / "sfw", *ENGINE)
    assert ended.returncode == 0, ended.stderr
    assert "1 picture labelled nsfw in one place and sfw in another: decide for one." in ended.stdout
    assert "There are only 3 sfw samples: the intervals are wide" in ended.stdout


@pytest.mark.slow
def test_compare(tmp_path: Path) -> None:
    rows = [scored(f"{number:02}", number / 100) for number in range(100)]
    write_results(tmp_path / "a.csv", [*rows, failed("x")])
    write_results(tmp_path / "b.parquet", [scored(row.source, (row.score or 0) ** 0.9) for row in rows])
    with (tmp_path / "labels.csv").open("w") as stream:
        stream.write("source,label\n" + "".join(f"{n:02},{int(n % 10 < n / 10)}\n" for n in range(100)))
    page = tmp_path / "c.html"
    child = nsfw_caffe(
        "compare", tmp_path / "a.csv", tmp_path / "b.parquet", "--labels", tmp_path / "labels.csv",
        "--threshold", "0.5", "--html", page, "--json", tmp_path / "c.json",
    )  # fmt: skip
    assert child.returncode == 0, child.stderr
    figures = json.loads((tmp_path / "c.json").read_text())
    assert figures["figures"]["difference"] == 0
    assert [change["source"] for change in figures["changes"]] == ["47", "48", "49"]  # 0.47 ** 0.9 is 0.507
    assert re.search(r"B flags, A does not +3\n", child.stdout)
    assert page.read_text().count("<svg") == 1


def test_compare_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.csv", "b.csv"):
        write_results(tmp_path / name, [scored("a"), scored("b")])
    ended = call(capsys, "compare", tmp_path / "a.csv", tmp_path / "b.csv")
    assert ended.returncode == 2
    assert "there is no column label" in ended.stderr


def test_the_page_of_a_large_table_is_small(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{number % 2},{(number * 7919 % 10007) / 10007}" for number in range(100_000)]
    (tmp_path / "d.csv").write_text("label,score\n" + "\n".join(lines) + "\n")
    ended = call(capsys, "evaluate", tmp_path / "d.csv", "--html", tmp_path / "e.html")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "e.html").stat().st_size < 1_000_000


def test_json_is_printed_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.csv").write_text("source,label,score\na,1,0.9\nb,0,0.2\nc,1,0.7\nd,0,0.1\n")
    for command in ("evaluate {} d.csv", "evaluate d.csv {}", "compare {} d.csv d.csv", "compare d.csv {} d.csv"):
        printed = call(capsys, *command.format("--json").split())
        assert printed.returncode == 0, printed.stderr
        assert json.loads(printed.stdout)
        assert call(capsys, *command.format("--json -").split()).stdout == printed.stdout
        assert [path.name for path in tmp_path.iterdir()] == ["d.csv"]
        for option in ("--json f.json", "--json=f.json"):
            written = call(capsys, *command.format(option).split())
            assert (written.returncode, "ROC curve" in written.stdout) == (0, True)
            assert json.loads(Path("f.json").read_text()) == json.loads(printed.stdout)
            Path("f.json").unlink()


def test_an_evaluation_needs_no_model_where_scores_are_given(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("label,score\nnsfw,0.9\nsfw,0.2\nnsfw,0.7\nsfw,0.1\n")
    environment = {"NSFW_CAFFE_MODEL_DIR": str(tmp_path / "nowhere"), "PIP_NO_INDEX": "1"}
    child = nsfw_caffe("evaluate", tmp_path / "d.csv", environment=environment)
    assert child.returncode == 0, child.stderr
    shutil.rmtree(tmp_path / "nowhere", ignore_errors=True)
