"""prototxt + caffemodel -> ONNX, without Caffe.

`convert` knows the layers in `rules.RULES`, with all options that decide about the numbers, and refuses everything
else: a network is converted exactly or not at all. `cache` keeps what it has made.
"""

VERSION = "1"
"""Of what the converter writes: a part of a cached file's name. Raise it with every change of the output."""

ORIGINAL_SIZE = 23_597_614
ORIGINAL_SHA256 = "db4d61b454ec84d4ccc8e8b7e9b17490e3060e985d556998ce5d023c1160abd6"
"""Of what this version writes for the original model: the same bytes with onnx 1.16 to 1.23 and protobuf 4 to 7."""
