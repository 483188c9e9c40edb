"""Counts, held against published ones and against pycaffe's own blobs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.networks import NETWORKS, NetworkName, build, cost
from nsfw_caffe.networks.cost import network_cost
from tests.networks.running import Runner
from tests.networks.running import run_in_caffe as run_in_caffe
from tests.support import run

COUNTS = {
    "ms_ctc": (67_655_912, 926_683_840),
    "squeezenet1_0": (1_248_424, 861_339_936),
    "squeezenet1_1": (1_235_496, 387_747_520),
    "vgg16": (138_357_544, 15_470_264_320),
    "googlenet": (6_998_552, 1_582_671_872),
    "resnet50": (25_557_096, 3_857_973_248),
    "resnet50_pynetbuilder": (25_583_592, 3_857_973_248),
    "resnet50_thin": (6_940_840, 1_069_572_096),
}
"""Parameters and multiply-adds, from the shapes of pycaffe's blobs."""

PYNETBUILDER = {
    "resnet50_pynetbuilder": (25.556032, 3858.026368),
    "resnet50_thin": (6.926528, 1069.598720),
}
"""Millions of parameters and flops, as pynetbuilder's build_resnet.py prints them and its README has them."""

README = {
    "resnet77_thin": ("9.44", "1560.93"),
    "resnet66_thin_inception": ("5.98", "915.46"),
    "resnet68_thin_inception_4k": ("19.55", "1029.69"),
    "resnet34_inception": ("8.55", "1370.93"),
    "resnet36_inception_4k": ("21.58", "1434.30"),
}
"""The other rows of its README, cut off after two digits."""


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds(name: str) -> None:
    found = cost(name)
    assert (found.parameters, found.multiply_adds) == COUNTS[name]


@pytest.mark.parametrize("name", PYNETBUILDER)
def test_pynetbuilders_counts_by_its_rule(name: str) -> None:
    found = cost(name)
    assert (found.pynetbuilder_parameters / 1e6, found.pynetbuilder_multiply_adds / 1e6) == PYNETBUILDER[name]


def test_the_authors_resnet50_has_the_same_counts_by_that_rule() -> None:
    found = cost("resnet50")
    assert (found.pynetbuilder_parameters, found.pynetbuilder_multiply_adds) == (25_556_032, 3_858_026_368)


@pytest.mark.parametrize("name", README)
def test_the_other_rows_of_pynetbuilders_readme(name: str) -> None:
    found = cost(name)
    cut = [f"{math.floor(count / 1e4) / 100:.2f}"
           for count in (found.pynetbuilder_parameters, found.pynetbuilder_multiply_adds)]  # fmt: skip
    assert tuple(cut) == README[name]


def test_the_original_file(model_files: ModelFiles) -> None:
    found = cost(model_files.prototxt)
    assert (found.parameters, found.statistics) == (5_917_890, 5_944_567 - 5_917_890)
    assert found.input_shape == (3, 224, 224)
    built = cost("resnet50_thin", classes=2)
    assert built.layers == found.layers
    assert found.name == str(model_files.prototxt)


@pytest.mark.linux
@pytest.mark.parametrize("name", ["googlenet", "resnet18_thin", "squeezenet1_0"])
def test_blobs_of_pycaffe(run_in_caffe: Runner, tmp_path: Path, name: NetworkName) -> None:
    """What Caffe allocates is what is counted."""
    ran = run_in_caffe(tmp_path, build(name))
    found = cost(name)
    statistics = {layer.name for layer in found.layers if layer.type == "BatchNorm"}
    learned = [math.prod(shape) for layer, shapes in ran.params.items() if layer not in statistics for shape in shapes]
    assert found.parameters == sum(learned)
    kept = [math.prod(shape) for layer in statistics for shape in ran.params[layer]]
    assert found.statistics == sum(kept)
    blobs = [math.prod(shape) for blob, shape in ran.blobs.items() if "_split_" not in blob]
    assert found.activation_bytes == 4 * sum(blobs)


def test_a_batch_costs_as_much_a_picture(tmp_path: Path) -> None:
    prototxt = tmp_path / "batch.prototxt"
    prototxt.write_text(build("squeezenet1_1", batch_size=10))
    assert network_cost(read_prototxt(prototxt), "").parameters == cost("squeezenet1_1").parameters
    for attribute in ("multiply_adds", "activation_bytes", "pynetbuilder_multiply_adds", "input_shape"):
        assert getattr(cost(prototxt), attribute) == getattr(cost("squeezenet1_1"), attribute)


