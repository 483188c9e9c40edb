"""Videos and animations among the sources of a scan: a row each, with the highest score and its time."""

from __future__ import annotations

import dataclasses
import io
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image
from warcio.warcwriter import WARCWriter

import nsfw_caffe
from nsfw_caffe import Classifier, Limits, Record
from nsfw_caffe.errors import ResultsError, ScoreError
from nsfw_caffe.parallel.outcome import Outcome
from nsfw_caffe.preprocessing.steps import Source
from nsfw_caffe.report.formatting import describe_set_up
from nsfw_caffe.report.thumbnails import thumbnails
from nsfw_caffe.results.formats import write_results
from nsfw_caffe.results.record import Provenance
from nsfw_caffe.video import highest_scores
from tests import clips
from tests.clips import X264, Clip
from tests.sources.support import pack, response
from tests.support import PHOTOS, run

STEP = 0.5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder: a video, the same in an archive, one cut off, an animation, two pictures, and what is none."""
    folder = tmp_path_factory.mktemp("made")
    clip = Clip("clip.mkv", "libx264", X264 | {"g": "10"}).write(folder)
    clips.write_animation(folder / "moving.gif", [0.3] * 6, (3, 5))
    content = clip.read_bytes()
    (folder / "cut.mp4").write_bytes(content[: len(content) * 2 // 3])  # whatever its name says
    pack(folder / "packed.zip", {"again.mkv": content, "other.png": (PHOTOS / "horse.png").read_bytes()})
    shutil.copy(PHOTOS / "rocket.jpg", folder / "picture.mp4")
    shutil.copy(PHOTOS / "coffee.png", folder)
    (folder / "sound.ogg").write_bytes(b"OggS" + bytes(1000))
    return folder


@pytest.fixture(scope="module")
def scanned(made: Path, tmp_path_factory: pytest.TempPathFactory, portable: Classifier) -> dict[str, Record]:
    return rows(made, tmp_path_factory.mktemp("scanned") / "r.csv", portable)


def rows(folder: Path, results: Path, classifier: Classifier) -> dict[str, Record]:
    result = nsfw_caffe.scan(folder, results, classifier=classifier, every=STEP)
    return {Path(record.source).name: record for record in result.records()}


@pytest.mark.parametrize("name", ["clip.mkv", "moving.gif", "cut.mp4"])
def test_a_video_has_the_highest_score_of_its_frames(
    name: str, made: Path, scanned: dict[str, Record], portable: Classifier
) -> None:
    found, alone = scanned[name], portable.classify_video(made / name, STEP)
    assert (found.score, found.max_time, found.error) == (alone.max_score, alone.max_time, None)
    assert found.score is not None
    assert found.score > 0.95
    assert (found.warning or "") == "; ".join(alone.warnings)
    assert (found.width, found.height) == clips.SIZE
    assert found.every == STEP


def test_what_is_odd_of_a_video_is_told(scanned: dict[str, Record]) -> None:
    assert scanned["clip.mkv"].warning is None
    assert "ends at 00:0" in str(scanned["cut.mp4"].warning)
    assert scanned["sound.ogg"].score is None
    assert (scanned["clip.mkv"].format, scanned["moving.gif"].format) == ("matroska", "GIF")


def test_pictures_are_scored_as_ever(made: Path, scanned: dict[str, Record], portable: Classifier) -> None:
    for name in ("picture.mp4", "coffee.png"):
        assert (scanned[name].score, scanned[name].max_time) == (portable.classify(made / name), None)
    assert scanned["picture.mp4"].format == "JPEG"


def test_a_video_in_an_archive_is_one_too_and_scored_once(scanned: dict[str, Record]) -> None:
    file, member = scanned["clip.mkv"], scanned["packed.zip!again.mkv"]
    assert (member.score, member.max_time, member.sha256) == (file.score, file.max_time, file.sha256)
    assert (member.format, member.width) == (file.format, file.width)
    assert member.seconds is not None
    assert member.seconds < 0.2 * (file.seconds or 0)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_a_second_scan_knows_them(
    ending: str, made: Path, scanned: dict[str, Record], tmp_path: Path, portable: Classifier
) -> None:
    results = tmp_path / f"r.{ending}"
    write_results(results, scanned.values())
    assert list(nsfw_caffe.read_results(results)) == list(scanned.values())
    again = nsfw_caffe.scan(made, results, classifier=portable, every=STEP)
    assert again.known == again.sources == len(scanned)


def test_rows_of_other_steps_are_not_mixed(made: Path, tmp_path: Path, portable: Classifier) -> None:
    results = tmp_path / "r.csv"
    without = nsfw_caffe.scan(made / "clip.mkv", results, classifier=portable)
    (record,) = without.records()
    assert "it is a video: " in str(record.error)
    assert "'nsfw-caffe scan --videos'" in str(record.error)
    with pytest.raises(ResultsError, match=r"every=None, and this scan is with every=0.5: .*--rescore"):
        nsfw_caffe.scan(made / "clip.mkv", results, classifier=portable, every=STEP)
    with pytest.raises(ValueError, match=r"frames=2, every=0.5: expected one of them"):
        nsfw_caffe.scan(made / "clip.mkv", results, classifier=portable, every=STEP, frames=2)
    with pytest.raises(ValueError, match=r"every=0.0001: expected seconds"):
        nsfw_caffe.scan(made / "clip.mkv", results, classifier=portable, every=1e-4)


def test_a_video_may_be_larger_than_a_file_may(made: Path, scanned: dict[str, Record], tmp_path: Path) -> None:
    limits = Limits(bytes=(made / "clip.mkv").stat().st_size - 1)
    with Classifier(engine="onnxruntime", threads=1, limits=limits) as classifier:
        found = rows(made, tmp_path / "r.csv", classifier)
    assert found["clip.mkv"].max_time == scanned["clip.mkv"].max_time
    for name in ("coffee.png", "packed.zip!again.mkv"):
        assert f"larger than the limit of {limits.bytes} bytes (Limits.bytes, --max-size)" in str(found[name].error)


def test_videos_in_web_archives(made: Path, scanned: dict[str, Record], tmp_path: Path, portable: Classifier) -> None:
    content = (made / "clip.mkv").read_bytes()
    archive = tmp_path / "x.warc"
    with archive.open("wb") as file:
        writer = WARCWriter(file, gzip=False)
        writer.write_record(response(writer, "http://example.com/clip", content, Content_Type="video/x-matroska"))
    found = rows(archive, tmp_path / "r.csv", portable)
    assert (found["clip"].score, found["clip"].max_time) == (scanned["clip.mkv"].score, scanned["clip.mkv"].max_time)
    assert nsfw_caffe.scan(archive, tmp_path / "s.csv", classifier=portable).sources == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_sources_of_all_kinds_in_their_order(
    workers: int, made: Path, scanned: dict[str, Record], portable: Classifier
) -> None:
    content = (made / "clip.mkv").read_bytes()
    file = io.BytesIO(b"12" + content)
    file.seek(2)
    animation = io.BytesIO((made / "moving.gif").read_bytes())
    sources: list[str | bytes | BinaryIO | Path | Image.Image] = [
        str(made / "clip.mkv"), content, file, made / "coffee.png", made / "missing.mp4", made / "sound.ogg",
        Image.open(animation), made / "moving.gif", b"OggS", made / "picture.mp4", made / "clip.mkv",
    ]  # fmt: skip
    found = list(portable.scan(sources, workers=workers, every=STEP))
    assert [each.source for each in found] == sources
    video, moving = scanned["clip.mkv"].max_time, scanned["moving.gif"].max_time
    assert [each.max_time for each in found] == [*[video] * 3, *[None] * 4, moving, None, None, video]
    assert [each.ok for each in found] == [True, True, True, True, False, False, True, True, False, True, True]
    assert found[0].score == portable.classify_video(made / "clip.mkv", STEP).max_score
    assert found[4].reason == "cannot be read (No such file or directory)"
    assert all(each.seconds > 0 for each in found if each.ok)


def test_a_scan_of_videos_needs_not_all_of_them(made: Path, portable: Classifier) -> None:
    def endless() -> Iterator[Path]:
        while True:
            yield made / "clip.mkv"

    results = portable.scan(endless(), workers=1, every=STEP)
    assert next(results).max_time == next(results).max_time is not None
    results.close()


def test_a_frame_that_cannot_be_scored_is_named(made: Path) -> None:
    def score(pictures: Iterable[Source]) -> Iterator[tuple[Source, Outcome]]:
        for number, picture in enumerate(pictures):
            yield picture, Outcome(ScoreError("<picture>", "it is odd") if number in (2, 4) else number / 100, 1.0)

    sources = [made / "clip.mkv", made / "coffee.png"]
    (_, video), (_, picture) = highest_scores(sources, score, every=STEP, limits=Limits())
    assert isinstance(video.score, ScoreError)
    assert str(video.score) == f"{made / 'clip.mkv'}: the frame at 00:01.0: it is odd"
    assert video.max_time is None
    assert video.seconds > 12
    assert (picture.score, picture.seconds) == (0.12, 1.0)


def test_thumbnails_are_of_the_highest_frame(made: Path, scanned: dict[str, Record], tmp_path: Path) -> None:
    records = [scanned[name] for name in ("clip.mkv", "moving.gif", "packed.zip!again.mkv")]
    video, animation, member = thumbnails(records, clear=True)
    assert video.uri == member.uri
    assert (video.width, video.height) == (160, 90)
    assert animation.uri is not None
    at_first, _, _ = thumbnails([dataclasses.replace(each, max_time=0.0) for each in records], clear=True)
    assert at_first.uri != video.uri
    copy = shutil.copy(made / "clip.mkv", tmp_path)
    (changed,) = thumbnails([dataclasses.replace(records[0], source=str(copy), mtime=1.0)])
    assert (changed.uri, changed.missing) == (None, "it has changed since it was scored")


def test_the_step_is_told() -> None:
    set_up = Provenance("caffe", "float32", "exact", 1, "ab" * 32, every=0.5)
    assert describe_set_up(set_up) == "caffe, float32, exact decoding, videos every 0.5 s, model abababab"


@pytest.mark.slow
def test_without_pyav_it_says_so_before_anything_else(made: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['av'] = None; import nsfw_caffe\n"
        "try: nsfw_caffe.scan(sys.argv[1], sys.argv[2], every=1)\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)\n"
        "assert 'onnxruntime' not in sys.modules"
    )
    child = run("-c", program, made, tmp_path / "r.csv")
    assert child.returncode == 0, child.stderr
    assert child.stdout.startswith("videos need PyAV: ")
