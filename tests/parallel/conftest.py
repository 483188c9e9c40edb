from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsfw_caffe import Classifier
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.parallel.pipeline import Pipeline
from tests.engines.test_caffe import SMALL, write
from tests.parallel.workers import PATHS, Mine, children


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """Return a network that takes no time: many pictures show what the workers do, and no bits of the original."""
    files = write(tmp_path_factory.mktemp("quick"), SMALL)
    return Classifier(engine="caffe", prototxt=files.prototxt, caffemodel=files.caffemodel)


@pytest.fixture(scope="session")
def scores(quick: Classifier) -> list[float]:
    found = [quick.classify(path) for path in PATHS]
    assert len(set(found)) == len(PATHS)
    return found


@pytest.fixture
def own(quick: Classifier) -> Iterator[Classifier]:
    """Return the same with workers of its own, without another trial of its model."""
    with again(quick) as made:
        yield made


def again(quick: Classifier) -> Classifier:
    made = object.__new__(Classifier)
    vars(made).update(vars(quick))
    made._engines = LoadedEngines(quick._engines.get(), quick._engines.files, quick.options)
    made._pipeline = Pipeline(made._engines, made._codec)
    return made


@pytest.fixture
def mine() -> Mine:
    """Return what lists the worker processes that were not there before."""
    others = set(children())
    return lambda: [process for process in children() if process not in others]
