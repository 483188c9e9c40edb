from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nsfw_caffe
from nsfw_caffe.errors import TrainingError
from nsfw_caffe.model.network import read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import EngineName, ScoringOptions
from nsfw_caffe.training import TrainingOptions, TrainingResult, features, means, train
from nsfw_caffe.training.features import cut
from nsfw_caffe.training.result import THRESHOLD
from tests.cli.running import call
from tests.support import made_once
from tests.support import nsfw_caffe as command
from tests.training.pictures import labelled

QUICK = TrainingOptions(iterations=300, decay=0.01)
SCORING = ScoringOptions(engine="onnxruntime")


def quick(data: Path, output: Path, **asked: Any) -> TrainingResult:
    usual: dict[str, Any] = {"options": QUICK, "scoring": SCORING}
    return train(data, output, **(usual | asked))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Path:  # noqa: ARG001 - fetched first
    def make(folder: Path) -> None:
        quick(labelled(folder / "data"), folder / "model")

    return made_once(tmp_path_factory, "trained", make)


def sha256(folder: Path) -> str:
    return str(json.loads((folder / "model.json").read_text())["caffemodel"]["sha256"])


def test_it_learns_what_is_shown(tmp_path: Path, trained: Path) -> None:
    result = quick(trained / "data", tmp_path / "mine")
    assert result.classes == ("blue", "red")
    assert result.score_class == "red"
    assert result.after.roc.auc == 1
    assert result.accuracy.value == 1
    assert result.before is not None
    assert result.before.roc.auc == 1  # these, the original's score orders too
    assert result.accuracy_before is not None
    assert result.accuracy_before.value == 0.5  # but calls none of them nsfw
    assert result.gain_is_chance
    assert result.majority == 0.5
    assert result.held_out == {"blue": 3, "red": 3}
    assert [step.number for step in result.history] == list(range(1, 301))
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md",
        "deploy.prototxt",
        "held_out.csv",
        "mine.caffemodel",
        "model.json",
        "report.html",
    ]
    for name in ("README.md", "report.html"):
        assert f"{result.before.roc.auc_interval.low:.4f} to" in (tmp_path / "mine" / name).read_text()
    with nsfw_caffe.Classifier(model=tmp_path / "mine", engine="onnxruntime") as classifier:
        scores = [classifier.classify(source) for source in result.pictures.sources]
    assert np.abs(result.pictures.after[:, 1] - scores).max() < 5e-6
    assert [result.classes[label] for label in result.pictures.labels] == [
        Path(source).parent.name for source in result.pictures.sources
    ]
    assert sha256(tmp_path / "mine") == sha256(trained / "model")


@pytest.mark.parametrize("engine", ["caffe", "onnxruntime", "openvino"])
def test_each_engine_takes_the_model(trained: Path, engine: EngineName) -> None:
    with nsfw_caffe.Classifier(model=trained / "model", engine=engine) as classifier:
        assert classifier.classify(trained / "data" / "red" / "000.png") > 0.9
        assert classifier.classify(trained / "data" / "blue" / "000.png") < 0.1


def test_features_are_the_same_in_each_engine_and_in_the_whole_network(
    tmp_path: Path, trained: Path, model_files: ModelFiles
) -> None:
    from nsfw_caffe.engines.base import create_engine
    from nsfw_caffe.engines.caffe import import_caffe
    from nsfw_caffe.preprocessing.jpeg import create_codec
    from nsfw_caffe.preprocessing.steps import preprocess

    network = cut(model_files.prototxt)
    prototxt = tmp_path / "cut.prototxt"
    prototxt.write_text(network.text)
    tensor = preprocess(trained / "data" / "red" / "000.png", create_codec("pillow", "exact"))[np.newaxis]
    files = ModelFiles(prototxt, model_files.caffemodel, original=False, features=network.width)
    engines: tuple[EngineName, ...] = ("caffe", "onnxruntime", "openvino")
    found = {name: create_engine(files, ScoringOptions(engine=name)).forward(tensor) for name in engines}
    caffe = import_caffe()
    whole = caffe.Net(str(model_files.prototxt), caffe.TEST, weights=str(model_files.caffemodel))
    whole.blobs["data"].data[...] = tensor
    whole.forward()
    assert network.width == 1024
    assert (found["caffe"].ravel() == whole.blobs["pool"].data.ravel()).all()
    for name in engines:
        assert np.abs(found[name] - found["caffe"]).max() < 1e-4


