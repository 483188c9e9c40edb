"""A Classifier pickles as its options, and is made again where it is unpickled."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path

import pytest

from nsfw_caffe import Classifier, EngineUnavailable, ModelError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ENGINES, EngineChoice
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.reloading import made_again
from tests.engines.test_caffe import SMALL, write
from tests.support import PHOTOS, needs_atlas, run

PATHS = [str(PHOTOS / name) for name in ("coffee.png", "rocket.jpg", "text.png", "chelsea.png")]

UNPICKLE = "import pickle, sys; again = pickle.load(sys.stdin.buffer)\n"


@pytest.mark.parametrize("engine", ENGINES)
def test_another_process_gives_the_same_bits(engine: EngineChoice) -> None:
    pickled = pickle.dumps(Classifier(engine=engine))
    assert len(pickled) < 1000  # no weights
    expected = [Classifier(engine=engine).classify(path) for path in PATHS]
    child = run("-c", f"{UNPICKLE}print([again.classify(path) for path in sys.argv[1:]])", *PATHS, stdin=pickled)
    assert child.stdout == f"{expected}\n", child.stderr


def test_every_option_is_pickled(model_files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (model_files.prototxt, model_files.caffemodel):
        (tmp_path / path.name).symlink_to(path.resolve())
    monkeypatch.chdir(tmp_path)
    options = {
        "engine": "onnxruntime",
        "device": "cpu",
        "prototxt": model_files.prototxt.name,
        "caffemodel": model_files.caffemodel.name,
        "model": None,
        "score_class": "sfw",
        "jpeg": "pillow",
        "decode": "fast",
        "precision": "float32",
        "blas": "system",
        "threads": 1,
        "limits": Limits(pixels=5_000_000),
    }
    assert set(options) == set(inspect.signature(Classifier).parameters)
    classifier = Classifier(**options)  # type: ignore[arg-type]
    monkeypatch.chdir("/")  # the paths are the same elsewhere
    again = pickle.loads(pickle.dumps(classifier))
    paths = {name: str(tmp_path / str(options[name])) for name in ("prototxt", "caffemodel")}
    assert vars(again.options) | again._model == options | paths
    assert again.classify(PATHS[0]) == classifier.classify(PATHS[0])


def test_auto_is_the_engine_that_it_has_chosen() -> None:
    code = (
        "import pickle, sys; sys.modules['caffe'] = None\n"
        "import nsfw_caffe\n"
        "sys.stdout.buffer.write(pickle.dumps(nsfw_caffe.Classifier(), 0))"
    )
    pickled = run("-c", code).stdout.encode()
    assert pickle.loads(pickled).engine == "onnxruntime"
    # Where it is missing, others are not taken.
    code = (
        "import pickle, sys; sys.modules['onnxruntime'] = None\n"
        "try: pickle.load(sys.stdin.buffer)\n"
        "except Exception as error: print(type(error).__name__)"
    )
    assert run("-c", code, stdin=pickled).stdout == "EngineUnavailable\n"


@needs_atlas
@pytest.mark.linux
def test_published() -> None:
    code = (
        "import pickle, sys, nsfw_caffe\n"
        "classifier = nsfw_caffe.Classifier.published()\n"
        "print(pickle.dumps(classifier).hex(), *map(classifier.classify, sys.argv[1:]))"
    )
    pickled, *expected = run("-c", code, *PATHS).stdout.split()
    child = run("-c", f"{UNPICKLE}print(*map(again.classify, sys.argv[1:]))", *PATHS, stdin=bytes.fromhex(pickled))
    assert child.stdout.split() == expected, child.stderr
    Classifier(engine="caffe")  # on OpenBLAS
    with pytest.raises(EngineUnavailable, match="need ATLAS, but this process computes with openblas"):
        pickle.loads(bytes.fromhex(pickled))


@needs_atlas
def test_openblas_is_not_replaced_by_atlas(classifier: Classifier) -> None:
    code = (
        "import pickle, sys, nsfw_caffe\n"
        "nsfw_caffe.Classifier.published()\n"
        "try: pickle.load(sys.stdin.buffer)\n"
        "except nsfw_caffe.EngineUnavailable as error: print(error)"
    )
    child = run("-c", code, stdin=pickle.dumps(classifier))
    assert child.stdout.startswith(
        "this Classifier was pickled where Caffe computes with openblas, and here that is atlas"
    )


def test_own_model_that_has_changed(tmp_path: Path) -> None:
    files = write(tmp_path, SMALL)
    classifier = Classifier(engine="onnxruntime", prototxt=files.prototxt, caffemodel=files.caffemodel)
    pickled = pickle.dumps(classifier)
    assert pickle.loads(pickled).classify(PATHS[0]) == classifier.classify(PATHS[0])
    made_again.cache_clear()
    files.prototxt.write_text(SMALL + "# changed\n")
    with pytest.raises(ModelError, match="hold something else"):
        pickle.loads(pickled)
    # So with another engine for several callers, which is loaded later.
    with pytest.raises(ModelError, match="have changed since this Classifier was made"):
        classifier.classify_batch(PATHS, workers=3)


def test_what_is_like_it_is_loaded_once(portable: Classifier) -> None:
    pickled = pickle.dumps(portable)
    assert pickle.loads(pickled) is pickle.loads(pickled)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copy(make: type, portable: Classifier) -> None:
    copied = make(portable)
    assert copied.classify(PATHS[0]) == portable.classify(PATHS[0])
    assert copied.model_sha256 == portable.model_sha256


@pytest.mark.parametrize("engine", ENGINES)
def test_multiprocessing_with_spawn_and_joblib(engine: EngineChoice, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys, joblib, nsfw_caffe\n"
        "if __name__ == '__main__':\n"
        "    engine, *paths = sys.argv[1:]\n"
        "    classifier = nsfw_caffe.Classifier(engine=engine)\n"
        "    expected = [classifier.classify(path) for path in paths]\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        print(pool.map(classifier.classify, paths * 3) == expected * 3)\n"
        "    tasks = (joblib.delayed(classifier.classify)(path) for path in paths * 3)\n"
        "    print(joblib.Parallel(n_jobs=2, max_nbytes=None)(tasks) == expected * 3)\n"
    )
    child = run(script, engine, *PATHS)
    assert child.stdout == "True\nTrue\n", child


def test_a_closure_as_spark_ships_it(portable: Classifier) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    pickled = cloudpickle.dumps(lambda path: portable.classify(path))
    child = run("-c", f"{UNPICKLE}print(again(sys.argv[1]))", PATHS[0], stdin=pickled)
    assert child.stdout == f"{portable.classify(PATHS[0])}\n", child.stderr
