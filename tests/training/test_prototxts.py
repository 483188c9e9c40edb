"""What is written for `caffe train`: that Caffe takes it, and computes what this library's own solver does."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.network import read_caffemodel, read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import TEST, TRAIN, BlobProto, LayerParameter, NetParameter
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.training import TrainingOptions, write_prototxts
from nsfw_caffe.training.feeding import Order
from nsfw_caffe.training.fine_tuning import recipe_of
from nsfw_caffe.training.solving import SolverJob, solve
from nsfw_caffe.training.training_form import training_form
from tests.support import nsfw_caffe as command
from tests.support import run
from tests.training.pictures import draw, labelled

OPTIONS = TrainingOptions(layers="all", batch_size=2, iterations=3, holdout=0.3)

FILES = [
    "README.md", "class_weights.binaryproto", "deploy.prototxt", "solver.prototxt", "start.caffemodel", "test.txt",
    "train.txt", "train_val.prototxt",
]  # fmt: skip

IN_PYCAFFE = """
import json, sys
import caffe
import numpy as np

text = open("solver.prototxt").read() + 'train_state { stage: "fed" } test_state { stage: "fed" }'
open("fed.prototxt", "w").write(text)
solver = caffe.get_solver("fed.prototxt")
solver.net.copy_from("start.caffemodel")
given = np.load(sys.argv[1])
losses = []
for data, labels in zip(given["data"], given["labels"]):
    for net in (solver.net, solver.test_nets[0]):  # tested after the last one
        net.blobs["data"].data[...] = data
        net.blobs["label"].data[...] = labels
    solver.step(1)
    losses.append(float(solver.net.blobs["loss"].data))
print(json.dumps([losses, float(solver.test_nets[0].blobs["accuracy"].data)]))
"""


def unbalanced(folder: Path, names: tuple[str, str]) -> Path:
    for name, hue, count in zip(names, (2, 0), (10, 15), strict=True):
        for seed in range(count):
            draw(folder / name / f"{seed:03}.png", hue, seed)
    return folder


def listed(path: Path) -> list[tuple[str, int]]:
    pairs = (line.rpartition(" ") for line in path.read_text().splitlines())
    return [(source, int(label)) for source, _, label in pairs]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Path:  # noqa: ARG001 - fetched first
    folder = tmp_path_factory.mktemp("prototxts")
    write_prototxts(unbalanced(folder / "data", ("sfw", "nsfw")), folder / "caffe", options=OPTIONS)
    return folder / "caffe"


def learning(folder: Path) -> set[str]:
    layers = read_prototxt(folder / "train_val.prototxt").layer
    frozen = {layer.name for layer in layers if layer.param and not any(param.lr_mult for param in layer.param)}
    return {layer.name for layer in layers if layer.type in ("Convolution", "Scale", "InnerProduct")} - frozen


def own_losses(place: Path, written: Path, data: np.ndarray, labels: np.ndarray, job: SolverJob) -> list[float]:
    """Train with this library's own solver, from the network for scoring on."""
    place.mkdir()
    form = training_form(read_prototxt(written / "deploy.prototxt"), learning="all", weighted=True)
    (place / "net.prototxt").write_text(text_format.MessageToString(form))
    np.save(place / "data.npy", data)
    np.save(place / "labels.npy", labels)
    counts = np.bincount([label for _, label in listed(written / "train.txt")])
    own = {
        "net": str(place / "net.prototxt"), "folder": str(place / "run"), "weights": str(written / "start.caffemodel"),
        "arrays": str(place), "threads": 1, "class_weights": tuple(float(n) for n in counts.sum() / (2 * counts)),
    }  # fmt: skip
    return [step.loss for step in solve(SolverJob.from_json(json.dumps(json.loads(job.to_json()) | own))).history]


