"""Which frames a video gives at which times, in every container and codec."""

from __future__ import annotations

import io
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe import Limits, VideoError
from nsfw_caffe.sources import video_file
from nsfw_caffe.sources.frames import Frames, frames, frames_at
from nsfw_caffe.sources.timeline import Grid, Shown, clock, sampled
from tests import clips
from tests.clips import CLIPS, NO_KEYS, X264, X265, Clip, number_of

LONG = (
    Clip("short-gops.mp4", "libx264", X264 | {"g": "12"}),
    Clip("open-gops.mp4", "libx264", {"preset": "veryfast", "g": "30", "bf": "3", "x264-params": "open-gop=1"}),
    Clip("no-key-frames.mp4", "libx264", X264 | NO_KEYS),
    Clip("hevc.mkv", "libx265", X265 | {"bf": "3", "g": "20"}),
    Clip("vp9.webm", "libvpx-vp9", clips.VP9 | {"g": "35"}),
    Clip("av1.mp4", "libsvtav1", {"preset": "11", "svtav1-params": "lp=1", "g": "40"}),
)
"""In which far frames are sought."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def clip(folder: Path) -> Path:
    """Return six seconds of H.264 in MP4, with its index before the frames."""
    path = folder / "clip.mp4"
    one = Clip("clip.mp4", "libx264", X264 | {"g": "20"})
    times = [number / 10 for number in range(60)]
    clips.write(path, one.codec, zip(times, clips.pictures(times, ()), strict=True), one, movflags="+faststart")
    return path


def numbers(found: Frames) -> list[tuple[float, int]]:
    return [(round(time, 3), number_of(picture)) for time, picture in found]


@pytest.mark.parametrize("made", CLIPS, ids=lambda made: made.name)
def test_the_frame_that_is_shown_at_a_time(made: Clip, folder: Path) -> None:
    path = made.write(folder)
    every = [picture for _, picture in frames(path, 0)]
    assert [number_of(picture) for picture in every] == list(range(len(every)))
    # Frames that are passed over change nothing in the others.
    for _, picture in frames(path, 0.5):
        assert np.array_equal(np.asarray(picture), np.asarray(every[number_of(picture)]))
    found = frames(path, 0.5)
    shown = numbers(found)
    assert [time for time, _ in shown] == [step / 2 for step in range(12)]
    assert [number for _, number in shown] == [math.floor(time * made.rate) for time, _ in shown]
    assert (found.complete, found.warnings) == (True, [])
    assert found.ended == pytest.approx(6, abs=0.11)
    assert found.duration == pytest.approx(6, abs=0.21)


@pytest.mark.parametrize("made", LONG, ids=lambda made: made.name)
def test_a_frame_that_is_sought_is_the_one_that_is_decoded_to(
    made: Clip, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Clip(f"long-{made.name}", made.codec, made.options, 40.0)
    path = long.write(folder)
    for every, start in ((2.5, 0.0), (7.3, 3.21), (15.0, 12.0)):
        with monkeypatch.context() as patch:
            packets = _counted(patch)
            sought = list(frames(path, every, start))
            decoded = len(packets)
            patch.setattr(video_file, "SEEK_FROM", math.inf)
            straight = list(frames(path, every, start))
        assert [time for time, _ in sought] == [time for time, _ in straight]
        for (time, one), (_, other) in zip(sought, straight, strict=True):
            assert number_of(one) == math.floor(10 * time + 1e-6)
            assert np.array_equal(np.asarray(one), np.asarray(other))
        # Where there are no key frames it costs a second pass over what was decoded, and no more.
        assert decoded <= 2 * (len(packets) - decoded)
    if made.name == "short-gops.mp4":
        assert decoded < 60


def _counted(patch: pytest.MonkeyPatch) -> list[int]:
    """Take note of each packet that is decoded."""
    packets: list[int] = []
    decode = video_file.VideoFile._decode

    def noted(self: video_file.VideoFile, packet: Any) -> Any:
        packets.append(packet.size)
        return decode(self, packet)

    patch.setattr(video_file.VideoFile, "_decode", noted)
    return packets


def test_frames_that_no_other_needs_are_passed_over(folder: Path) -> None:
    path = Clip("passed-over.mp4", "libx264", {"preset": "veryfast", "bf": "3", "b-adapt": "0"}).write(folder)
    counts = []
    for every in (0.0, 0.1, 1.0):
        opened = frames(path, every)
        assert isinstance(opened._film, video_file.VideoFile)
        counts.append(sum(1 for _ in opened._film.frames(opened.grid)))
    assert counts[:2] == [60, 60]
    assert 15 < counts[2] < 45


def test_start_end_and_limit(clip: Path) -> None:
    assert numbers(frames(clip, 1.0, 1.5, 4.0)) == [(1.5, 15), (2.5, 25), (3.5, 35)]
    assert numbers(frames(clip, 1.0, 1.0, 2.0)) == [(1.0, 10)]
    limited = frames(clip, 0.5, limit=3)
    assert numbers(limited) == [(0.0, 0), (0.5, 5), (1.0, 10)]
    assert not limited.complete
    assert limited.warnings == ["is looked at up to 00:01.5: 3 frames are as many as there may be"]
    with pytest.raises(VideoError, match=r"clip\.mp4: there is no frame from 01:00\.0 on: it ends at 00:06\.0"):
        list(frames(clip, start=60))


def test_every_frame(clip: Path) -> None:
    assert numbers(frames(clip, 0)) == [(number / 10, number) for number in range(60)]
    # The one that is shown at the start is among them.
    assert numbers(frames(clip, 0, 1.25, 1.5)) == [(1.25, 12), (1.3, 13), (1.4, 14)]
    assert numbers(frames(clip, 0, 5.95)) == [(5.95, 59)]


def test_arguments_that_make_no_sense(clip: Path) -> None:
    for arguments in ({"every": -1}, {"every": math.nan}, {"start": -1}, {"start": 2, "end": 2}, {"limit": 0}):
        with pytest.raises(ValueError, match=f"{list(arguments)[-1]}="):
            frames(clip, **arguments)


@pytest.mark.parametrize("made", LONG[:3], ids=lambda made: made.name)
def test_frames_at_some_times(made: Clip, folder: Path) -> None:
    path = Clip(f"some-{made.name}", made.codec, made.options, 20.0).write(folder)
    times = [0.0, 0.05, 3.14, 3.3, 12.0, 19.95]
    found = frames_at(path, times)
    assert [(time, number_of(picture)) for time, picture in found] == [
        (time, math.floor(10 * time + 1e-6)) for time in times
    ]
    assert found.complete


def test_variable_frame_rate(folder: Path) -> None:
    times = [0, 0.033, 0.05, 1.7, 1.9, 2.0, 5.25, 5.26]
    made = Clip("variable.mp4", "libx264", X264 | {"bf": "2"}, rate=30)
    clips.write(folder / made.name, made.codec, zip(times, clips.pictures(times, ()), strict=True), made)
    assert numbers(frames(folder / made.name, 1.0)) == [(0, 0), (1, 2), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert [time for time, _ in numbers(frames(folder / made.name, 0))] == pytest.approx(times, abs=0.002)


def test_a_lasting_frame_is_one_object(folder: Path) -> None:
    times = [0, 100.0, 100.1]
    made = Clip("slides.mkv", "libx264", X264)
    clips.write(folder / made.name, made.codec, zip(times, clips.pictures(times, ()), strict=True), made)
    shown = [picture for _, picture in frames(folder / made.name, 1.0)]
    assert len(shown) == 101
    assert len({id(picture) for picture in shown}) == 2


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(clip: Path, degrees: int) -> None:
    upright = dict(frames(clip))
    turned = dict(frames(clips.turned(clip.read_bytes(), degrees)))
    for time, picture in turned.items():
        assert np.array_equal(np.asarray(picture), np.rot90(np.asarray(upright[time]), -degrees // 90))


def test_sources_of_every_kind(clip: Path, tmp_path: Path) -> None:
    expected = numbers(frames(clip))
    content = clip.read_bytes()
    file = io.BytesIO(b"before" + content)
    file.seek(6)
    for source in (str(clip), content, bytearray(content), memoryview(content), io.BytesIO(content), file):
        assert numbers(frames(source)) == expected
    with clip.open("rb") as opened:
        assert numbers(frames(opened)) == expected
        assert not opened.closed
    with subprocess.Popen(["cat", clip], stdout=subprocess.PIPE) as child:
        assert numbers(frames(child.stdout)) == expected
    (tmp_path / "empty.mp4").touch()
    for nothing in (tmp_path / "empty.mp4", io.BytesIO(), tmp_path / "none.mp4", tmp_path, io.StringIO("text"), 5):
        with pytest.raises(VideoError):
            frames(nothing)


def test_files_are_closed(clip: Path) -> None:
    def opened() -> int:
        return sum(os.path.realpath(name) == str(clip) for name in Path("/proc/self/fd").iterdir())

    whole = frames(clip)
    assert opened() == 1
    list(whole)
    assert opened() == 0
    begun = frames(clip)
    next(begun)
    begun.close()
    assert opened() == 0
    assert list(begun) == []


def test_timestamps_that_begin_anew(folder: Path) -> None:
    one = Clip("one.ts", "libx264", X264, 3.0).write(folder).read_bytes()
    joined = frames(one + one, 0.5)
    shown = numbers(joined)
    assert [time for time, _ in shown] == [step / 2 for step in range(12)]
    assert [number for _, number in shown] == [0, 5, 10, 15, 20, 25] * 2
    assert joined.warnings == ["begins its timestamps anew at 00:03.0: it goes on from there"]


ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")


@pytest.mark.parametrize("kind", ANIMATED)
def test_animations_are_what_pillow_composites(kind: str, tmp_path: Path) -> None:
    seconds = [0.1, 0.5, 0.2, 1.0, 0.4]
    options: dict[str, Any] = {"GIF": {"disposal": 1}, "WEBP": {"quality": 90}}.get(kind, {})
    path = clips.write_animation(tmp_path / f"a.{kind.lower()}", seconds, **options)
    begins = [round(sum(seconds[:number]), 3) for number in range(5)]
    found = list(frames(path, 0))
    assert [round(time, 3) for time, _ in found] == begins
    with Image.open(path) as reference:
        for number, (_, picture) in enumerate(found):
            reference.seek(number)
            assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(reference.convert("RGB")))
    # What is shown at each half second, by the durations.
    spaced = frames(path, 0.5)
    assert numbers(spaced) == [(0.0, 0), (0.5, 1), (1.0, 3), (1.5, 3), (2.0, 4)]
    assert (spaced.complete, spaced.warnings) == (True, [])
    assert spaced.ended == pytest.approx(2.2)


def test_a_duration_of_nothing_is_a_tenth_of_a_second(tmp_path: Path) -> None:
    path = clips.write_animation(tmp_path / "fast.gif", [0, 0, 0])
    assert [time for time, _ in numbers(frames(path, 0))] == [0, 0.1, 0.2]


def test_a_still_picture_is_one_frame_of_what_can_be_animated_and_else_an_error(tmp_path: Path) -> None:
    for kind in ANIMATED:
        Image.fromarray(clips.harmless()).save(tmp_path / f"still.{kind.lower()}")
        found = frames(tmp_path / f"still.{kind.lower()}")
        assert [time for time, _ in found] == [0.0]
        assert found.complete
    Image.fromarray(clips.harmless()).save(tmp_path / "picture.mp4", "JPEG")
    with pytest.raises(VideoError, match=r"picture\.mp4: a picture \(JPEG\), not a video: classify it with"):
        frames(tmp_path / "picture.mp4")


def test_an_animation_that_is_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    path = clips.write_animation(tmp_path / "cut.gif", [0.5] * 6)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found = frames(path, 0)
    assert 1 < len(list(found)) < 6
    assert not found.complete
    assert "breaks off at 00:0" in found.warnings[0]


def test_limits_of_animations(tmp_path: Path) -> None:
    path = clips.write_animation(tmp_path / "many.gif", [0.5] * 6)
    with pytest.raises(VideoError, match=r"57600 pixels: the limit is 1000 \(Limits\.pixels"):
        frames(path, limits=Limits(pixels=1000))
    with pytest.raises(VideoError, match=r"larger than the limit of 1000 bytes"):
        frames(path, limits=Limits(bytes=1000))
    few = frames(path, 0, limits=Limits(animation_pixels=3 * 57600))
    assert len(list(few)) == 3
    assert not few.complete
    assert "172800 (Limits.animation_pixels" in few.warnings[0]


def test_sampling_by_hand() -> None:
    def shown(*times: float) -> Iterator[Shown]:
        return (Shown(time, time + 1, Image.Image) for time in times)

    def times(grid: Grid, *given: float) -> list[tuple[float, float]]:
        return [(time, frame.time) for time, frame in sampled(shown(*given), grid)]

    # Before the first frame, the first; to its end, the last.
    assert times(Grid(1), 1.5, 3.0) == [(0, 1.5), (1, 1.5), (2, 1.5), (3, 3.0)]
    assert times(Grid(1), 0.0) == [(0, 0.0)]
    assert times(Grid(0.5), 0.0, 0.4, 0.5) == [(0, 0.0), (0.5, 0.5), (1.0, 0.5)]
    assert times(Grid(1, 0, 2), 0.0, 5.0) == [(0, 0.0), (1, 0.0)]
    assert times(Grid(1)) == []
    # A timestamp may be rounded up.
    assert times(Grid(1), 0.0, 1.0000001) == [(0, 0.0), (1, 1.0000001)]
    assert [Grid(3, 1).next_after(time) for time in (0, 1, 1.1, 4, 4.00000001, 4.1)] == [1, 1, 4, 4, 4, 7]


def test_times_as_players_show_them() -> None:
    assert [clock(time) for time in (0, 9.96, 59.96, 3599.99, 36000.06)] == [
        "00:00.0", "00:10.0", "01:00.0", "1:00:00.0", "10:00:00.1"
    ]  # fmt: skip
