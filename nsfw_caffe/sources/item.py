"""One thing that a scan found, and what it holds: its bytes, their hash, what the header says, and later frames."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from PIL import Image

from nsfw_caffe.errors import VideoError
from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless, load
from nsfw_caffe.preprocessing.formats import LOOKED_AT, is_video
from nsfw_caffe.preprocessing.jpeg import JPEG_FORMATS
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, LimitExceeded, Limits
from nsfw_caffe.preprocessing.opening import check_picture, check_scans, check_tiff, open_picture
from nsfw_caffe.sources.frames import Frames
from nsfw_caffe.sources.timeline import Grid
from nsfw_caffe.system.reading import UnreadableError, open_file, read_file, why_unreadable


class ArchiveError(Exception):
    """An archive cannot be read, or not further; the message goes into the results and does not name it."""


@dataclass(frozen=True)
class Item:
    """A file, a member of an archive, or something that should have been one: it has a path, a member or an error."""

    source: str  # its name in the results: the path as it was given or found, or archive!member
    size: int | None = None  # bytes; None where it is not known before it is read
    mtime: float | None = None  # seconds since 1970 (UTC)
    path: str | None = None
    most: int | None = None  # how many bytes the file may have by the time that it is read
    member: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)
    error: str | None = None  # without the source's name

    def read(self) -> bytes:
        """Return the content: a file's at any time, a member's once and before the next item is asked for.

        UnreadableError says why not, without the source's name; after an ArchiveError, the next item says why.
        """
        if self.member is not None:
            return self.member()
        assert self.path is not None, self.source
        try:
            return read_file(self.path, self.most)
        except Exception as error:  # no file system is to end a scan
            raise UnreadableError(why_unreadable(self.source, error)) from error

    def hold(self) -> Item | None:
        """Return the item so that it can be read at any time: a member is read now, and is in memory or has its error.

        None is for a member that its archive breaks off in: of that, the next item tells.
        """
        if self.member is None:
            return self
        try:
            content = self.member()
        except UnreadableError as error:
            return dataclasses.replace(self, member=None, error=str(error))
        except ArchiveError:
            return None
        return dataclasses.replace(self, size=len(content), member=lambda: content)


@dataclass(frozen=True)
class Content:
    """What an item holds."""

    data: bytes | None = None
    sha256: str | None = None  # 64 hexadecimal digits
    width: int | None = None  # pixels, as the header says; None where Pillow finds no header
    height: int | None = None
    format: str | None = None  # Pillow's name of it
    error: str | None = None  # why it could not be read, without the source's name
    seconds: float = 0.0  # how long all this took
    path: str | None = None  # of a video, which is not read into memory


def read(item: Item, limits: Limits = DEFAULT_LIMITS, *, videos: bool = False) -> Content:
    """Read an item, hash it, and look at its header, where that exceeds no limit.

    With `videos`, a file that is a video is read and not kept, since it may be larger than memory.
    """
    start = time.perf_counter()
    if item.error is not None:
        return Content(error=item.error)
    try:
        content = _streamed(item.path, limits) if videos and item.path is not None else None
        content = content or _held(item, limits, videos)
    except UnreadableError as error:
        content = Content(error=str(error))
    return dataclasses.replace(content, seconds=time.perf_counter() - start)


def _streamed(path: str, limits: Limits) -> Content | None:
    """Hash the file of a video, a part at a time; None for another one."""
    try:
        with open_file(path) as file:
            if not is_video(file.read(LOOKED_AT)):
                return None
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]  # it has readinto
    except Exception as error:  # no file system is to end a scan
        raise UnreadableError(why_unreadable(path, error)) from error
    return Content(None, digest.hexdigest(), *_video_header(path, limits), path=path)


def _held(item: Item, limits: Limits, videos: bool) -> Content:
    data = item.read()
    header = _video_header(data, limits) if videos and is_video(data) else _header(data, limits)
    return Content(data, hashlib.sha256(data).hexdigest(), *header)


def _video_header(source: str | bytes, limits: Limits) -> tuple[int | None, int | None, str | None]:
    with contextlib.suppress(VideoError), contextlib.closing(Frames(source, Grid(), None, limits)) as opened:
        return *opened.size, opened.format
    return None, None, None


def _header(data: bytes, limits: Limits) -> tuple[int | None, int | None, str | None]:
    try:
        with collected():  # and dropped: the same is said when it is decoded
            picture = heedless(lambda: open_picture(data, limits))
    except Exception:  # noqa: BLE001 - Pillow's plugins raise whatever their format makes them raise
        return None, None, None
    return picture.width, picture.height, picture.format


def later_frames(data: bytes, count: int, limits: Limits) -> Iterator[Image.Image]:
    """Decode at most `count` frames, evenly spaced from the first, which counts and is left out, to the last.

    They are as a viewer shows them. The first one that cannot be decoded is the end: what comes after it depends on it.
    LimitExceeded if the animation asks for more than it may.
    """
    if count == 1:
        return
    try:
        yield from _later_frames(data, count, limits)
    except LimitExceeded:
        raise
    except Exception:  # noqa: BLE001 - Pillow's plugins raise whatever their format makes them raise
        return


def _later_frames(data: bytes, count: int, limits: Limits) -> Iterator[Image.Image]:
    with collected():  # and dropped: the same is said of the file
        picture = open_picture(data, limits)
        check_tiff(data, limits, pages=None)
        frames = getattr(picture, "n_frames", 1)
    limits.check("animation_pixels", frames * picture.width * picture.height, f"pixels in {frames} frames")
    last = frames - 1
    wanted = {round(step * last / (count - 1)) for step in range(1, count)} - {0}
    for index in range(1, max(wanted, default=0) + 1):
        with collected():
            # One by one: a frame may be larger than the first, and Pillow decodes each to come to the next.
            picture.seek(index)
            check_picture(picture, limits)
            if picture.format in JPEG_FORMATS:
                check_scans(data, getattr(picture, "offset", 0), limits)
            if index not in wanted:
                continue
            load(picture)
            frame = picture.copy()
        yield frame
