"""The scores of videos: segments where they are, the bits of pictures, and what a VideoResult says of them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe import Classifier, VideoError, VideoResult
from nsfw_caffe.preprocessing.steps import Source
from nsfw_caffe.sources.frames import frames
from nsfw_caffe.video import Segment
from tests import clips
from tests.clips import CLIPS, X264, Clip
from tests.support import run

STEP = 0.5


def result(
    scores: list[float], times: list[float] | None = None, *, every: float = 1.0, ended: float | None = None
) -> VideoResult:
    """Return a result by hand, whose threshold is 0.8."""
    at = np.array([every * number for number in range(len(scores))] if times is None else times, np.float64)
    end = float(at[-1] + every) if ended is None else ended
    return VideoResult(at, np.array(scores), every, 0.8, end, end, True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return six seconds, of which 1.5 to 3.5 are nsfw."""
    return Clip("clip.mp4", "libx264", X264).write(tmp_path_factory.mktemp("clips"))


@pytest.mark.parametrize("made", CLIPS, ids=lambda made: made.name)
def test_segments_are_found_within_a_step_in_every_format(made: Clip, portable: Classifier, tmp_path: Path) -> None:
    segments = ((1.1, 1.7), (3.3, 4.9))
    path = dataclasses.replace(made, segments=segments).write(tmp_path)
    found = portable.classify_video(path, STEP)
    assert len(found.segments) == len(segments)
    for segment, (start, end) in zip(found.segments, segments, strict=True):
        assert segment.score > 0.95
        assert start - 0.01 <= segment.start <= start + STEP
        assert end - 0.01 <= segment.end <= end + STEP
    assert found.scores[found.times < 1].max() < 0.1
    assert found.complete