@pytest.mark.parametrize("stop_at", [1, 13, 31])
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path: Path, trained: Path, stop_at: int) -> None:
    seen = []

    def stop(what: str, done: int, total: int | None) -> None:  # noqa: ARG001
        seen.append(what)
        if what == "features" and done == stop_at:
            raise KeyboardInterrupt

    output = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        quick(trained / "data", output, progress=stop)
    with pytest.raises(TrainingError, match="was stopped: go on with it"):
        quick(trained / "data", output)
    with pytest.raises(TrainingError, match="was stopped, with another options"):
        quick(trained / "data", output, resume=True, options=TrainingOptions(iterations=20))
    again: list[int] = []
    quick(
        trained / "data", output, resume=True, progress=lambda what, done, _: again.append(done * (what == "features"))
    )
    assert sum(map(bool, again)) == 32 - stop_at
    assert sha256(output) == sha256(trained / "model")


def test_other_data_is_refused_when_going_on(tmp_path: Path, trained: Path) -> None:
    data = shutil.copytree(trained / "data", tmp_path / "data")

    def stop(what: str, done: int, total: int | None) -> None:  # noqa: ARG001
        if what == "features":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(data, tmp_path / "model", progress=stop)
    (data / "red" / "000.png").unlink()
    with pytest.raises(TrainingError, match="was stopped, with another data"):
        quick(data, tmp_path / "model", resume=True)


def test_other_weights_of_the_same_name_are_refused_when_going_on(
    tmp_path: Path, trained: Path, model_files: ModelFiles
) -> None:
    weights = Path(shutil.copy(model_files.caffemodel, tmp_path / "mine.caffemodel"))
    asked = TrainingOptions(iterations=300, decay=0.01, weights=weights)

    def stop(what: str, done: int, total: int | None) -> None:  # noqa: ARG001
        if what == "features":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(trained / "data", tmp_path / "model", options=asked, progress=stop)
    with weights.open("ab") as file:
        file.write(NetParameter(name="other").SerializeToString())
    with pytest.raises(TrainingError, match="was stopped, with another weights: give the same again"):
        quick(trained / "data", tmp_path / "model", options=asked, resume=True)


