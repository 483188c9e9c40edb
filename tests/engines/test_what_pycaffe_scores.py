"""Networks in older or odd forms: what pycaffe scores, each engine scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe import Classifier, ModelError
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter, V1LayerParameter
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import EngineName
from nsfw_caffe.preprocessing.jpeg import PillowCodec
from nsfw_caffe.preprocessing.steps import preprocess
from tests.support import PHOTOS, run

PHOTO = PHOTOS / "coffee.png"
ENGINES: tuple[EngineName, ...] = ("caffe", "onnxruntime", "openvino")
TOLERANCE = 5e-6

NEW = b"""name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 9 stride: 16 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" lrn_param { local_size: 3 alpha: 0.01 } }
layer { name: "pool" type: "Pooling" bottom: "norm" top: "pool" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "split" type: "Split" bottom: "pool" top: "a" top: "b" }
layer { name: "flat" type: "Flatten" bottom: "a" top: "flat" }
layer { name: "sum" type: "Eltwise" bottom: "b" bottom: "pool" top: "sum" eltwise_param { operation: SUM coeff: 1 coeff: -2 } }
layer { name: "flat2" type: "Flatten" bottom: "sum" top: "flat2" }
layer { name: "both" type: "Concat" bottom: "flat" bottom: "flat2" top: "both" }
layer { name: "drop" type: "Dropout" bottom: "both" top: "both" dropout_param { dropout_ratio: 0.9 } }
layer { name: "fc" type: "InnerProduct" bottom: "both" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""  # noqa: E501

_TYPES = {
    "Convolution": "CONVOLUTION",
    "ReLU": "RELU",
    "LRN": "LRN",
    "Pooling": "POOLING",
    "Split": "SPLIT",
    "Flatten": "FLATTEN",
    "Eltwise": "ELTWISE",
    "Concat": "CONCAT",
    "Dropout": "DROPOUT",
    "InnerProduct": "INNER_PRODUCT",
    "Softmax": "SOFTMAX",
}


def _old() -> bytes:
    lines = NEW.decode().splitlines()
    text = "\n".join([lines[0], 'input: "data" input_dim: 1 input_dim: 3 input_dim: 224 input_dim: 224', *lines[2:]])
    for new, old in _TYPES.items():
        text = text.replace(f'type: "{new}"', f"type: {old}")
    text = text.replace("layer {", "layers {")
    return text.replace("convolution_param", "blobs_lr: 1 blobs_lr: 2 weight_decay: 1 convolution_param").encode()


OLD = _old()
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONV, _FC = b'name: "conv"', b'name: "fc"'
TRAINING = b'layer { name: "t" type: "Data" top: "data" include { phase: TRAIN } data_param { source: "x" } }'


def weights(*, old: bool = False, conv: bytes = b"conv") -> bytes:
    """Make a caffemodel, in the new format or the old one; of a name any bytes."""
    network = NetParameter()
    generator = np.random.default_rng(3)
    for name, shapes in {"conv": [(4, 3, 9, 9), (4,)], "fc": [(2, 392), (2,)]}.items():
        layer = network.layers.add(name=name) if old else network.layer.add(name=name)
        for shape in shapes:
            blob = layer.blobs.add(data=generator.normal(0, 0.01, int(np.prod(shape))))
            if old:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - len(shape)) + shape
            else:
                blob.shape.dim.extend(shape)
    if old:
        network.layers[0].type = V1LayerParameter.CONVOLUTION
    assert len(conv) == 4  # so that no length changes
    return network.SerializeToString().replace(b"conv", conv)


