from __future__ import annotations

import dataclasses
import gc
import io
import itertools
import pickle
import re
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nsfw_caffe
from nsfw_caffe import Classifier, EngineUnavailable, ImageError, ModelError, NsfwCaffeError, Result, ScoringOptions
from nsfw_caffe.options import ENGINES, EngineName
from nsfw_caffe.preprocessing.steps import Source, describe
from tests.support import PHOTOS, needs_atlas, run

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "retina.jpg", "text.png")
PATHS = [PHOTOS / name for name in NAMES]


def test_score_is_the_unrounded_float32(classifier: Classifier) -> None:
    score = classifier.classify(PATHS[0])
    assert type(score) is float
    assert float(np.float32(score)) == score
    assert 0.0317 < score < 0.0318


def test_batch_equals_one_by_one(classifier: Classifier) -> None:
    one_by_one = [classifier.classify(path) for path in PATHS]
    assert len(set(one_by_one)) == len(PATHS)
    assert classifier.classify_batch(PATHS) == one_by_one
    assert classifier.classify_batch(iter(PATHS)) == one_by_one
    assert classifier.classify_batch([]) == []


def test_batch_of_mixed_sources(classifier: Classifier) -> None:
    path = PHOTOS / "astronaut.png"
    sources: list[Source] = [path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes()), Image.open(path)]
    sources.append(np.asarray(Image.open(path)))
    assert classifier.classify_batch(sources) == [classifier.classify(path)] * len(sources)


def test_batch_names_the_bad_source_and_its_index(classifier: Classifier) -> None:
    with pytest.raises(ImageError, match=r"^source 1: /missing\.jpg: cannot be read \(No such file or directory\)$"):
        classifier.classify_batch([PATHS[0], "/missing.jpg", PATHS[1]])


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_scan_is_tolerant_and_in_order(classifier: Classifier, workers: int) -> None:
    sources: list[Source] = [PATHS[0], "/missing.jpg", b"", PATHS[1]]
    results = list(classifier.scan(sources, workers=workers))
    assert [result.source for result in results] == sources
    assert [result.score for result in results] == [
        classifier.classify(PATHS[0]), None, None, classifier.classify(PATHS[1])
    ]  # fmt: skip
    assert [result.error for result in results] == [
        None, "/missing.jpg: cannot be read (No such file or directory)", "<0 bytes>: the file is empty", None
    ]  # fmt: skip
    assert all(0.001 < result.seconds < 60 for result in results if result.score is not None)


def test_scan_reads_sources_as_it_goes(classifier: Classifier) -> None:
    endless = itertools.repeat(PATHS[0])
    assert len(list(itertools.islice(classifier.scan(endless), 2))) == 2


