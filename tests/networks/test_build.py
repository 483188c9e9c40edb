"""The networks in the real pycaffe, in both forms, and by their published names."""

from __future__ import annotations

import math
import typing
from pathlib import Path

import numpy as np
import pytest

from nsfw_caffe.classifier import Classifier
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.model.shapes.network import network_shapes
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.networks import NETWORKS, Form, NetworkName, build
from nsfw_caffe.networks.catalogue import COMPARED, build_network
from tests.networks.running import KINDS, Ran, Runner
from tests.networks.running import run_in_caffe as run_in_caffe
from tests.support import PHOTOS

HEAVY = {"vgg16", "ms_ctc"}
EVERY_KIND = [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in KINDS]


def same_shapes(name: str, ran: Ran, form: Form, classes: int) -> None:
    """Hold Caffe's shapes against those that are told without it."""
    layers = network_shapes(build_network(name, form=form, classes=classes), name)
    blobs = {top: shape for layer in layers for top, shape in zip(layer.layer.top, layer.tops, strict=True)}
    params = {layer.layer.name: list(layer.blobs) for layer in layers if layer.blobs}
    assert {top: ran.blobs[top] for top in blobs} == blobs
    assert ran.params == params
    assert [layer for layer in ran.layers if "_split" not in layer] == [layer.layer.name for layer in layers]


@pytest.mark.parametrize("classes", [2, 1000])
@pytest.mark.parametrize("name", EVERY_KIND)
def test_caffe_runs_the_deploy_form(run_in_caffe: Runner, tmp_path: Path, name: NetworkName, classes: int) -> None:
    ran = run_in_caffe(tmp_path, build(name, classes=classes))
    assert list(ran.outputs) == ["prob"]
    assert ran.outputs["prob"] == pytest.approx(1, abs=1e-5)
    assert math.prod(ran.blobs["prob"]) == classes
    same_shapes(name, ran, "deploy", classes)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        *(pytest.param(name, 2, marks=pytest.mark.slow if name in HEAVY else ()) for name in KINDS),
        *((name, 1000) for name in KINDS if name not in HEAVY),  # whose last layers are built as all the others' are
    ],
)
def test_caffe_trains_the_training_form(run_in_caffe: Runner, tmp_path: Path, name: NetworkName, classes: int) -> None:
    """One step, after which the loss is finite and all that learns has moved."""
    ran = run_in_caffe(tmp_path, build(name, classes=classes, form="train"), form="train", phase="train",
                       classes=classes)  # fmt: skip
    losses = {"loss1/loss1", "loss2/loss1", "loss3/loss3"} if name == "googlenet" else {"loss"}
    assert set(ran.outputs) == losses
    assert all(map(math.isfinite, ran.outputs.values()))
    learning = {layer.name for layer in build_network(name).layer if layer.type in {"Convolution", "InnerProduct"}}
    assert len(learning & set(ran.moved)) > len(learning) * 0.9


@pytest.mark.parametrize("classes", [2, 5, 6])
@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "resnet18_thin"])
def test_caffe_tests_the_training_form(run_in_caffe: Runner, tmp_path: Path, name: NetworkName, classes: int) -> None:
    ran = run_in_caffe(tmp_path, build(name, classes=classes, form="train", batch_size=2), form="train",
                       classes=classes)  # fmt: skip
    accuracies = {output for output in ran.outputs if "loss" not in output or "top" in output}
    assert len(accuracies) == (3 if name == "googlenet" else 1) * (2 if classes > 5 else 1)
    assert all(0 <= ran.outputs[accuracy] <= 1 for accuracy in accuracies)
    layers = network_shapes(build_network(name, form="train", classes=classes, batch_size=2), name)
    assert {top: ran.blobs[top] for layer in layers for top in layer.layer.top} == {
        top: shape for layer in layers for top, shape in zip(layer.layer.top, layer.tops, strict=True)
    }


def test_resnet50_thin_is_the_originals_network(model_files: ModelFiles) -> None:
    """Every layer is the same message as in deploy.prototxt, but for its fillers and rates."""
    original = read_prototxt(model_files.prototxt)
    built = build_network("resnet50_thin", classes=2)
    for layer in original.layer:
        del layer.param[:]
        for options in (layer.convolution_param, layer.inner_product_param):
            for filler in ("weight_filler", "bias_filler"):
                options.ClearField(filler)
        if layer.type == "Convolution":
            for option, default in (("pad", [0]), ("stride", [1])):
                if list(getattr(layer.convolution_param, option)) == default:
                    layer.convolution_param.ClearField(option)
        for parameter, type_ in (("convolution_param", "Convolution"), ("inner_product_param", "InnerProduct")):
            if layer.type != type_:
                layer.ClearField(parameter)
    assert [str(layer) for layer in built.layer] == [str(layer) for layer in original.layer]