def test_pycaffe_gets_the_losses_of_this_librarys_own_solver(tmp_path: Path, written: Path) -> None:
    """The real network, three updates of a few pictures: the same bits."""
    pictures = listed(written / "train.txt")
    codec = create_codec("pillow", "exact")
    data = np.stack([preprocess(source, codec) for source, _ in pictures])
    labels = np.array([label for _, label in pictures])
    job = recipe_of(OPTIONS, len(pictures), (2, 1))
    assert (job.iterations, job.base_rate, job.step_size) == (3, 1e-4, 2)
    order = Order(len(pictures), job.batch_size, job.seed)
    rows = [order.rows(number) for number in range(job.iterations)]
    np.savez(tmp_path / "given.npz", data=[data[row] for row in rows], labels=[labels[row] for row in rows])
    place = shutil.copytree(written, tmp_path / "caffe")
    script = f"import os; os.chdir({str(place)!r})\n{IN_PYCAFFE}"
    child = run(
        "-c", script, tmp_path / "given.npz", environment={"OPENBLAS_NUM_THREADS": "1", "GLOG_minloglevel": "2"}
    )
    assert child.returncode == 0, child.stderr
    found, accuracy = json.loads(child.stdout)
    assert found == own_losses(tmp_path / "own", written, data, labels, job)
    assert len(set(found)) == 3
    assert accuracy in (0, 0.5, 1)
    assert (place / "snapshot_iter_3.caffemodel").exists()


def test_the_network_reads_lists_or_is_fed(written: Path) -> None:
    network = read_prototxt(written / "train_val.prototxt")
    train, test, *fed = (layer for layer in network.layer if layer.type in ("ImageData", "Input"))
    for layer, phase, source, size in ((train, TRAIN, "train.txt", 2), (test, TEST, "test.txt", 7)):
        (rule,) = layer.include
        assert (rule.phase, list(rule.not_stage)) == (phase, ["fed"])
        assert list(layer.top) == ["data", "label"]
        reading = layer.image_data_param
        assert (reading.source, reading.batch_size, reading.shuffle) == (source, size, phase == TRAIN)
        assert (reading.new_height, reading.new_width) == (256, 256)
        assert layer.transform_param.crop_size == 224
        assert layer.transform_param.mirror == (phase == TRAIN)
        assert list(layer.transform_param.mean_value) == [104, 117, 123]
    assert [(layer.name, list(layer.include[0].stage)) for layer in fed] == [("data", ["fed"]), ("label", ["fed"])]
    assert learning(written) == {
        layer.name for layer in network.layer if layer.type in ("Convolution", "Scale", "InnerProduct")
    }


