"""Model folders in the real engines: the original's files as one, and a network of three classes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import nsfw_caffe
from nsfw_caffe import Classifier, ModelError, ScoreError
from nsfw_caffe.engines.base import score_of
from nsfw_caffe.model.folder import write_model_folder
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ENGINES, EngineName
from nsfw_caffe.reloading import made_again
from tests.engines.test_caffe import SMALL, write
from tests.model.folders import CLASSES, of_original, of_three_classes
from tests.support import PHOTOS, made_once, run

NAMES = ("coffee.png", "rocket.jpg", "text.png", "chelsea.png", "astronaut.png", "camera.png")
PATHS = [PHOTOS / name for name in NAMES]

TOLERANCE = 5e-6
"""What the engines promise; 4e-7 was seen."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Path:
    """Return the original's two files as a model folder."""
    return of_original(tmp_path_factory.mktemp("original") / "original", model_files).path


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder of three classes."""
    return made_once(tmp_path_factory, "three", lambda folder: of_three_classes(folder / "mine")) / "mine"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_originals_files_give_the_originals_bits(engine: EngineName, original: Path) -> None:
    published, own = Classifier(engine=engine), Classifier(engine=engine, model=original)
    assert own.classify_batch(PATHS, workers=1) == published.classify_batch(PATHS, workers=1)
    assert own.model_sha256 == published.model_sha256
    assert (own.classes, own.score_class) == (published.classes, published.score_class) == (("sfw", "nsfw"), "nsfw")
    for sfw in (
        Classifier(engine=engine, model=original, score_class="sfw"),
        Classifier(engine=engine, score_class="sfw"),
    ):
        assert sfw.model_sha256 != own.model_sha256
        sums = np.add(sfw.classify_batch(PATHS[:2]), own.classify_batch(PATHS[:2]))
        assert np.abs(sums - 1).max() < 1e-6
        assert "score_class='sfw'" in repr(sfw)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_classes_of_other_names(engine: EngineName, tmp_path: Path) -> None:
    files = write(tmp_path, SMALL)
    pair = Classifier(engine=engine, prototxt=files.prototxt, caffemodel=files.caffemodel)
    things = write_model_folder(tmp_path / "mine", SMALL, files.caffemodel, ("animals", "things")).path
    nsfw = write_model_folder(tmp_path / "other", SMALL, files.caffemodel, ("nsfw", "sfw")).path
    expected = pair.classify_batch(PATHS)
    assert Classifier(engine=engine, model=things).classify_batch(PATHS) == expected
    first = Classifier(engine=engine, model=nsfw)
    assert (first.score_class, first.classify_batch(PATHS) == expected) == ("nsfw", False)
    assert Classifier(engine=engine, model=things, score_class="animals").classify_batch(PATHS) == first.classify_batch(
        PATHS
    )


@pytest.mark.linux
@pytest.mark.slow
def test_three_classes_in_every_engine(three: Path) -> None:
    def scores(engine: EngineName, name: str) -> list[float]:
        with Classifier(engine=engine, model=three, score_class=name) as classifier:
            assert (classifier.classes, classifier.score_class) == (CLASSES, name)
            return classifier.classify_batch(PATHS, workers=1)

    found = np.array([[scores(engine, name) for name in CLASSES] for engine in ENGINES])
    assert 0.001 < found.min() < found.max() < 0.999
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-6  # each class has its own output
    assert np.abs(found - found[0]).max() <= TOLERANCE
    assert min(np.abs(found[0][one] - found[0][other]).max() for one, other in ((0, 1), (1, 2), (0, 2))) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_workers_give_the_same_class(engine: EngineName, three: Path) -> None:
    classifier = Classifier(engine=engine, model=three, score_class="dogs")
    alone, together = (classifier.classify_batch(PATHS, workers=workers) for workers in (1, 2))
    assert alone == together


@pytest.mark.slow
def test_a_class_has_to_be_chosen_of_three(three: Path) -> None:
    with pytest.raises(ModelError, match=r"has the classes cats, dogs, red things: say which one the score is of"):
        Classifier(engine="onnxruntime", model=three)
    with pytest.raises(ModelError, match="there is no class 'birds'; the classes are cats, dogs, red things"):
        Classifier(engine="onnxruntime", model=three, score_class="birds")


@pytest.mark.parametrize("engine", ENGINES)
def test_more_or_fewer_outputs_than_classes(engine: EngineName, tmp_path: Path) -> None:
    files = write(tmp_path, SMALL)
    folder = write_model_folder(tmp_path / "mine", SMALL, files.caffemodel, CLASSES).path
    with pytest.raises(ModelError, match=r"expected an output of shape \(n, 3\), found \((n|1), 2\)"):
        Classifier(engine=engine, model=folder, score_class="cats")


@pytest.mark.parametrize("engine", ENGINES)
def test_three_outputs_without_a_softmax(engine: EngineName, tmp_path: Path) -> None:
    text = SMALL.replace("num_output: 2", "num_output: 3").rpartition("layer {")[0]
    folder = write_model_folder(tmp_path / "mine", text, write(tmp_path, text, outputs=3).caffemodel, CLASSES).path
    with pytest.raises(ModelError, match="not 3 probabilities that sum to 1: the network needs a Softmax"):
        Classifier(engine=engine, model=folder, score_class="cats")


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ((0.5, 0.25, 0.2), "0.5, 0.25 and 0.2, not 3 probabilities"),
        ((0.5, float("nan"), 0.5), "0.5, nan and 0.5, not 3"),
        ((1.5, -0.25, -0.25), "1.5, -0.25 and -0.25, not 3"),
        ((0.0,) * 1000, "0, 0, 0, 0, 0 and ..., not 1000 probabilities"),
    ],
)
def test_no_probabilities(output: tuple[float, ...], shown: str) -> None:
    with pytest.raises(ScoreError, match=shown):
        score_of(np.array(output, np.float32))


@pytest.mark.parametrize("classes", [2, 3, 1000])
def test_each_class_has_its_probability(classes: int) -> None:
    logits = np.random.default_rng(0).normal(0, 5, classes).astype(np.float32)
    output = np.exp(logits) / np.exp(logits).sum()
    assert [score_of(output, scored) for scored in range(classes)] == output.tolist()


def test_a_model_and_two_files(original: Path, model_files: ModelFiles) -> None:
    with pytest.raises(ModelError, match="give a model folder, or prototxt and caffemodel, not both"):
        Classifier(model=original, prototxt=model_files.prototxt, caffemodel=model_files.caffemodel)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pickle_has_the_folder_and_the_class(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caffemodel = write(tmp_path, SMALL).caffemodel
    folder = write_model_folder(tmp_path / "mine", SMALL, caffemodel, ("animals", "things")).path
    monkeypatch.chdir(tmp_path)
    classifier = Classifier(engine=engine, model="mine", score_class="animals")
    pickled = pickle.dumps(classifier)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).classify_batch(sys.argv[1:]))"
    monkeypatch.chdir("/")
    child = run("-c", code, *PATHS[:2], stdin=pickled)
    assert child.stdout == f"{classifier.classify_batch(PATHS[:2])}\n", child.stderr
    # The classes, exchanged, would give the other one's score.
    description = folder / "model.json"
    described = json.loads(description.read_text())
    described["classes"].reverse()
    description.write_text(json.dumps(described))
    made_again.cache_clear()
    with pytest.raises(ModelError, match="hold something else"):
        pickle.loads(pickled)


@pytest.mark.linux
def test_one_conversion_for_all_classes(tmp_path: Path) -> None:
    caffemodel = write(tmp_path, SMALL).caffemodel
    folder = write_model_folder(tmp_path / "mine", SMALL, caffemodel, ("animals", "things")).path
    for name in ("animals", "things"):
        Classifier(engine="onnxruntime", model=folder, score_class=name)
    assert len(list(folder.glob("*.onnx"))) == 1
    Classifier(engine="openvino", model=folder)  # which minds no further file


def test_results_are_of_one_class(original: Path, portable: Classifier, tmp_path: Path) -> None:
    results = tmp_path / "results.csv"
    sources = [str(path) for path in PATHS[:2]]
    nsfw_caffe.scan(sources, results, classifier=portable)
    own = Classifier(engine="onnxruntime", model=original)
    assert nsfw_caffe.scan(sources, results, classifier=own).known == 2  # it is the same model
    sfw = Classifier(engine="onnxruntime", model=original, score_class="sfw")
    with pytest.raises(nsfw_caffe.NsfwCaffeError, match=r"was made with model=.* with model="):
        nsfw_caffe.scan(sources, results, classifier=sfw)
    assert sfw.model_sha256 not in {record.model for record in nsfw_caffe.read_results(results)}