def test_the_test_phase_of_a_training_file(tmp_path: Path) -> None:
    """GoogLeNet's auxiliary heads are in both phases of its published file, accuracies in one."""
    prototxt = tmp_path / "train_val.prototxt"
    prototxt.write_text(build("googlenet", form="train"))
    found = cost(prototxt)
    assert found.parameters == 13_378_280
    assert len([layer for layer in found.layers if layer.type == "Accuracy"]) == 6


def write(folder: Path, *layers: str) -> Path:
    """Write a network of an input of 2 pictures and these layers."""
    path = folder / "own.prototxt"
    data = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [2, 4, 6, 5] } } }'
    path.write_text("\n".join([data, *layers]))
    return path


CONVOLUTION = 'layer { name: "%s" type: "%s" bottom: "data" top: "%s" convolution_param { %s } %s }'


def test_groups_transposed_windows_and_matrices(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        CONVOLUTION % ("conv", "Convolution", "conv", "num_output: 6 kernel_size: 3 group: 2", ""),
        CONVOLUTION % ("deconv", "Deconvolution", "deconv", "num_output: 3 kernel_size: 2 stride: 2", ""),
        'layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" '
        "inner_product_param { num_output: 7 axis: 2 } }",
    )
    rows = {layer.name: layer for layer in cost(path).layers}
    assert rows["conv"].shapes == ((2, 6, 4, 3),)
    assert (rows["conv"].parameters, rows["conv"].multiply_adds) == (6 * 2 * 9 + 6, 6 * 2 * 9 * 12)
    assert rows["deconv"].shapes == ((2, 3, 12, 10),)
    assert (rows["deconv"].parameters, rows["deconv"].multiply_adds) == (4 * 3 * 4 + 3, 4 * 3 * 4 * 30)
    assert rows["fc"].shapes == ((2, 6, 7),)
    assert (rows["fc"].parameters, rows["fc"].multiply_adds) == (12 * 7 + 7, 12 * 7 * 6)


def test_what_is_shared_counts_once(tmp_path: Path) -> None:
    shared = 'param { name: "w" } param { name: "b" }'
    path = write(
        tmp_path,
        CONVOLUTION % ("one", "Convolution", "one", "num_output: 6 kernel_size: 3", shared),
        CONVOLUTION % ("two", "Convolution", "two", "num_output: 6 kernel_size: 3", shared),
    )
    rows = cost(path).layers
    assert rows[1].parameters == 6 * 4 * 9 + 6
    assert rows[2].parameters == 0
    assert rows[1].multiply_adds == rows[2].multiply_adds


def test_tops_in_the_memory_of_their_bottom_take_none(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }',
        'layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" }',
        'layer { name: "soft" type: "Softmax" bottom: "flat" top: "soft" }',
    )
    assert [layer.activation_bytes for layer in cost(path).layers] == [480, 0, 0, 480]


def test_files_of_the_older_format(tmp_path: Path) -> None:
    path = tmp_path / "older.prototxt"
    path.write_text(
        'input: "data" input_dim: 10 input_dim: 3 input_dim: 8 input_dim: 8\n'
        'layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 5 } }'
    )
    found = cost(path)
    assert (found.parameters, found.multiply_adds, found.input_shape) == (965, 960, (3, 8, 8))


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'resnet51' is neither a file nor a network; there are: ms_ctc, "):
        cost("resnet51")
    with pytest.raises(ValueError, match=r"width 0\.001 leaves no filters"):
        cost("vgg16", width=0.001)
    path = write(tmp_path, 'layer { name: "it" type: "Python" bottom: "data" top: "x" }')
    with pytest.raises(ModelError, match=r"own.prototxt: layer 'it' of type Python: the shapes of this type"):
        cost(path)
    path.write_text("no network")
    with pytest.raises(ModelError, match=r"own\.prototxt is not a prototxt"):
        cost(path)
    with pytest.raises(ModelError, match="cannot be read"):
        cost(tmp_path)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_a_cost(name: str) -> None:
    found = cost(name, classes=2, width=0.5)
    assert 0 < found.parameters < found.multiply_adds
    assert found.activation_bytes > 0


def test_nothing_needs_caffe() -> None:
    child = run("-c", "import sys; sys.modules['caffe'] = None\n"
                "from nsfw_caffe.networks import build, cost\n"
                "print(len(build('vgg16')) > 1000, cost('vgg16').parameters, 'numpy' in sys.modules)")  # fmt: skip
    assert child.stdout.split() == ["True", "138357544", "False"], child.stderr