def test_lists_have_the_split_and_the_solver_tests_it_once(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == FILES
    train, test = listed(written / "train.txt"), listed(written / "test.txt")
    assert (len(train), len(test)) == (18, 7)
    for source, label in train + test:
        assert Path(source).is_absolute()
        assert Path(source).parent.name == ("sfw", "nsfw")[label]
    solver = (written / "solver.prototxt").read_text()
    for line in ('net: "train_val.prototxt"', "test_iter: 1", "max_iter: 3", "base_lr: 0.0001", 'lr_policy: "step"'):
        assert f"\n{line}\n" in solver
    readme = (written / "README.md").read_text()
    assert "caffe train --solver=solver.prototxt --weights=start.caffemodel\n" in readme
    assert "| 1 | nsfw | 11 | 4 |" in readme
    assert (
        """text = open("solver.prototxt").read() + 'train_state { stage: "fed" } test_state { stage: "fed" }'"""
        in readme
    )


def test_class_weights_are_what_infogain_loss_reads(tmp_path: Path, written: Path) -> None:
    blob = BlobProto.FromString((written / "class_weights.binaryproto").read_bytes())
    assert list(blob.shape.dim) == [1, 1, 2, 2]
    assert blob_values(blob) == pytest.approx([18 / (2 * 7), 0, 0, 18 / (2 * 11)])
    options = TrainingOptions(layers="last", batch_size=2, iterations=3, class_weights="none")
    write_prototxts(written.parent / "data", tmp_path / "caffe", options=options)
    assert not (tmp_path / "caffe" / "class_weights.binaryproto").exists()
    (loss,) = [
        layer for layer in read_prototxt(tmp_path / "caffe" / "train_val.prototxt").layer if layer.name == "loss"
    ]
    assert loss.type == "SoftmaxWithLoss"
    assert learning(tmp_path / "caffe") == {"fc_nsfw"}


def test_weights_are_the_originals_and_a_new_last_layer_for_other_classes(
    tmp_path: Path, written: Path, model_files: ModelFiles
) -> None:
    def layers(path: Path) -> dict[str, LayerParameter]:
        return {layer.name: layer for layer in read_caffemodel(path).layer if layer.blobs}

    data = labelled(tmp_path / "data", 10, ("blue", "red", "green"))
    found = write_prototxts(data, tmp_path / "caffe", options=OPTIONS)
    assert found.classes == ("blue", "green", "red")
    assert found.trained_on == dict.fromkeys(found.classes, 7)
    original, same, other = (
        layers(path / name)
        for path, name in (
            (model_files.caffemodel.parent, model_files.caffemodel.name),
            (written, "start.caffemodel"),
            (tmp_path / "caffe", "start.caffemodel"),
        )
    )
    assert list(same) == list(original)
    for name, layer in same.items():
        assert [blob.data for blob in layer.blobs] == [blob.data for blob in original[name].blobs]
    assert list(other) == [*[*original][:-1], "fc_nsfw_3"]
    network = text_format.Parse((tmp_path / "caffe" / "deploy.prototxt").read_text(), NetParameter())
    assert [layer.inner_product_param.num_output for layer in network.layer if layer.name == "fc_nsfw_3"] == [3]


def test_what_caffe_could_not_read_is_left_out_and_told(tmp_path: Path, model_files: ModelFiles) -> None:  # noqa: ARG001
    data = labelled(tmp_path / "data", 11)
    with zipfile.ZipFile(data / "red.zip", "w") as archive:
        archive.write(draw(tmp_path / "packed.png", 0, 99), "packed.png")
    with Image.open(draw(tmp_path / "still.png", 0, 98)) as picture:
        picture.save(data / "red" / "still.gif")
    draw(data / "blue" / "two\nlines.png", 2, 97)
    draw(data / "blue" / "a space.png", 2, 96)
    (data / "blue" / "broken.png").write_bytes(b"no picture")
    child = command("train", data, "--write-prototxts", tmp_path / "caffe", "--seed", "2")
    assert child.returncode == 1
    for told in (
        "red.zip!packed.png: in an archive, of which Caffe reads nothing",
        "still.gif: GIF is not read by every OpenCV",
        "two\\x0alines.png: its name has a line break",
        "broken.png: not in any picture format",
    ):
        assert told in child.stderr
    assert "left out 1 unreadable, 3 that Caffe could not read, 0 repeated" in child.stdout
    pictures = listed(tmp_path / "caffe" / "train.txt") + listed(tmp_path / "caffe" / "test.txt")
    assert len(pictures) == 23
    assert (str(data / "blue" / "a space.png"), 0) in pictures


def test_weights_that_fit_nothing_are_refused(tmp_path: Path, written: Path) -> None:
    weights = tmp_path / "none.caffemodel"
    weights.write_bytes(NetParameter(name="n", layer=[LayerParameter(name="x", type="ReLU")]).SerializeToString())
    with pytest.raises(TrainingError, match=r"none\.caffemodel.*0 of 159 layers find their weights"):
        write_prototxts(written.parent / "data", tmp_path / "caffe", options=TrainingOptions(weights=weights))
    assert not (tmp_path / "caffe").exists()


def test_scales_that_image_data_has_not_are_refused(tmp_path: Path, written: Path) -> None:
    with pytest.raises(TrainingError, match="ImageData resizes all pictures alike"):
        write_prototxts(written.parent / "data", tmp_path / "caffe", options=TrainingOptions(scales=(256, 480)))
    write_prototxts(written.parent / "data", tmp_path / "caffe", options=TrainingOptions(scales=(300, 300)))
    assert "new_height: 300\n" in (tmp_path / "caffe" / "train_val.prototxt").read_text()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, written: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"holds notes\.txt"):
        write_prototxts(written.parent / "data", tmp_path)
    (tmp_path / "empty").mkdir()
    write_prototxts(written.parent / "data", tmp_path / "empty", options=OPTIONS)
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == FILES
    with pytest.raises(TrainingError, match="cannot be written"):
        write_prototxts(written.parent / "data", tmp_path / "notes.txt" / "caffe")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "one of the arguments -o/--output --write-prototxts is required"),
        (("-o", "a", "--write-prototxts", "b"), "not allowed with argument"),
        (("--write-prototxts", "b", "--resume"), "nothing is trained with --write-prototxts"),
    ],
)
def test_wrong_usage_is_told(arguments: tuple[str, ...], message: str) -> None:
    child = command("train", "data", *arguments)
    assert (child.returncode, message in child.stderr) == (2, True), child.stderr