def test_resnet50_thin_gives_the_originals_scores(
    tmp_path: Path, model_files: ModelFiles, classifier: Classifier
) -> None:
    prototxt = tmp_path / "built.prototxt"
    prototxt.write_text(build("resnet50_thin", classes=2))
    photos = sorted(PHOTOS.glob("*.jpg")) + sorted(PHOTOS.glob("*.png"))[:6]
    original = classifier.classify_batch(photos)
    built = Classifier(engine="caffe", prototxt=prototxt, caffemodel=model_files.caffemodel).classify_batch(photos)
    assert len(set(original)) == len(photos) > 8
    np.testing.assert_array_equal(built, original)


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("vgg16", 1000, "fc8"),
        ("vgg16", 2, "fc8_2"),
        ("squeezenet1_0", 7, "conv10_7"),
        ("resnet50", 1000, "fc1000"),
        ("resnet50", 2, "fc2"),
        ("resnet50_thin", 1000, "fc1000"),
        ("resnet50_thin", 2, "fc_nsfw"),
        ("resnet50_thin", 3, "fc3"),
        ("resnet36_inception_4k", 5, "conv_1by1_5"),
        ("googlenet", 2, "loss3/classifier_2"),
        ("ms_ctc", 2, "fc8_2"),
    ],
)
def test_the_last_layer_is_named_for_its_classes(name: str, classes: int, expected: str) -> None:
    layers = build_network(name, classes=classes).layer
    learned = [layer for layer in layers if layer.type in {"Convolution", "InnerProduct"}]
    assert learned[-1].name == expected
    options = learned[-1].convolution_param if "conv" in expected else learned[-1].inner_product_param
    assert options.num_output == classes


