"""The original script's way from a picture file to its score, step by step, in the libraries that the original calls.

Nothing of nsfw_caffe is used here: this is what it is measured against.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

RESIZED = 256
CROP = 224
MEAN_BGR = (104, 117, 123)


@dataclass(frozen=True)
class Expected:
    """The original's answer for one file."""

    tensor_sha256: str
    score: float


def sha256(tensor: npt.NDArray[np.float32]) -> str:
    assert tensor.dtype == np.float32
    assert tensor.shape == (3, CROP, CROP)
    return hashlib.sha256(tensor.tobytes()).hexdigest()


class Oracle:
    """The original's steps on this machine's pycaffe."""

    def __init__(self, prototxt: Path, caffemodel: Path) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")  # read by Caffe's logging when it is loaded
        import caffe

        caffe.set_mode_cpu()
        self._caffe = caffe
        self._net = caffe.Net(str(prototxt), caffe.TEST, weights=str(caffemodel))
        self._transformer = caffe.io.Transformer({"data": self._net.blobs["data"].data.shape})
        self._transformer.set_transpose("data", (2, 0, 1))
        self._transformer.set_mean("data", np.array(MEAN_BGR))
        self._transformer.set_raw_scale("data", 255)
        self._transformer.set_channel_swap("data", (2, 1, 0))

    def tensor(self, data: bytes) -> npt.NDArray[np.float32]:
        """Return the network's input, (3, 224, 224), for a picture file's bytes; OSError if Pillow cannot read them."""
        picture: Image.Image = Image.open(io.BytesIO(data))
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        # The original resizes in one call, whose pass order Pillow changed in version 12; this is the order before.
        narrow = picture.resize((RESIZED, picture.height), Image.Resampling.BILINEAR)
        stream = io.BytesIO()
        narrow.resize((RESIZED, RESIZED), Image.Resampling.BILINEAR).save(stream, format="JPEG")
        stream.seek(0)
        loaded = self._caffe.io.load_image(stream)
        start = (RESIZED - CROP) // 2
        tensor: npt.NDArray[np.float32] = self._transformer.preprocess(
            "data", loaded[start : start + CROP, start : start + CROP, :]
        )
        return tensor

    def score(self, tensor: npt.NDArray[np.float32]) -> float:
        """Return the NSFW probability for the network's input."""
        output = self._net.forward_all(blobs=["prob"], data=tensor[np.newaxis])
        return float(output["prob"][0].astype(float)[1])
