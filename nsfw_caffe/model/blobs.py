"""The numbers of learned blobs as arrays, straight from and to their bytes.

As a list of protobuf's, NumPy may get each as an object of Python: 4 GB and ten seconds for VGG-16.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.model import wire
from nsfw_caffe.model.schema.caffe_pb2 import BlobProto

Values: TypeAlias = npt.NDArray[np.float32]

_DATA = BlobProto.DATA_FIELD_NUMBER
_DOUBLE_DATA = BlobProto.DOUBLE_DATA_FIELD_NUMBER


def blob_values(blob: BlobProto) -> Values:
    """Give a blob's values, flat, as Caffe takes them: in float32, whatever the file holds."""
    if blob.double_data:
        with np.errstate(over="ignore"):  # infinite, as in C++
            return np.frombuffer(_packed(blob, _DOUBLE_DATA), "<f8").astype(np.float32)
    return np.frombuffer(_packed(blob, _DATA), "<f4").astype(np.float32, copy=False)


def _packed(blob: BlobProto, number: int) -> memoryview:
    """Give the bytes of a list of numbers, which protobuf writes packed and whole, however it has read them."""
    return dict(wire.fields(memoryview(blob.SerializeToString()))).get(number, memoryview(b""))


def fill_blob(blob: BlobProto, values: Values) -> None:
    """Give a new blob the values and the shape of an array."""
    content = np.ascontiguousarray(values, "<f4").reshape(-1).view(np.uint8).data
    blob.MergeFromString(b"".join(wire.field(_DATA, content)))
    blob.shape.dim.extend(values.shape)
