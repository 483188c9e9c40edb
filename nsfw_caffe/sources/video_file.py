"""Video files, decoded by FFmpeg through PyAV: in one thread, from the file that it is given and nothing else."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn, cast

from PIL import Image

from nsfw_caffe.errors import EngineUnavailable, VideoError
from nsfw_caffe.preprocessing.limits import LimitExceeded, Limits
from nsfw_caffe.sources.footage import Footage
from nsfw_caffe.sources.timeline import TOLERANCE, Account, Grid, Shown, clock
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.reading import reason

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

CONTAINERS = {
    "mov": "MP4, MOV, 3GP",
    "matroska": "Matroska, WebM",
    "avi": "AVI",
    "mpegts": "MPEG-TS",
    "mpeg": "MPEG-PS",
    "flv": "FLV",
    "asf": "ASF, WMV",
    "ogg": "Ogg",
}
"""FFmpeg's names of the containers that are read, and people's: no playlist, no device, no picture, no filter."""

SEEK_FROM = 2.0
"""Seconds to the next wanted frame from which on it is sought; up to that, decoding what is between is faster."""

_INDEXED = ("mov", "matroska")
"""Containers in which a seek finds a frame by its timestamp; in the others it guesses from the number of bytes."""

_UNTIMED = "avi"
"""The container that says when a frame is decoded, and not when it is shown: frames take these times in their order."""

_MOST_WAITING = 64
"""Frames that such a decoder may hold back, and more: where there are more, some have been lost."""

_AROUND = 16
"""Packets before and after one among which are all that may be shown right after it: codecs reorder no more frames."""

_SEEK_BACK = 10.0
"""Seconds to go back once more where a seek has led to a frame after the wanted one."""

_JUMP = 1.0
"""Seconds that a timestamp may be behind the last one; where it is more, time has begun anew, as in joined files."""

_LATEST_START = 60.0
"""Seconds that the picture may come after the sound; where it is more, the first frame is at 0."""

_SHORTER = (2.0, 0.02)
"""Seconds, and share of what the file says, by which the video may end early: its sound may be longer."""

_MOST_PACKETS = 20_000_000
"""Packets that are decoded: 90 hours at 60 frames a second."""

_MOST_FUTILE = 1000
"""Packets in a row without a frame: a decoder that is well waits for some 20."""


_PIPED = "; from a pipe, an MP4 cannot be read whose index is at its end: give the file"


class PyAVNotInstalledError(EngineUnavailable):
    """PyAV is not there, which is no fault of the file's."""