def test_segments_are_found_by_seeking_too(portable: Classifier, tmp_path: Path) -> None:
    long = Clip("long.mp4", "libx264", X264 | {"g": "25"}, 40.0, segments=((8.0, 12.0), (29.5, 33.0)))
    found = portable.classify_video(long.write(tmp_path), 3.0)
    assert [(segment.start, segment.end) for segment in found.segments] == [(9, 12), (30, 33)]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_segments_are_found_in_turned_frames_of_any_rate(degrees: int, portable: Classifier, tmp_path: Path) -> None:
    made = Clip("turned.mp4", "libx264", X264 | {"bf": "2"}, rate=30)
    times = np.cumsum(np.random.default_rng(degrees).choice([0.01, 0.04, 0.2, 0.3], 60)).tolist()
    segments = ((times[15] - 0.01, times[30] - 0.01), (times[40] - 0.01, times[50] - 0.01))
    shown = (np.rot90(each, degrees // 90) for each in clips.pictures(times, segments))
    clips.write(tmp_path / made.name, made.codec, zip(times, map(np.ascontiguousarray, shown), strict=True), made)
    content = (tmp_path / made.name).read_bytes()
    found = portable.classify_video(clips.turned(content, degrees) if degrees else content, STEP)
    assert len(found.segments) == 2
    for segment, (start, end) in zip(found.segments, segments, strict=True):
        assert segment.score > 0.95
        assert 0 <= segment.start - start + times[0] <= STEP + 0.02
        assert 0 <= segment.end - end + times[0] <= STEP + 0.02


@pytest.mark.parametrize("name", ["h264.mp4", "vp9.webm", "hevc.mp4", "mpeg2.ts", "interlaced.mp4"])
def test_a_frame_has_the_score_of_the_same_picture(name: str, portable: Classifier, tmp_path: Path) -> None:
    path = next(made for made in CLIPS if made.name == name).write(tmp_path)
    found = portable.classify_video(path, 0.7)
    pictures = list(frames(path, 0.7))
    assert found.times.tolist() == [time for time, _ in pictures]
    assert found.scores.tolist() == portable.classify_batch(picture for _, picture in pictures)
    assert found.scores.tolist() == [portable.classify(np.asarray(picture)) for _, picture in pictures]


def test_it_is_the_same_in_caffe_and_with_any_number_of_workers(classifier: Classifier, clip: Path) -> None:
    pictures = [picture for _, picture in frames(clip)]
    for workers in (1, 2):
        found = classifier.classify_video(clip, workers=workers)
        assert found.scores.tolist() == [classifier.classify(picture) for picture in pictures]


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_animations_are_weighted_by_their_durations(kind: str, portable: Classifier, tmp_path: Path) -> None:
    path = clips.write_animation(tmp_path / f"a.{kind}", [0.2, 0.3, 1.5, 0.4], (2, 3))
    found = portable.classify_video(path, 0)
    assert found.share == pytest.approx(1.5 / 2.4)
    assert [(segment.start, segment.end) for segment in found.segments] == [(0.5, 2.0)]
    assert found.mean == pytest.approx(np.average(found.scores, weights=[0.2, 0.3, 1.5, 0.4]))
    assert found.scores[2] == portable.classify([picture for _, picture in frames(path, 0)][2])


def test_stop_at_ends_it_at_the_first_hit(portable: Classifier, clip: Path) -> None:
    seen: list[tuple[float, float | None]] = []
    found = portable.classify_video(clip, STEP, stop_at=0.9, progress=lambda *told: seen.append(told))
    assert found.times.tolist() == [0, 0.5, 1.0, 1.5]
    assert found.max_score >= 0.9
    assert (found.complete, found.ended) == (False, 2.0)
    assert found.warnings == ("is looked at up to 00:01.5: a score of 0.9 ends it",)
    assert seen == [(time, 6.0) for time in found.times]
    assert portable.classify_video(clip, STEP, stop_at=0.9, end=1.5).complete


def test_a_lasting_frame_is_scored_once(portable: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Clip("slides.mp4", "libx264", X264)
    shown = [clips.harmless(), clips.nsfw(), clips.harmless()]
    clips.write(tmp_path / made.name, made.codec, zip((0.0, 3000.0, 6000.0), shown, strict=True), made)
    scored: list[Source] = []
    score = Classifier._score

    def noted(self: Classifier, sources: Iterable[Source], workers: int | None) -> object:
        def each() -> Iterator[Source]:
            for source in sources:
                scored.append(source)
                yield source

        return score(self, each(), workers)

    monkeypatch.setattr(Classifier, "_score", noted)
    found = portable.classify_video(tmp_path / made.name, workers=1)
    assert (len(found.times), len(scored)) == (6001, 3)
    assert [(segment.start, segment.end) for segment in found.segments] == [(3000, 6000)]
    # Of frames that are one and the same, it stops at the first.
    assert portable.classify_video(tmp_path / made.name, stop_at=0.9, workers=1).times[-1] == 3000


def test_what_a_result_says() -> None:
    found = result([0.1, 0.9, 0.85, 0.2, 0.8])
    assert found.segments == (Segment(1, 3, 0.9), Segment(4, 5, 0.8))
    assert (found.max_score, found.max_time) == (0.9, 1)
    assert found.share == pytest.approx(0.6)
    assert found.mean == pytest.approx(0.57)
    assert dataclasses.replace(found, threshold=0.95).segments == ()
    assert dataclasses.replace(found, threshold=0.0).segments == (Segment(0, 5, 0.9),)
    # The last frame stands for as long as it is shown.
    short = result([0.1, 0.9], ended=1.5)
    assert short.segments == (Segment(1, 1.5, 0.9),)
    assert short.share == pytest.approx(1 / 3)
    # Where a frame is shown for no time at all, each counts.
    assert result([0.9], every=0, ended=0).share == 1


def test_the_percentile_is_of_time() -> None:
    values = np.random.default_rng(0).random(101)
    assert result(values.tolist()).p95 == np.percentile(values, 95, method="inverted_cdf")
    assert result([0.2] * 95 + [0.9] * 5).p95 == 0.2
    assert result([0.2] * 94 + [0.9] * 6).p95 == 0.9
    assert result([0.2, 0.9], [0.0, 9.0], ended=10.0, every=0).p95 == 0.9
    assert result([0.2, 0.9], [0.0, 9.6], ended=10.0, every=0).p95 == 0.2


def test_json_has_all_of_it(portable: Classifier, clip: Path) -> None:
    found = portable.classify_video(clip)
    text = json.loads(json.dumps(found.to_json()))
    assert list(text) == [
        *("max_score", "max_time", "p95", "mean", "share", "threshold", "segments", "every", "duration", "ended"),
        *("complete", "warnings", "times", "scores"),
    ]
    (segment,) = text["segments"]
    assert segment == {"start": 2.0, "end": 4.0, "score": found.max_score}
    assert (text["times"], text["scores"]) == (found.times.tolist(), found.scores.tolist())
    with pytest.raises(ValueError, match="read-only"):
        found.scores[0] = 1


def test_bad_arguments_and_what_is_no_video(portable: Classifier, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every="):
        portable.classify_video(clip, -1)
    with pytest.raises(ValueError, match="workers="):
        portable.classify_video(clip, workers=0)
    with pytest.raises(VideoError, match=r"none\.mp4: cannot be read"):
        portable.classify_video(tmp_path / "none.mp4")
    with Classifier(engine="onnxruntime") as closed:
        closed.close()
        with pytest.raises(ValueError, match="closed"):
            closed.classify_video(clip)


MEMORY = """
import sys
from fractions import Fraction
import numpy as np
import av
from nsfw_caffe.sources.frames import frames
from nsfw_caffe.system.processes import own_memory

with av.open(sys.argv[1], "w") as container:
    stream = container.add_stream("libx264", rate=1, options={"preset": "ultrafast"})
    stream.width, stream.height, stream.codec_context.thread_count = 64, 36, 1
    pixels = np.random.default_rng(0).integers(0, 256, (36, 64, 3), np.uint8)
    for second in range(7200):
        frame = av.VideoFrame.from_ndarray(np.roll(pixels, second, 1), format="rgb24")
        frame.pts, frame.time_base = second, Fraction(1, 1)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
memory = [own_memory("VmRSS") for time, _ in frames(sys.argv[1]) if time % 600 == 0]
print(len(memory), max(memory[1:]) - memory[1])
"""


@pytest.mark.linux
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Two hours, of which each second is decoded."""
    child = run("-c", MEMORY, tmp_path / "long.mp4")
    assert child.returncode == 0, child.stderr
    count, grown = map(int, child.stdout.split())
    assert count == 12
    assert grown < 4 << 20


def test_scores_are_between_0_and_1_and_times_rise(portable: Classifier, clip: Path) -> None:
    found = portable.classify_video(clip, 0, end=1.0)
    assert len(found.times) == 10
    assert (np.diff(found.times) > 0).all()
    assert all(0 <= score <= 1 and math.isfinite(score) for score in found.scores)
