"""Values of blobs, however a file has them, against what pycaffe's own message holds."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import pytest
from caffe.proto import caffe_pb2 as real

from nsfw_caffe.model.blobs import blob_values, fill_blob
from nsfw_caffe.model.schema.caffe_pb2 import BlobProto

VALUES = np.array([0, -0.0, 1.5, np.inf, np.nan, 1e-45], np.float32)
PACKED, UNPACKED = b"\x2a\x18" + VALUES.tobytes(), b"".join(b"\x2d" + struct.pack("<f", value) for value in VALUES)
UNKNOWN = b"\xa0\x06\x96\x01" + b"\xa5\x06abcd" + b"\xa1\x06abcdefgh" + b"\xa2\x06\x03abc"
FILES = {
    "packed": PACKED,
    "one by one": UNPACKED,
    "in pieces of both": PACKED + UNPACKED + PACKED,
    "empty": b"",
    "among other fields": b"\x3a\x03\x0a\x01\x06" + UNKNOWN + PACKED + UNKNOWN + b"\x32\x04abcd\x08\x06",
    "in float64": PACKED + b"\x42\x10" + struct.pack("<2d", 0.1, 1e300),
    "in float64, one by one": b"\x41" + struct.pack("<d", 0.1) + PACKED,
    "with no float64": b"\x42\x00" + PACKED,
}


def expected(content: bytes) -> npt.NDArray[np.float32]:
    blob = real.BlobProto.FromString(content)
    with np.errstate(over="ignore"):
        return np.array(list(blob.double_data) or list(blob.data), np.float64).astype(np.float32)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_values_are_those_that_caffe_reads(content: bytes) -> None:
    found = blob_values(BlobProto.FromString(content))
    assert found.dtype == np.float32
    assert found.tobytes() == expected(content).tobytes()


@pytest.mark.parametrize("shape", [(), (0,), (5,), (300, 2, 1, 3)])
def test_filled_blob_is_as_caffe_writes_it(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    blob = BlobProto()
    fill_blob(blob, values)
    theirs = real.BlobProto(data=values.ravel())
    theirs.shape.dim.extend(shape)
    assert real.BlobProto.FromString(blob.SerializeToString()) == theirs
    assert blob_values(blob).tobytes() == values.tobytes()


def test_values_in_any_order_are_written_in_rows() -> None:
    blob = BlobProto()
    fill_blob(blob, np.arange(6, dtype=np.float32).reshape(2, 3).T)
    assert blob_values(blob).tolist() == [0, 3, 1, 4, 2, 5]