def test_without_its_report_there_is_no_model(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> dict[str, bytes]:
        raise MemoryError

    output = tmp_path / "model"
    with monkeypatch.context() as patched:
        patched.setattr("nsfw_caffe.training.output.files_to_read", fail)
        with pytest.raises(MemoryError):
            quick(trained / "data", output)
    assert [path.name for path in output.iterdir()] == [".training"]
    quick(trained / "data", output, resume=True)
    assert sha256(output) == sha256(trained / "model")
    assert (output / "report.html").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, trained: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"holds notes.txt"):
        quick(trained / "data", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_three_classes_need_a_word_on_the_score(tmp_path: Path, model_files: ModelFiles) -> None:  # noqa: ARG001
    data = labelled(tmp_path / "data", 12, ("blue", "red", "green"))
    with pytest.raises(TrainingError, match="say which one the score is of"):
        quick(data, tmp_path / "model")
    options = TrainingOptions(iterations=300, decay=0.01, score_class="green")
    result = quick(data, tmp_path / "model", options=options)
    assert (result.classes, result.score_class) == (("blue", "green", "red"), "green")
    assert result.accuracy.value == 1
    with nsfw_caffe.Classifier(model=tmp_path / "model", engine="caffe") as classifier:
        assert classifier.classify(data / "green" / "000.png") > 0.8


def test_pictures_that_go_meanwhile_are_left_out(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(trained / "data", tmp_path / "data")
    compute = features.compute

    def compute_later(*arguments: Any) -> None:
        (data / "red" / "000.png").unlink()
        (data / "blue" / "000.png").write_bytes(b"something else")
        compute(*arguments)

    monkeypatch.setattr(means, "compute", compute_later)
    result = quick(data, tmp_path / "model")
    assert dict(result.failures) == {
        str(data / "red" / "000.png"): "it has gone since it was read first",
        str(data / "blue" / "000.png"): "it has changed since it was read first",
    }


def test_weights_that_fit_nothing_are_refused(tmp_path: Path, trained: Path) -> None:
    weights = tmp_path / "none.caffemodel"
    weights.write_bytes(NetParameter(name="n", layer=[LayerParameter(name="x", type="ReLU")]).SerializeToString())
    options = TrainingOptions(weights=weights)
    with pytest.raises(nsfw_caffe.NsfwCaffeError, match="0 of 159 layers find their weights in it"):
        quick(trained / "data", tmp_path / "model", options=options)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("Scale", "the last layer that learns is 'end' of type Scale; it has to be InnerProduct or Convolution"),
        ("Power", "after layer 'conv10' there has to be ReLU, Pooling, Softmax and nothing else"),
    ],
)
def test_a_network_that_ends_otherwise_is_refused(tmp_path: Path, end: str, message: str) -> None:
    path = tmp_path / "net.prototxt"
    added = f'layer {{ name: "end" type: "{end}" bottom: "prob" top: "end" }}'
    path.write_text(nsfw_caffe.networks.build("squeezenet1_1") + added)
    with pytest.raises(TrainingError, match=message):
        cut(path)


def test_a_full_disk_is_one_clear_error(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, size: int) -> None:  # noqa: ARG001
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features, "take_room", full)
    with pytest.raises(TrainingError, match="No space left on device"):
        quick(trained / "data", tmp_path / "model")


def test_the_deployed_network_has_the_classes(trained: Path) -> None:
    (last,) = [layer for layer in read_prototxt(trained / "model" / "deploy.prototxt").layer if layer.name == "fc_nsfw"]
    assert last.inner_product_param.num_output == 2
    details = json.loads((trained / "model" / "model.json").read_text())["training"]
    assert details["measures"]["after"]["auc"] == 1
    assert THRESHOLD == 0.5


def test_the_command_says_what_was_learned(tmp_path: Path, trained: Path) -> None:
    data = shutil.copytree(trained / "data", tmp_path / "data")
    (data / "red" / "broken.png").write_bytes(b"no picture")
    arguments = ("--iterations", "300", "--engine", "onnxruntime")
    child = command("train", data, "-o", tmp_path / "model", *arguments)
    assert child.returncode == 1, child.stderr
    assert "broken.png: not in any picture format" in child.stderr
    assert "after   AUC 1.000" in child.stdout
    named = command("train", "--nsfw", data / "red", "--sfw", data / "blue", "-o", tmp_path / "other", *arguments)
    assert "classes sfw, nsfw" in named.stdout, named.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "what is to be learned?"),
        (("--nsfw", "x"), "give DATA, or both --nsfw and --sfw"),
        (("missing",), "there is no such folder"),
        (("missing", "--holdout", "2"), "holdout=2.0"),
        (("missing", "--iterations", "1", "--epochs", "1"), "not allowed with"),
    ],
)
def test_wrong_usage_is_told(
    tmp_path: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    child = call(capsys, "train", *arguments, "-o", tmp_path / "model")
    assert child.returncode == 2
    assert message in child.stderr
    assert not (tmp_path / "model").exists()
