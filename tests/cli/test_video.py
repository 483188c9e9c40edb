"""`nsfw-caffe video`, with the real network."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from nsfw_caffe import Classifier
from nsfw_caffe.cli.arguments import seconds
from tests import clips
from tests.cli.running import call, run_on_terminal
from tests.clips import X264, Clip
from tests.support import nsfw_caffe

ENGINE = ("--engine", "onnxruntime")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return six seconds, of which 1.5 to 3.5 are nsfw, in a Matroska file that a pipe can give."""
    return Clip("clip.mkv", "libx264", X264).write(tmp_path_factory.mktemp("clips"))


def test_table_of_segments(capsys: pytest.CaptureFixture[str], portable: Classifier, clip: Path) -> None:
    found = portable.classify_video(clip)
    child = call(capsys, "video", clip, *ENGINE)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.splitlines() == [
        str(clip),
        f"  highest score    {found.max_score:.4f} at 00:02.0",
        f"  95th percentile  {found.p95:.4f}",
        f"  mean score       {found.mean:.4f}",
        "  at or above 0.8  33.33 % of the time",
        "  frames           6, every 1 s",
        "  looked at to     00:06.0",
        "     from       to  highest score",
        f"  00:02.0  00:04.0         {found.max_score:.4f}",
    ]


def test_json_and_csv_of_several(
    capsys: pytest.CaptureFixture[str], portable: Classifier, clip: Path, tmp_path: Path
) -> None:
    animated = clips.write_animation(tmp_path / "a.gif", [0.5, 0.5, 0.5], (1, 2))
    files = (clip, tmp_path / "none.mp4", animated)
    options = ("--every", "0.5", "--start", "1", "--threshold", "0.7")
    child = call(capsys, "video", *files, "--json", *options, *ENGINE)
    assert child.returncode == 1
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert [line["source"] for line in lines] == [str(file) for file in files]
    for line, file in zip(lines, files, strict=True):
        if file.exists():
            found = portable.classify_video(file, 0.5, 1.0, threshold=0.7)
            assert line == {"source": str(file), "error": None, **found.to_json()}
    assert lines[1]["error"] == f"{files[1]}: cannot be read (No such file or directory)"
    assert child.stderr == f"nsfw-caffe: {lines[1]['error']}\n"
    child = call(capsys, "video", clip, files[1], animated, "--csv", *options[:2], *ENGINE)
    assert child.returncode == 1
    rows = list(csv.DictReader(io.StringIO(child.stdout)))
    assert [(row["source"], row["start"], row["end"]) for row in rows] == [
        (str(clip), "1.5", "3.5"), (str(animated), "0.5", "1.0")
    ]  # fmt: skip


def test_standard_input_and_stop(capsys: pytest.CaptureFixture[str], clip: Path) -> None:
    child = nsfw_caffe("video", "-", "--json", "--stop-at", "0.9", *ENGINE, stdin=clip.read_bytes())
    assert child.returncode == 0
    found = json.loads(child.stdout)
    assert (found["source"], found["times"], found["complete"]) == ("-", [0, 1, 2], False)
    assert child.stderr == "nsfw-caffe: -: is looked at up to 00:02.0: a score of 0.9 ends it\n"
    assert call(capsys, "video", clip, "--stop-at", "0.9", *ENGINE).stdout.splitlines()[-2:] == [
        "     from       to  highest score", "  00:02.0  00:03.0         1.0000"
    ]  # fmt: skip


def test_a_page_with_scores_and_blurred_frames(capsys: pytest.CaptureFixture[str], clip: Path, tmp_path: Path) -> None:
    pages = []
    for options in ([], ["--thumbnails", 1, "--clear"]):
        child = call(capsys, "video", clip, tmp_path / "none.mp4", "--html", tmp_path / "p.html", *options, *ENGINE)
        assert child.returncode == 1
        pages.append((tmp_path / "p.html").read_text())
    blurred, clear = pages
    for page in pages:
        assert page.count("<svg") == page.count("<img") == 1
        assert "none.mp4: cannot be read" in page
        assert re.search(r"<strong>1\.0000</strong><bdi>00:02\.0</bdi>", page)
    assert "blurred for good" in blurred
    assert blurred != clear


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--every", "-1"], "--every"),
        (["--every", "0.0001"], "--every=0.0001: expected seconds, 0.001 or more, or 0 for every frame"),
        (["--start", "5", "--end", "4"], "--end=4.0: expected seconds, more than the start, 5"),
        (["--start", "1:2:3:4"], "1:2:3:4 is no time, such as 90 or 1:30"),
        (["--stop-at", "2"], "2 is not between 0 and 1"),
        (["--html", "p.txt"], "the page's name has to end in .html"),
        (["--json", "--csv"], "not allowed with"),
        (["-", "-"], "- is standard input, which gives one video, once"),
    ],
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], options: list[str], message: str) -> None:
    child = call(capsys, "video", "clip.mkv", *options)
    assert (child.returncode, child.stdout) == (2, "")
    assert message in child.stderr


def test_times() -> None:
    assert [seconds(text) for text in ("90", "1:30", "1:02:03.5", "0")] == [90, 90, 3723.5, 0]


def test_progress_on_a_terminal(clip: Path) -> None:
    status, shown = run_on_terminal("video", clip, "--json", *ENGINE)
    assert status == 0
    assert b"of 6 s of the video" in shown
