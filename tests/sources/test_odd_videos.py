"""Files that are no video, or damaged ones, or that ask for more than they may: an answer for each."""

from __future__ import annotations

import gc
import io
import re
import struct
import subprocess
import sys
import time
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe import EngineUnavailable, Limits, VideoError
from nsfw_caffe.sources import footage, video_file
from nsfw_caffe.sources.frames import frames
from nsfw_caffe.system.extras import install_hint
from tests import clips
from tests.clips import X264, Clip
from tests.support import REPOSITORY
from tests.test_privacy import can_trace


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture(scope="module")
def mp4(folder: Path) -> bytes:
    """Return six seconds, with the index at the end."""
    return Clip("plain.mp4", "libx264", X264 | {"g": "20"}).write(folder).read_bytes()


@pytest.fixture(scope="module")
def mp4_index_first(folder: Path) -> bytes:
    made = Clip("first.mp4", "libx264", X264 | {"g": "20"})
    times = [number / 10 for number in range(60)]
    pictures = clips.pictures(times, ())
    clips.write(folder / made.name, made.codec, zip(times, pictures, strict=True), made, movflags="+faststart")
    return (folder / made.name).read_bytes()


@pytest.fixture(scope="module")
def mkv(folder: Path) -> bytes:
    return Clip("plain.mkv", "libx264", X264).write(folder).read_bytes()


@pytest.fixture(scope="module")
def ts(folder: Path) -> bytes:
    return Clip("plain.ts", "libx264", X264).write(folder).read_bytes()


