"""prototxt + caffemodel -> ONNX, without Caffe.

`convert` knows the layers in `rules.RULES`, with all options that decide about the numbers, and refuses everything
else: a network is converted exactly or not at all. `cache` keeps what it has made.
"""