def require_av() -> None:
    """Find out whether PyAV is there; PyAVNotInstalledError says how to install it."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise PyAVNotInstalledError(f"videos need PyAV: {install_hint('video')}") from error


class NoVideo(Exception):  # noqa: N818 - a state, named as one
    """The file is in no container that is read here."""


class VideoFile:
    """An opened video; NoVideo if FFmpeg knows no such file, VideoError if there is nothing in it to decode."""

    def __init__(self, footage: Footage, limits: Limits, account: Account) -> None:
        require_av()
        self._name = footage.source_name
        self._limits = limits
        self._account = account
        self._container = self._open(footage)
        try:
            self._stream = self._choose()
            self._prepare()
            self._time_base = float(self._stream.time_base or 0) or 1e-3
            rate = self._stream.average_rate or self._stream.guessed_rate
            self._frame_seconds = 1 / float(rate) if rate else 0.0
            announced = self._announced()
            self.duration = announced if announced is not None and 0 < announced < math.inf else None
        except BaseException:
            self.close()
            raise
        self.format = self._container.format.name.partition(",")[0]
        self.size = self._stream.codec_context.width, self._stream.codec_context.height
        self._zero: float | None = None
        self._offset = 0.0  # of the timestamps that have begun anew
        self._last: Shown | None = None
        self._grid = Grid()
        self._stamps: deque[int] | None = deque(maxlen=_MOST_WAITING) if self.format == _UNTIMED else None
        self._all_timed = self._stamps is None
        self._packets = 0
        self._errors = 0
        self._damaged: Shown | None = None
        self._count_damaged = 0
        self._why = ""
        self._seeks = self.format in _INDEXED and footage.seekable()
        self._advice = "" if footage.seekable() else _PIPED

    def close(self) -> None:
        """Let go of the decoder."""
        self._container.close()

    def _open(self, footage: Footage) -> InputContainer:
        import av
        from av.container import Flags

        options = {
            "protocol_whitelist": "none",
            "format_whitelist": ",".join(CONTAINERS),
            **self._decoder_options(),
        }
        try:
            container = av.open(footage, "r", options=options, metadata_errors="replace", io_open=_refuse)
            # For timestamps that are missing, FFmpeg would gather packets until it knows, were it to the file's end.
            container.flags &= ~cast(int, Flags.gen_pts.value)
            return container
        except av.error.InvalidDataError as error:
            raise NoVideo from error
        except av.error.ArgumentError as error:  # known, and not on the list
            raise NoVideo from error
        except Exception as error:  # what PyAV and the file's own object raise is no closed list
            raise VideoError(self._name, f"the video cannot be opened ({reason(error)})") from error

    def _decoder_options(self) -> dict[str, str]:
        # The largest number that FFmpeg takes stands for no limit.
        return {"max_pixels": str(min(self._limits.pixels or 2**31 - 1, 2**31 - 1)), "threads": "1"}

    def _choose(self) -> VideoStream:
        from av.stream import Disposition

        # The cover of an album is a video of one picture to FFmpeg.
        covers = Disposition.attached_pic | Disposition.timed_thumbnails
        streams = [stream for stream in self._container.streams.video if not stream.disposition & covers]
        if not streams:
            heard = " but sound" if self._container.streams.audio else ""
            raise VideoError(self._name, f"there is no video in it, nothing{heard}")
        best = self._container.streams.best("video")
        chosen = next((stream for stream in streams if best is not None and stream.index == best.index), streams[0])
        if len(streams) > 1:
            self._account.warn(f"has {len(streams)} videos, of which one is looked at, number {chosen.index}")
        return chosen

    def _prepare(self) -> None:
        stream = self._stream
        if stream.codec_context is None:
            raise VideoError(self._name, "its video is in a codec that FFmpeg does not know, or damaged")
        if "enc_key_id" in stream.metadata:  # Matroska's
            self._encrypted()
        try:
            self._limits.check_size(stream.codec_context.width, stream.codec_context.height)
        except LimitExceeded as error:
            raise VideoError(self._name, str(error)) from error
        stream.codec_context.options = self._decoder_options()
        stream.codec_context.thread_count = 1

    def _encrypted(self) -> NoReturn:
        raise VideoError(self._name, "it is encrypted: score it where it is decrypted")

    def _announced(self) -> float | None:
        """Return how long the video is by what the file says of it."""
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        with contextlib.suppress(
            KeyError, ValueError, OverflowError
        ):  # of Matroska files that FFmpeg or mkvmerge have written
            hours, minutes, seconds = self._stream.metadata["DURATION"].split(":")
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        return None if self._container.duration is None else self._container.duration / 1e6

    def frames(self, grid: Grid) -> Iterator[Shown]:
        """Yield the frames in the order of their times, and where the grid's times are far apart, not all of them.

        Of each of the grid's times, the last frame that is not after it is among them, and the first one that is. What
        goes wrong goes to the account; VideoError if not one frame can be decoded.
        """
        given = False
        self._grid = grid
        frames = self._straight()
        while (shown := next(frames, None)) is not None:
            given = True
            yield shown
            target = grid.next_after(shown.time)
            if self._seeks and not self._offset and target - shown.time > SEEK_FROM:
                frames = self._from(target, shown.time) or frames
        if not given:
            why = f" ({self._why})" if self._why else ""
            raise VideoError(self._name, f"no frame of it can be decoded{why}{self._advice}")
        ended = self._last.until if self._last is not None else 0.0
        if self.duration is not None and self.duration - ended > _SHORTER[0] + _SHORTER[1] * self.duration:
            self._account.lack(f"ends at {clock(ended)}, and says that it is {clock(self.duration)} long")

    def settle(self) -> None:
        """Say what of it was damaged, as far as it was looked at."""
        if self._damaged is not None:
            self._account.lack(f"has {self._count_damaged} damaged frames, from {clock(self._damaged.time)} on")
        if self._errors:
            self._account.lack(f"has {self._errors} packets of {self._packets} that cannot be decoded: {self._why}")

    def _straight(self) -> Iterator[Shown]:
        """Decode from the beginning."""
        for frame in self._decoded():
            shown = self._shown(frame)
            self._look_at(frame, shown)
            yield shown

    def _from(self, target: float, now: float) -> Iterator[Shown] | None:
        """Seek the frame that is shown at a time, and yield the frames from there on; None where nothing was moved."""
        for back in (0.0, _SEEK_BACK):
            frames = self._sought(target - back)
            if frames is None:
                break
            first = next(frames, None)
            if first is None or first.time > target + TOLERANCE:
                continue
            if first.time <= now:  # there is no key frame in between, so a seek costs more than it saves
                self._seeks = back > 0
            return (shown for shown in _chain(first, frames) if shown.time > now)
        self._seeks = False
        frames = self._sought(0.0)
        if frames is None:
            self._account.lack(f"cannot be read on from {clock(now)}: it can be sought no more")
            return iter(())
        return (shown for shown in frames if shown.time > now)

    def _sought(self, time: float) -> Iterator[Shown] | None:
        """Go to the key frame before a time, and yield the frames from it on."""
        assert self._zero is not None
        try:
            self._container.seek(round((time + self._zero) / self._time_base), stream=self._stream)
        except Exception as error:  # noqa: BLE001 - what PyAV raises is no closed list
            self._why = reason(error)
            return None
        self._last = None
        return self._after_key()

    def _after_key(self) -> Iterator[Shown]:
        """Yield the frames from a key frame on: what comes before it needs frames that were not decoded."""
        first: float | None = None
        for frame in self._decoded():
            shown = self._shown(frame)
            if first is None and not frame.key_frame:
                continue
            if first is None:
                first = shown.time
            if shown.time >= first:
                self._look_at(frame, shown)
                yield shown

    def _look_at(self, frame: VideoFrame, shown: Shown) -> None:
        if frame.is_corrupt:
            self._damaged = self._damaged or shown
            self._count_damaged += 1

    def _decoded(self) -> Iterator[VideoFrame]:
        """Decode from where the file is; what cannot be decoded is counted, and is the end where it is too much."""
        futile = 0
        demuxed = _Ahead(self._container.demux(self._stream))
        while True:
            frames: list[VideoFrame] = []
            try:
                packet = next(demuxed, None)
            except Exception as error:  # noqa: BLE001 - what PyAV and the file's own object raise is no closed list
                at = 0.0 if self._last is None else self._last.until
                self._account.lack(f"breaks off at {clock(at)}: {reason(error)}")
                self._why = reason(error)
                with contextlib.suppress(Exception):
                    frames = self._stream.codec_context.decode(None)
                yield from self._within_limits(frames)
                return
            if packet is None:
                return
            passed_over = self._is_passed_over(packet, demuxed)
            self._stream.codec_context.skip_frame = "NONREF" if passed_over else "DEFAULT"
            frames = self._decode(packet)
            yield from self._within_limits(frames)
            futile = 0 if frames or passed_over else futile + 1
            if futile > _MOST_FUTILE or self._packets > _MOST_PACKETS:
                self._account.lack("is not looked at to its end: too much of it cannot be decoded, or it is too long")
                return

    def _is_passed_over(self, packet: Packet[VideoStream], around: _Ahead) -> bool:
        """Tell whether another frame takes this one's place before the next of the grid's times.

        Such a one need not be decoded, unless others need it, which the decoder knows.
        """
        stamp = packet.pts
        if stamp is None:
            self._all_timed = False  # such a one comes right after the one before it, which therefore has to be known
        if stamp is None or self._zero is None or not self._all_timed or not self._grid.every:
            return False
        target = self._grid.next_after(stamp * self._time_base - self._zero + self._offset)
        latest = (target + TOLERANCE + self._zero - self._offset) / self._time_base
        return any(stamp < other <= latest for other in around.stamps())

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        if packet.size:
            self._packets += 1
            if packet.has_sidedata("encryption_info"):
                self._encrypted()
            if self._stamps is not None and packet.dts is not None:
                self._stamps.append(packet.dts)
        try:
            return packet.decode()
        except EOFError:  # it was flushed before, by an end that was none
            return []
        except Exception as error:  # noqa: BLE001 - what PyAV raises is no closed list
            self._errors += 1
            self._why = self._why or reason(error)
            if self._stamps:
                self._stamps.pop()
            return []

    def _within_limits(self, frames: list[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            try:
                self._limits.check_size(frame.width, frame.height)
            except LimitExceeded as error:  # it may be larger than the file has said
                self._errors += 1
                self._why = str(error)
            else:
                yield frame

    def _shown(self, frame: VideoFrame) -> Shown:
        last = self._last
        stamp = self._stamp(frame)
        if stamp is None:
            time = 0.0 if last is None else last.until
            if self._zero is None:
                self._zero = 0.0
        else:
            if self._zero is None:
                self._zero = self._zero_of(stamp)
            time = stamp - self._zero + self._offset
            if last is not None and time < last.time - _JUMP:
                self._account.warn(f"begins its timestamps anew at {clock(last.until)}: it goes on from there")
                self._offset += last.until - time
                time = last.until
            elif last is not None:
                time = max(time, last.time)
        seconds = (frame.duration or 0) * self._time_base or self._frame_seconds
        self._last = Shown(time, time + max(seconds, 0.0), lambda: _picture(frame))
        return self._last

    def _stamp(self, frame: VideoFrame) -> float | None:
        if self._stamps is not None:
            return self._stamps.popleft() * self._time_base if self._stamps else None
        return None if frame.pts is None else frame.pts * self._time_base

    def _zero_of(self, stamp: float) -> float:
        """Return the timestamp that is 0 to players: the file's first, be it sound, if it is believable."""
        begin = self._container.start_time
        if begin is not None and 0 <= stamp - begin / 1e6 <= _LATEST_START:
            return begin / 1e6
        return stamp