def test_result_is_frozen() -> None:
    result = Result("a.jpg", 0.5, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.score = 0.0  # type: ignore[misc]


@pytest.mark.parametrize("workers", [0, -1])
def test_scan_refuses_no_workers_at_the_call(classifier: Classifier, workers: int) -> None:
    with pytest.raises(ValueError, match=f"workers={workers}"):
        classifier.scan([], workers=workers)


@pytest.mark.parametrize(
    "source", ["a.jpg", Path("a.jpg"), b"data", io.BytesIO(b"data"), np.zeros((2, 2, 3), np.uint8)], ids=describe
)
def test_one_source_where_several_are_expected(classifier: Classifier, source: Any) -> None:
    with pytest.raises(TypeError, match="is one source: expected several"):
        classifier.classify_batch(source)
    with pytest.raises(TypeError, match="is one source: expected several"):
        classifier.scan(source)


def test_stays_usable_after_bad_sources(classifier: Classifier) -> None:
    before = classifier.classify(PATHS[0])
    for bad in ("/missing.jpg", b"", np.zeros((1, 1, 1), np.uint8)):
        with pytest.raises(ImageError):
            classifier.classify(bad)
    assert classifier.classify(PATHS[0]) == before


def test_module_functions_share_one_classifier(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    created = []
    original = Classifier.__init__

    def count(self: Classifier, **options: Any) -> None:
        created.append(self)
        original(self, **options)

    monkeypatch.setattr(Classifier, "__init__", count)
    nsfw_caffe.classifier._create_default.cache_clear()
    assert nsfw_caffe.classify(PATHS[0]) == classifier.classify(PATHS[0])
    assert nsfw_caffe.classify_batch(PATHS[:2]) == classifier.classify_batch(PATHS[:2])
    assert len(created) == 1


def test_auto_takes_caffe(classifier: Classifier) -> None:
    assert Classifier().engine == "caffe" == classifier.engine


@pytest.mark.parametrize(
    "options",
    [
        {"engine": "tensorflow"},
        {"device": "cuda"},
        {"device": "gpu:"},
        {"device": "gpu:-1"},
        {"jpeg": "mozjpeg"},
        {"precision": "int8"},
        {"threads": 0},
    ],
    ids=repr,
)
def test_unknown_option(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}: expected"):
        Classifier(**options)


def test_one_file_of_two() -> None:
    with pytest.raises(ModelError, match="both"):
        Classifier(prototxt="my.prototxt")


def test_error_tree() -> None:
    assert all(issubclass(error, NsfwCaffeError) for error in (ModelError, ImageError, EngineUnavailable))
    assert issubclass(ImageError, ValueError)


def test_public_names() -> None:
    assert set(nsfw_caffe.__all__) == {
        "Classifier", "EngineUnavailable", "Explanation", "ImageError", "Limits", "ModelError", "NsfwCaffeError",
        "Record", "Result", "ScanResult", "ScoreError", "ScoringOptions", "TrainingError", "TrainingOptions",
        "TrainingResult", "VideoError", "VideoResult", "__version__", "classify", "classify_batch", "evaluate",
        "explain", "networks", "read_results", "scan", "spark", "train", "training",
    }  # fmt: skip
    assert all(hasattr(nsfw_caffe, name) for name in nsfw_caffe.__all__)


def test_import_loads_no_engine_and_no_network_code() -> None:
    heavy = "{'caffe', 'skimage', 'google', 'urllib.request', 'tqdm', 'jpeglib', 'onnxruntime', 'subprocess'}"
    child = run("-c", f"import nsfw_caffe, sys; print(sorted({heavy} & set(sys.modules)))")
    assert child.stdout == "[]\n"


@pytest.mark.linux
def test_published_after_another_blas_says_why() -> None:
    child = run(
        "-c",
        "import nsfw_caffe\n"
        "nsfw_caffe.Classifier(engine='caffe')\n"
        "try: nsfw_caffe.Classifier.published()\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)",
    )
    assert "computes with openblas" in child.stdout
    assert "in a process of its own" in child.stdout


@pytest.mark.linux
@needs_atlas
def test_published_twice_in_a_process() -> None:
    child = run(
        "-c",
        "import nsfw_caffe\n"
        "import sys\n"
        "scores = [nsfw_caffe.Classifier.published().classify(sys.argv[1]) for _ in range(2)]\n"
        "print(scores[0] == scores[1] > 0)",
        PATHS[0],
    )
    assert child.stdout == "True\n", child.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_closed(engine: EngineName) -> None:
    with Classifier(engine=engine) as own:
        expected = own.classify_batch(PATHS[:2], workers=2)
        engines = [weakref.ref(each) for each in own._engines._engines.values()]
        pickled = pickle.dumps(own)
        again = pickle.loads(pickled)
        again.close()
    gc.collect()
    assert [each() for each in engines] == [None] * len(engines)
    assert own.closed
    own.close()
    for use in (lambda: own.classify(PATHS[0]), lambda: own.classify_batch(PATHS[:2]), lambda: own.scan(PATHS)):
        with pytest.raises(ValueError, match=r"^this Classifier is closed: make a new one$"):
            use()
    # What is unpickled later is not the one that was closed.
    assert pickle.loads(pickled).classify_batch(PATHS[:2]) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_no_engine_is_kept_that_nobody_uses(engine: EngineName) -> None:
    own = Classifier(engine=engine)
    expected = own.classify_batch(PATHS[:3], workers=2)
    kept = {"caffe": [], "onnxruntime": [2], "openvino": [2]}[engine]  # Caffe's are in the worker processes
    assert list(own._engines._engines) == kept
    assert [own.classify(path) for path in PATHS[:3]] == expected
    assert own.classify_batch(PATHS[:3], workers=2) == expected
    assert sorted(own._engines._engines) == sorted([1, *kept])


@pytest.mark.linux
def test_repr() -> None:
    assert re.fullmatch(
        r"Classifier\(engine='caffe', blas='OpenBLAS [0-9.]+ \w+', "
        r"jpeg='pillow [0-9.]+ \(libjpeg-turbo [0-9.]+\)', model='74b7c037\.\.\.'\)",
        repr(Classifier(engine="caffe")),
    )
    portable = repr(Classifier(engine="onnxruntime", decode="fast", threads=2))
    assert portable.startswith("Classifier(engine='onnxruntime', jpeg=")
    assert portable.endswith(", decode='fast', threads=2)")


@pytest.mark.linux
def test_options_are_what_it_was_made_from() -> None:
    made = Classifier(engine="onnxruntime", threads=1)
    assert made.options == ScoringOptions(engine="onnxruntime", threads=1)
    assert Classifier.from_options(made.options).options == made.options
    assert Classifier().options == ScoringOptions(engine="caffe")


@pytest.mark.linux
@needs_atlas
def test_published_with_the_jpeg_library_of_pillow() -> None:
    code = (
        "import nsfw_caffe, sys\n"
        "own = nsfw_caffe.Classifier.published(jpeg='pillow')\n"
        "print(own.options == nsfw_caffe.ScoringOptions(engine='caffe', blas='atlas'), own.classify(sys.argv[1]))"
    )
    assert run("-c", code, PATHS[0]).stdout == "True 0.03170223906636238\n"  # recorded.json: pillow, atlas


@pytest.mark.linux
def test_auto_takes_no_other_engine_for_one_that_is_broken(tmp_path: Path) -> None:
    (tmp_path / "caffe.py").write_text("raise ImportError('libcudart.so.11.0: cannot open shared object file')")
    code = (
        "import nsfw_caffe\n"
        "try: print(nsfw_caffe.Classifier())\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)"
    )
    said = run("-c", code, environment={"PYTHONPATH": str(tmp_path)}).stdout
    assert said.startswith("Caffe: caffe is installed but cannot be loaded: libcudart.so.11.0: ")
    assert said.endswith("'auto' takes no other engine in its place: name one to have its scores\n")


def test_auto_logs_its_choice(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level("INFO", logger="nsfw_caffe")
    monkeypatch.setitem(sys.modules, "caffe", None)
    assert Classifier().engine == "onnxruntime"
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("nsfw_caffe.engines.base", "INFO")
    assert record.message.startswith("engine 'auto' is onnxruntime; not Caffe: import of caffe halted")