CASES = {
    "as it is today": (NEW, weights()),
    "V1": (OLD, weights()),
    "V1 weights": (NEW, weights(old=True)),
    "V1 and V1 weights": (OLD, weights(old=True)),
    "V1, blobs with names": (
        OLD.replace(_FC, _FC + b' param: "w" param: "b" blob_share_mode: STRICT'),
        weights(),
    ),
    "V1, a layer of training": (
        OLD + b'layers { name: "l" type: SOFTMAX_LOSS bottom: "fc" include { phase: TRAIN } }',
        weights(),
    ),
    "network's name": (NEW.replace(b'"tiny"', b'"caf\xe9"'), weights()),
    "comment": (b"# caf\xe9\n" + NEW, weights()),
    "layer's name": (NEW.replace(_CONV, b'name: "con\xe9"'), weights(conv=b"con\xe9")),
    "layer's name as an escape": (NEW.replace(_CONV, b'name: "con\\351"'), weights(conv=b"con\xe9")),
    "layer's name, V1 weights": (NEW.replace(_CONV, b'name: "con\xe9"'), weights(old=True, conv=b"con\xe9")),
    "transform_param": (
        NEW.replace(b'top: "data"', b'top: "data" transform_param { mean_value: 104 mirror: true }', 1),
        weights(),
    ),
    "options of other types": (
        NEW.replace(b'"ReLU"', b'"ReLU" sigmoid_param { engine: CAFFE } pooling_param { pool: AVE } loss_param { }'),
        weights(),
    ),
    "data of training": (TRAINING + NEW, weights()),
    "CRLF": (NEW.replace(b"\n", b"\r\n"), weights()),
}

PYCAFFE = """
import sys, numpy, caffe
caffe.set_mode_cpu()
net = caffe.Net(sys.argv[1], caffe.TEST, weights=sys.argv[2])
net.blobs["data"].data[...] = numpy.load(sys.argv[3])
print(repr(float(net.forward()["prob"][0, 1])))
"""


def write(folder: Path, prototxt: bytes, caffemodel: bytes) -> ModelFiles:
    (folder / "my.prototxt").write_bytes(prototxt)
    (folder / "my.caffemodel").write_bytes(caffemodel)
    return ModelFiles(folder / "my.prototxt", folder / "my.caffemodel", original=False)


def classifier_for(engine: EngineName, files: ModelFiles) -> Classifier:
    return Classifier(engine=engine, prototxt=files.prototxt, caffemodel=files.caffemodel)


@pytest.mark.parametrize(("prototxt", "caffemodel"), CASES.values(), ids=CASES)
def test_score_is_pycaffes(prototxt: bytes, caffemodel: bytes, tmp_path: Path) -> None:
    files = write(tmp_path, prototxt, caffemodel)
    np.save(tmp_path / "picture.npy", preprocess(PHOTO, PillowCodec())[np.newaxis])
    child = run(
        *("-c", PYCAFFE, files.prototxt, files.caffemodel, tmp_path / "picture.npy"),
        environment={"GLOG_minloglevel": "2"},
    )
    expected = float(child.stdout)
    assert 0.05 < expected < 0.95
    scores = {engine: classifier_for(engine, files).classify(PHOTO) for engine in ENGINES}
    assert scores["caffe"] == expected
    assert max(abs(score - expected) for score in scores.values()) <= TOLERANCE


@pytest.mark.parametrize("text", [NEW, OLD], ids=["new", "V1"])
def test_byte_order_mark(text: bytes, tmp_path: Path) -> None:
    """Caffe ends the process for one, so it is given the file without: here, in the trial, and in the workers."""
    scores = []
    for name, start in (("with", BYTE_ORDER_MARK), ("without", b"")):
        folder = tmp_path / name
        folder.mkdir()
        files = write(folder, start + text, weights())
        classifier = classifier_for("caffe", files)
        scores += [classifier.classify(PHOTO), *classifier.classify_batch([PHOTO] * 3, workers=2)]
        portable = [classifier_for(engine, files).classify(PHOTO) for engine in ENGINES[1:]]
        assert max(abs(score - scores[0]) for score in portable) <= TOLERANCE
    assert set(scores) == {scores[0]}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OLD + b'layer { name: "more" type: "ReLU" bottom: "prob" top: "more" }', "layers of two formats"),
        (b'layers { layer { name: "fc" type: "innerproduct" num_output: 2 } bottom: "data" }', "format before V1"),
    ],
)
def test_refused(engine: EngineName, text: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        classifier_for(engine, write(tmp_path, text, weights()))