def sound(path: Path, cover: bytes | None = None) -> Path:
    """Write a second of silence, with or without a cover."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        if cover is not None:
            picture: Any = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = *clips.SIZE, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 1)
            container.mux(packet)
        for index in range(44):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, 1024 * index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def jpeg() -> bytes:
    output = io.BytesIO()
    Image.fromarray(clips.harmless()).save(output, "JPEG")
    return output.getvalue()


def refusal(source: Any, **options: Any) -> str:
    """Return what is said of a source that gives no frame."""
    with pytest.raises(VideoError) as raised:
        list(frames(source, **options))
    assert raised.value.source is not None
    return raised.value.reason


def test_sound_alone(folder: Path) -> None:
    assert refusal(sound(folder / "sound.mp4")) == "there is no video in it, nothing but sound"
    assert refusal(sound(folder / "cover.mp4", jpeg())) == "there is no video in it, nothing but sound"
    assert refusal(sound(folder / "sound.mkv")) == "there is no video in it, nothing but sound"


def test_no_frames(mp4_index_first: bytes) -> None:
    begin = mp4_index_first.index(b"mdat") + 4
    assert refusal(mp4_index_first[:begin]).startswith("no frame of it can be decoded")
    garbage = mp4_index_first[:begin] + bytes(len(mp4_index_first) - begin)
    assert refusal(garbage).startswith("no frame of it can be decoded (Invalid data found when processing input)")


@pytest.mark.parametrize("name", ["encrypted.mp4", "encrypted.mov"])
def test_encrypted(name: str, folder: Path) -> None:
    scheme = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb"}
    made = Clip(name, "libx264", X264)
    shown = [(0.0, clips.harmless()), (0.1, clips.nsfw())]
    clips.write(folder / name, made.codec, shown, made, **scheme, encryption_kid="a7e61c373e219033c21091fa607bf3b8")
    assert refusal(folder / name) == "it is encrypted: score it where it is decrypted"


def element(name: str, *content: bytes) -> bytes:
    """Write an element of Matroska, with a size of eight bytes."""
    inner = b"".join(content)
    return bytes.fromhex(name) + (len(inner) | 1 << 56).to_bytes(8, "big") + inner


def test_encrypted_matroska(mkv: bytes) -> None:
    encryption = element("5035", element("47E1", b"\5"), element("47E2", bytes(range(16))))
    kind = element("5031", b"\0"), element("5032", b"\1"), element("5033", b"\1")
    added = element("6D80", element("6240", *kind, encryption))
    changed = bytearray(mkv)
    tracks = mkv.rindex(bytes.fromhex("1654AE6B"))  # after what says where they are
    for name, after in (("AE", tracks + 12), ("1654AE6B", tracks)):  # the one track follows a checksum
        begin = mkv.index(bytes.fromhex(name), after) + len(name) // 2
        length = 9 - changed[begin].bit_length()
        size = int.from_bytes(changed[begin : begin + length], "big") + len(added)
        changed[begin : begin + length] = size.to_bytes(length, "big")
        if name == "AE":
            end = begin + length + (size & (1 << 7 * length) - 1) - len(added)
    changed[end:end] = added
    assert refusal(bytes(changed)) == "it is encrypted: score it where it is decrypted"


def test_unknown_codec(mp4: bytes) -> None:
    assert refusal(mp4.replace(b"avc1", b"zzzz")) == "its video is in a codec that FFmpeg does not know, or damaged"


def test_pictures_and_other_files_by_a_video_s_name(folder: Path) -> None:
    (folder / "photo.mp4").write_bytes(jpeg())
    assert refusal(folder / "photo.mp4").startswith("a picture (JPEG), not a video: classify it with 'nsfw-caffe class")
    for content, said in (
        (b"%PDF-1.4\n", "it is PDF"),
        (bytes(5000), "Ogg)"),
        (b"text", "MP4, MOV"),
    ):
        assert said in refusal(content)
        assert refusal(content).startswith("not in any video format that is read (MP4, ")


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\n{path}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{path}'\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
    "<Representation><BaseURL>file://{path}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "list.sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\n",
    "list.asx": '<asx version="3.0"><entry><ref href="file://{path}"/></entry></asx>',
    "list.txt": "file:{path}|",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_playlists_are_no_videos(name: str, folder: Path, mp4: bytes) -> None:
    assert mp4  # what they name is there
    playlist = folder / name.replace(".", "-", 1)
    playlist.write_text(PLAYLISTS[name].format(path=folder / "plain.mp4"))
    assert refusal(playlist).startswith("not in any video format that is read")


def test_an_mp4_that_names_another_file(mp4: bytes, folder: Path) -> None:
    """In an MP4 the frames may be said to lie elsewhere, by a path."""
    path = str(folder / "plain.mp4").encode() + b"\0"
    url = struct.pack(">I4sI", 12, b"url ", 1)  # flags 1: they are here
    assert url in mp4
    elsewhere = struct.pack(">I4sI", 12 + len(path), b"url ", 0) + path
    grown = len(elsewhere) - len(url)
    changed = mp4.replace(url, elsewhere)
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = changed.index(box) - 4
        (size,) = struct.unpack_from(">I", changed, place)
        changed = changed[:place] + struct.pack(">I", size + grown) + changed[place + 4 :]
    # It is not followed: what is decoded is in the file itself.
    begin = changed.index(b"mdat") + 4
    emptied = changed[:begin] + bytes(changed.index(b"moov") - 4 - begin) + changed[changed.index(b"moov") - 4 :]
    assert refusal(emptied).startswith("no frame of it can be decoded")


def test_a_duration_that_lies(mkv: bytes, mp4: bytes) -> None:
    place = mkv.index(b"\x44\x89\x88") + 3  # Duration, a number of eight bytes
    hours = mkv[:place] + struct.pack(">d", 36_000_000) + mkv[place + 8 :]
    for content in (hours, hours.replace(b"00:00:06.0", b"10:00:00.0")):
        found = frames(content)
        assert [round(at) for at, _ in found] == [0, 1, 2, 3, 4, 5]
        assert found.complete == (content is hours)  # in which another place has the truth
    assert found.duration == 36000
    assert found.warnings == ["ends at 00:06.0, and says that it is 10:00:00.0 long"]
    for text in (b"00:00:nan", b"00:00:1e999", b"-9:00:00", b"9" * 18):
        found = frames(mkv.replace(b"00:00:06.000000000", text.ljust(18)))
        assert len(list(found)) == 6
        assert (found.duration, found.complete) == (6.0 if b":" not in text else None, True)
    # In an MP4, FFmpeg goes by what the frames have.
    changed = bytearray(mp4)
    for box, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        struct.pack_into(">I", changed, mp4.index(box) + offset, 0x7FFFFFFF)
    found = frames(bytes(changed))
    assert len(list(found)) == 6
    assert (found.duration, found.complete) == (6.0, True)


def test_ten_hours(folder: Path) -> None:
    """Of a frame that is shown for ten hours there are as many times as one asks for, and no more work."""
    made = Clip("hours.mkv", "libx264", X264)
    shown = [(0.0, clips.harmless()), (36000.0, clips.nsfw()), (1e9, clips.harmless())]
    clips.write(folder / made.name, made.codec, shown, made)
    start = time.process_time()
    found = frames(folder / made.name)
    assert sum(1 for _ in found) == 100_000
    assert time.process_time() - start < 5
    assert found.warnings == ["is looked at up to 27:46:40.0: 100000 frames are as many as there may be"]


def test_absurd_rates(folder: Path, mp4: bytes) -> None:
    made = Clip("fast.mkv", "libx264", X264, rate=1000)
    shown = ((number / 1000, clips.harmless()) for number in range(300))
    clips.write(folder / made.name, made.codec, shown, made)
    assert len(list(frames(folder / made.name, 0.1))) == 3
    assert len(list(frames(folder / made.name, 0, limit=50))) == 50
    # Units of time of half a nanosecond, and of a second.
    place = mp4.index(b"mdhd") + 16
    for scale, times in ((0x7FFFFFFF, 1), (1, 1600)):
        found = frames(mp4[:place] + struct.pack(">I", scale) + mp4[place + 4 :])
        assert sum(1 for _ in found) == times


def test_absurd_sizes(mp4: bytes) -> None:
    assert refusal(mp4, limits=Limits(pixels=50_000)).startswith("57600 pixels: the limit is 50000 (Limits.pixels")
    assert refusal(mp4, limits=Limits(side=300)).startswith("320 pixels a side: the limit is 300")
    assert len(list(frames(mp4, limits=Limits.none()))) == 6


def test_a_size_that_changes_on_the_way(folder: Path) -> None:
    small = Clip("small.ts", "libx264", X264, 3.0).write(folder).read_bytes()
    made = Clip("large.ts", "libx264", X264, 3.0)
    large = np.asarray(Image.fromarray(clips.harmless()).resize((640, 360)))
    clips.write(folder / made.name, made.codec, ((number / 10, large) for number in range(30)), made)
    joined = small + (folder / made.name).read_bytes()
    assert [picture.size for _, picture in frames(joined)] == [clips.SIZE] * 3 + [(640, 360)] * 3
    found = frames(joined, limits=Limits(pixels=100_000))
    assert {picture.size for _, picture in found} == {clips.SIZE}
    assert not found.complete
    assert "that cannot be decoded" in found.warnings[-1]


def test_cut_off_without_its_index(mp4: bytes) -> None:
    assert refusal(mp4[: len(mp4) // 2]).startswith("the video cannot be opened: its index is missing")


def test_cut_off_with_its_index(mp4_index_first: bytes, mkv: bytes, ts: bytes) -> None:
    for content in (mp4_index_first, mkv, ts):
        found = frames(content[: len(content) * 6 // 10], 0)
        count = len(list(found))
        assert 15 < count < 50
        assert found.ended == pytest.approx(count / 10, abs=0.11)
        assert not found.complete
        # A stream has no length that would not be reached, but half a frame at its end.
        said = f"ends at 00:0{count / 10:.1f}, and says that it is 00:06.0 long"
        assert (said in found.warnings) == (content is not ts)


def test_damaged_on_the_way(mp4_index_first: bytes, mkv: bytes, ts: bytes) -> None:
    for content in (mp4_index_first, mkv, ts):
        damaged = bytearray(content)
        middle = len(content) // 2
        damaged[middle : middle + 3000] = bytes(3000)
        found = frames(bytes(damaged), 0)
        assert len(list(found)) >= 20
        assert found.ended == pytest.approx(6, abs=0.3)
        assert not found.complete
        assert any(re.fullmatch(r"has \d+ damaged frames, from 00:0\d\.\d on", said) for said in found.warnings)
        # Up to where it was looked at.
        for end, complete in ((5.5, False), (0.5, True)):
            part = frames(bytes(damaged), 0, end=end)
            assert len(list(part)) >= 5
            assert (part.complete, part.warnings == []) == (complete, complete)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("asked", [{}, {"every": 3}, {"end": 2}], ids=str)
def test_its_decoder_goes_with_it(cut: bool, asked: dict[str, float], mkv: bytes) -> None:
    """And does not wait for a collection of cycles: of 4K a decoder has 100 MB, and many videos come before that."""
    gc.collect()
    gc.disable()
    try:
        found = frames(mkv[: len(mkv) * 2 // 3] if cut else mkv, **asked)  # type: ignore[arg-type]
        decoder = weakref.ref(found._film)
        assert list(found)
        del found
        assert decoder() is None
    finally:
        gc.enable()


def test_several_videos_in_a_file(folder: Path) -> None:
    import av

    with av.open(str(folder / "two.mkv"), "w") as container:
        streams: list[Any] = [container.add_stream("libx264", rate=10, options=X264) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = *clips.SIZE, "yuv420p"
        for number in range(10):
            for stream, pixels in zip(streams, (clips.harmless(), clips.nsfw()), strict=True):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    found = frames(folder / "two.mkv")
    assert len(list(found)) == 1
    assert found.warnings == ["has 2 videos, of which one is looked at, number 0"]


def test_a_pipe_cannot_be_rewound(mp4: bytes, folder: Path) -> None:
    assert mp4
    with subprocess.Popen(["cat", folder / "plain.mp4"], stdout=subprocess.PIPE) as child:
        assert "from a pipe, an MP4 cannot be read whose index is at its end" in refusal(child.stdout)


def test_a_file_that_leads_round_in_circles(mp4: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "_MOST_TIMES", 0)
    monkeypatch.setattr(footage, "_MOST_MORE", len(mp4) // 2)
    found = frames(mp4)
    list(found)
    assert not found.complete
    assert "the file leads round in circles" in found.warnings[0]


def test_a_decoder_that_gives_nothing_is_given_up(mkv: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_file, "_MOST_PACKETS", 20)
    found = frames(mkv, 0)
    assert 15 < len(list(found)) < 25
    assert "is not looked at to its end: too much of it cannot be decoded, or it is too long" in found.warnings


def test_without_pyav(mp4: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(EngineUnavailable, match=re.escape(f"videos need PyAV: {install_hint('video')}")):
        frames(mp4)
    assert len(list(frames(clips.write_animation(tmp_path / "a.gif", [0.5, 0.5])))) == 1


WATCHED = """
import sys
from pathlib import Path
import av
from nsfw_caffe.errors import VideoError
from nsfw_caffe.sources.frames import frames

