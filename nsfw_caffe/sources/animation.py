"""Animated GIF, PNG, WebP and AVIF files: their frames as Pillow composites them."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from nsfw_caffe.errors import VideoError
from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless, load
from nsfw_caffe.preprocessing.limits import LimitExceeded, Limits
from nsfw_caffe.preprocessing.opening import NotRead, check_picture, open_picture
from nsfw_caffe.sources.footage import Footage
from nsfw_caffe.sources.timeline import Account, Shown, clock
from nsfw_caffe.system.reading import UnreadableError, read_source, reason

FORMATS = ("GIF", "PNG", "WEBP", "AVIF")
"""Pillow's names of what may be animated; a still one has a single frame. Pages of a TIFF are not frames in time."""

DEFAULT_DURATION = 100
"""Milliseconds that a frame is shown whose duration is 0: what browsers do, as nothing was ever meant so fast."""


class Animation:
    """An opened animation; VideoError if it is none, or exceeds a limit."""

    def __init__(self, footage: Footage, limits: Limits, account: Account) -> None:
        self.duration: float | None = None  # nothing in the file says it, short of going through all frames
        self._name = footage.source_name
        self._limits = limits
        self._account = account
        try:
            data = read_source(footage, limits.bytes)
            with collected():  # and dropped: frames have no place of their own for it
                self._picture = heedless(lambda: open_picture(data, limits))
        except (UnreadableError, NotRead, LimitExceeded) as error:
            raise VideoError(self._name, str(error)) from error
        except Exception as error:  # Pillow's plugins raise whatever their format makes them raise
            raise VideoError(self._name, f"the animation cannot be opened ({reason(error)})") from error
        if self._picture.format not in FORMATS:
            raise VideoError(self._name, still(self._picture.format))
        self.size, self.format = self._picture.size, self._picture.format or ""

    def frames(self) -> Iterator[Shown]:
        """Yield the frames, each with the time that those before it have taken; what goes wrong goes to the account."""
        shown = 0.0  # milliseconds, which are whole numbers but in AVIF
        index = 0
        while True:
            try:
                with collected():
                    frame = heedless(lambda number=index: self._decode(number))  # type: ignore[misc]
            except EOFError:
                return
            except LimitExceeded as error:
                self._account.lack(f"ends at {clock(shown / 1000)}: {error}")
                return
            except Exception as error:  # noqa: BLE001 - Pillow's plugins raise what their format makes them raise
                self._account.lack(f"breaks off at {clock(shown / 1000)}: {reason(error)}")
                return
            until = shown + _duration(frame)
            yield Shown(shown / 1000, until / 1000, lambda frame=frame: frame)  # type: ignore[misc]
            shown = until
            index += 1

    def _decode(self, index: int) -> Image.Image:
        picture = self._picture
        if index:
            self._limits.check(
                "animation_pixels", (index + 1) * picture.width * picture.height, f"pixels in {index + 1} frames"
            )
        picture.seek(index)
        check_picture(picture, self._limits)
        load(picture)
        return picture.copy()


def still(kind: str | None) -> str:
    """Say what a picture is that is given for a video."""
    return f"a picture ({kind}), not a video: classify it with 'nsfw-caffe classify', or Classifier.classify"


def _duration(frame: Image.Image) -> float:
    milliseconds = frame.info.get("duration", 0)
    return milliseconds if isinstance(milliseconds, (int, float)) and milliseconds > 0 else DEFAULT_DURATION