class _Ahead:
    """Packets, with the timestamps of those around the one that is given: they come in the order of decoding."""

    def __init__(self, packets: Iterator[Packet[VideoStream]]) -> None:
        self._packets = packets
        self._waiting: deque[Packet[VideoStream]] = deque()
        self._given: deque[int] = deque(maxlen=_AROUND)
        self._error: Exception | None = None

    def __iter__(self) -> Iterator[Packet[VideoStream]]:
        return self

    def __next__(self) -> Packet[VideoStream]:
        while len(self._waiting) < _AROUND and self._error is None:
            try:
                self._waiting.append(next(self._packets))
            except Exception as error:  # noqa: BLE001 - it is raised in its turn, after the packets before it
                self._error = error
        if not self._waiting:
            assert self._error is not None
            try:
                raise self._error
            finally:
                self._error = None  # its traceback holds this, so the decoder would stay until cycles are collected
        packet = self._waiting.popleft()
        if packet.pts is not None:
            self._given.append(packet.pts)
        return packet

    def stamps(self) -> Iterator[int]:
        """Yield the timestamps of those before and after."""
        yield from self._given
        yield from (packet.pts for packet in self._waiting if packet.pts is not None)


def _chain(first: Shown, others: Iterator[Shown]) -> Iterator[Shown]:
    yield first
    yield from others


def _refuse(url: str, *_: object) -> NoReturn:
    """Open nothing that a file names."""
    raise PermissionError(f"a video may not open another file: {url!r}")


def _picture(frame: VideoFrame) -> Image.Image:
    """Make a picture of a frame, RGB, turned as players turn it."""
    plane = frame.reformat(format="rgb24", threads=1).planes[0]
    stride = plane.line_size
    if stride > 0:  # PyAV's own way has two copies more of it in memory
        size = plane.width, plane.height
        picture = Image.frombuffer("RGB", size, plane, "raw", "RGB", stride, 1)  # type: ignore[arg-type]  # a buffer
    else:
        picture = frame.to_image(threads=1)  # type: ignore[no-untyped-call]  # from the last row to the first
    quarters = round(frame.rotation / 90) % 4  # anticlockwise
    return picture if not quarters else picture.transpose(_TURNS[quarters - 1])


_TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