PUBLISHED = {
    "resnet50": "res3d_branch2c res4f_branch2a bn4f_branch2b scale4f_branch2b res4f_branch2b_relu res5c_relu pool5",
    "resnet101": "res3b3_branch2c bn3b1_branch2a scale4b22_branch2c res4b22_branch2a_relu res5c bn_conv1 conv1_relu",
    "resnet152": "res3b7_branch2a res4b35 res4b35_relu res2c_branch2c scale_conv1",
    "googlenet": "conv1/7x7_s2 conv1/relu_7x7 pool1/norm1 conv2/3x3_reduce conv2/norm2 pool2/3x3_s2 "
    "inception_3a/relu_3x3_reduce inception_3b/pool_proj inception_4e/relu_pool_proj pool4/3x3_s2 "
    "inception_5b/output pool5/drop_7x7_s1",
    "vgg16": "conv5_3 relu5_3 pool5 fc6 relu6 drop6 fc7",
    "squeezenet1_1": "fire2/squeeze1x1 fire9/relu_expand3x3 fire9/concat drop9 relu_conv10 pool10 pool5",
    "resnet50_pynetbuilder": "conv_stage3_block2_branch2c scale_1 relu_stage0_block0 conv_stage1_block0_proj_shortcut",
    "resnet66_thin_inception": "conv_stage0_block0_branch_b_3by1 bn_stage3_block2_branch_b_1by3",
    "resnet36_inception_4k": "conv_stage0_block1_branch_1by3b conv_1by1_2048 drop_1by1_4096 bn_1by1_1000",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_have_their_published_names(name: str) -> None:
    assert set(PUBLISHED[name].split()) <= {layer.name for layer in build_network(name).layer}


def test_only_the_first_layer_of_the_authors_resnet50_has_a_bias() -> None:
    for name, biased in (("resnet50", ["conv1"]), ("resnet101", []), ("resnet152", [])):
        layers = [layer for layer in build_network(name).layer if layer.type == "Convolution"]
        assert [layer.name for layer in layers if layer.convolution_param.bias_term] == biased


def test_googlenet_has_its_auxiliary_heads_in_training_only() -> None:
    training = {layer.name: layer for layer in build_network("googlenet", form="train").layer}
    weights = {layer.name: list(layer.loss_weight) for layer in training.values() if layer.type == "SoftmaxWithLoss"}
    assert weights == {"loss1/loss": [pytest.approx(0.3)], "loss2/loss": [pytest.approx(0.3)], "loss3/loss3": [1]}
    assert list(training["loss1/ave_pool"].bottom) == ["inception_4a/output"]
    assert list(training["loss2/ave_pool"].bottom) == ["inception_4d/output"]
    assert not [layer for layer in build_network("googlenet").layer if layer.name.startswith(("loss1", "loss2"))]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_deploy_form_has_nothing_of_training(name: NetworkName) -> None:
    text = build(name)
    assert not [word for word in ("filler", "lr_mult", "label", "SoftmaxWithLoss", "Accuracy") if word in text]
    assert text.count("use_global_stats: true") == text.count('type: "BatchNorm"')
    training = build(name, form="train")
    assert "use_global_stats" not in training
    assert training.count("lr_mult: 0") == 3 * training.count('type: "BatchNorm"')


def test_a_width_changes_every_layer_but_the_last() -> None:
    """Half of pynetbuilder's ResNet-50 is its thin one, but for the first layer, which that leaves as it is."""
    half = {layer.name: layer for layer in build_network("resnet50_pynetbuilder", width=0.5).layer}
    for layer in build_network("resnet50_thin").layer:
        if layer.type == "Convolution":
            count = 32 if layer.name == "conv_1" else layer.convolution_param.num_output
            assert half[layer.name].convolution_param.num_output == count
    assert half["fc1000"].inner_product_param.num_output == 1000


@pytest.mark.parametrize("width", [0.25, 0.3, 1.5])
@pytest.mark.parametrize("name", NETWORKS)
def test_any_width_can_be_built(name: NetworkName, width: float) -> None:
    assert build(name, width=width, form="train", batch_size=3)


def test_the_batch_is_that_of_data_and_labels() -> None:
    layers = network_shapes(build_network("squeezenet1_1", form="train", batch_size=7), "it")
    assert [layer.tops[0] for layer in layers[:2]] == [(7, 3, 227, 227), (7,)]


def test_the_names_are_those_of_the_type() -> None:
    assert set(typing.get_args(NetworkName)) == set(NETWORKS)
    assert all(name == network.name for name, network in NETWORKS.items())
    assert set(COMPARED) <= set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_accuracies_are_shares_with_their_source(name: str) -> None:
    network = NETWORKS[name]
    assert network.publisher.startswith("https://")
    if network.accuracy is not None:
        found = [share for share in (network.accuracy.top1, network.accuracy.top5) if share is not None]
        assert found == sorted(found)
        assert found
        assert all(0.5 < share < 1 for share in found)
        assert network.accuracy.source.startswith("https://")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet51"}, r"there is no network 'resnet51'; there are: ms_ctc, .*resnet152_thin$"),
        ({"classes": 1}, "classes has to be a whole number of 2 or more, not 1"),
        ({"classes": 2.0}, r"classes has to be a whole number of 2 or more, not 2\.0"),
        ({"batch_size": 0}, "batch_size has to be a whole number of 1 or more, not 0"),
        ({"width": 0}, "width has to be a number above 0, not 0"),
        ({"width": -1}, "width has to be a number above 0, not -1"),
        ({"width": math.nan}, "width has to be a number above 0, not nan"),
        ({"width": math.inf}, "width has to be a number above 0, not inf"),
        ({"width": 0.001}, r"width 0\.001 leaves no filters of 64"),
        ({"form": "test"}, "form has to be 'deploy' or 'train', not 'test'"),
        ({"classes": 2_000_000}, "Caffe cannot hold this network: .*layer 'fc2000000'.* more than Caffe can hold"),
        ({"width": 1e4}, "Caffe cannot hold this network: .* more than Caffe can hold"),
        ({"width": 1e308}, r"width 1e\+308 gives .* filters, more than Caffe can hold"),
        (
            {"classes": 10**12},
            "classes has to be a whole number of 2 or more, but less than 2147483648, not 1000000000000",
        ),
        ({"batch_size": 10**10}, "batch_size has to be a whole number of 1 or more, but less"),
        ({"batch_size": 10**9}, "Caffe cannot hold this network: .* more than Caffe can hold"),
    ],
)
def test_what_cannot_be_built_is_said(arguments: dict[str, typing.Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**{"name": "resnet50", **arguments})