def look_at_all():
    for name in sys.argv[1:]:
        try:
            for every in (1.0, 3.0):
                print(name, len(list(frames(name, every))))
        except VideoError as error:
            print(error)

look_at_all()  # now all is imported that is needed
Path("/the watch begins").exists()
look_at_all()
Path("/the watch ends").exists()
"""


def test_no_other_file_is_opened_and_nobody_is_called(tmp_path: Path, folder: Path, mp4: bytes, mkv: bytes) -> None:
    assert mp4
    assert mkv
    if not can_trace():
        pytest.skip("needs strace, and the right to trace: apt-get install strace")
    for name, text in PLAYLISTS.items():
        (tmp_path / name).write_text(text.format(path=folder / "plain.mp4"))
    given = [folder / "plain.mp4", folder / "plain.mkv", *(tmp_path / name for name in PLAYLISTS)]
    trace = tmp_path / "trace"
    command = ["strace", "-fqq", "--trace=file,network", "--string-limit=4096", f"--output={trace}", sys.executable]
    child = subprocess.run([*command, "-c", WATCHED, *given], capture_output=True, text=True, cwd=REPOSITORY)
    assert child.returncode == 0, child.stderr
    assert "plain.mp4 6" in child.stdout
    lines = trace.read_text(errors="replace").splitlines()
    begin, end = (
        next(number for number, line in enumerate(lines) if f'"/the watch {which}"' in line)
        for which in ("begins", "ends")
    )
    watched = lines[begin + 1 : end]
    opened = {path for line in watched if "open" in line for path in re.findall(r'"([^"]*)"', line)}
    assert opened == set(map(str, given))
    assert [line for line in watched if re.search(r"\b(socket|connect|bind|send\w*)\(", line)] == []
