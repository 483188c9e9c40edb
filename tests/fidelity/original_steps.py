"""The original script's preprocessing for any old Python and Pillow: paths on stdin, the input's sums on stdout.

It needs Python 3.6, NumPy and Pillow, nothing of this library. Its lines are `path<TAB>SHA-256` of the float32
(3, 224, 224) in C order, or `path<TAB>error TYPE`.
"""

# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, UP032

import hashlib
import io
import sys

import numpy as np
from PIL import Image


def network_input(path):
    """Do in NumPy, in their order and precision, what scikit-image's img_as_float and caffe.io.Transformer do."""
    picture = Image.open(path)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    stream = io.BytesIO()
    picture.resize((256, 256), resample=Image.BILINEAR).save(stream, format="JPEG")
    levels = np.asarray(Image.open(stream))
    unit = (levels / 255.0).astype(np.float32)
    blue_green_red = unit[16:240, 16:240].transpose(2, 0, 1)[::-1]
    return blue_green_red * np.float32(255) - np.array([104, 117, 123], np.float32)[:, np.newaxis, np.newaxis]


def main():
    for line in sys.stdin.buffer:
        path = line.decode("utf-8").rstrip("\n")
        try:
            answer = hashlib.sha256(network_input(path).astype("<f4").tobytes()).hexdigest()
        except Exception as error:  # noqa: BLE001  (Pillow's plugins raise whatever their format makes them raise)
            answer = "error " + type(error).__name__
        sys.stdout.buffer.write("{}\t{}\n".format(path, answer).encode("utf-8"))


if __name__ == "__main__":
    main()
