"""Training on Spark, with executors that are processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import nsfw_caffe
from benchmarks.spark_scaling import executor_ids
from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.errors import SolverLost, TrainingError
from nsfw_caffe.model.locate import fetch
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.spark import Cluster, features, train
from nsfw_caffe.spark.rank_task import _Rank
from nsfw_caffe.training import TrainingOptions, TrainingResult, fine_tuning
from nsfw_caffe.training import start as training_start
from nsfw_caffe.training.features import cut
from tests.spark.sessions import environment as environment
from tests.spark.sessions import start_session
from tests.support import run
from tests.training.pictures import draw
from tests.training.small import NAME, write_weights
from tests.training.small import SMALL as DROPPING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from nsfw_caffe.training.solving import Iteration

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="Spark needs Java"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

SMALL = DROPPING.replace('layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }', "")
"""Solvers have their own random numbers for dropout, so that what they compute is not what one computes."""

CLUSTER = "local-cluster[2,1,2048]"
SCORING = ScoringOptions(engine="onnxruntime", threads=1)
ITERATIONS = 40


@pytest.fixture
def session(environment: Path) -> SparkSession:
    return start_session(CLUSTER, environment)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give weights, pictures whose labels are half drawn, one that is broken, and a table of all."""
    folder = tmp_path_factory.mktemp("data")
    write_weights(folder / "small.caffemodel")
    drawn = np.random.default_rng(1)
    rows = ["source,label,split"]
    for number in range(60):
        path = draw(folder / f"{number:03}.png", number % 2 * 2, number)
        label = number % 2 if drawn.random() < 0.7 else drawn.integers(2)
        rows.append(f"{path},{('cat', 'dog')[label]},{'test' if number >= 40 else 'train'}")
    (folder / "broken.png").write_text("not a picture")
    rows.append(f"{folder / 'broken.png'},cat,train")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_start, "build", lambda _: SMALL)
    monkeypatch.setattr(fine_tuning, "_SNAPSHOT_SECONDS", 0.2)
    monkeypatch.setattr(fine_tuning, "_CHECKS", 2)


def frame(session: SparkSession, data: Path) -> DataFrame:
    return session.read.csv(str(data / "labels.csv"), header=True)


def options(data: Path, **asked: Any) -> TrainingOptions:
    usual: dict[str, Any] = {"iterations": ITERATIONS, "score_class": "dog"}
    return TrainingOptions(network=NAME, weights=data / "small.caffemodel", **(usual | asked))


def train_all(session: SparkSession, data: Path, output: Path, workers: int, **more: Any) -> TrainingResult:
    return train(
        frame(session, data), output, path="source", split="split", layers="all", workers=workers, batch=8,
        options=options(data, base_rate=5e-4), scoring=SCORING, **({"cluster": Cluster(timeout=60)} | more),
    )  # fmt: skip


def model_of(folder: Path) -> bytes:
    (path,) = folder.glob("*.caffemodel")
    return path.read_bytes()


@pytest.fixture(scope="module")
def unbroken(environment: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_start, "build", lambda _: SMALL)
        patch.setattr(fine_tuning, "_CHECKS", 2)
        return train_all(start_session(CLUSTER, environment), data, folder / "model", 2)


def test_the_last_layer_has_the_bits_of_one_machine(session: SparkSession, data: Path, tmp_path: Path) -> None:
    asked = options(data, iterations=200)
    one = nsfw_caffe.train(data / "labels.csv", tmp_path / "one", options=asked, scoring=SCORING)
    many = train(frame(session, data), tmp_path / "many", path="source", split="split", options=asked, scoring=SCORING)
    assert model_of(one.folder) == model_of(many.folder)
    assert (one.after.roc.auc, one.trained_on, one.held_out) == (many.after.roc.auc, many.trained_on, many.held_out)
    assert [name for name, _ in many.failures] == [name for name, _ in one.failures] == [str(data / "broken.png")]


def test_solvers_together_learn_what_one_learns(
    session: SparkSession, data: Path, unbroken: TrainingResult, tmp_path: Path
) -> None:
    one = train_all(session, data, tmp_path / "one", 1)
    assert one.fine_tuning is not None
    assert unbroken.fine_tuning is not None
    losses = [[line.loss for line in found.fine_tuning.history] for found in (one, unbroken) if found.fine_tuning]
    assert len(losses[0]) == ITERATIONS
    assert np.allclose(losses[0], losses[1], rtol=0, atol=1e-4)
    assert [number for number, _ in one.fine_tuning.checked] == [number for number, _ in unbroken.fine_tuning.checked]
    assert nsfw_caffe.Classifier(model=unbroken.folder, engine="onnxruntime").classify(data / "000.png") < 1


def test_a_killed_executor_changes_nothing(
    session: SparkSession, data: Path, unbroken: TrainingResult, tmp_path: Path
) -> None:
    """Spark starts another one, and training goes on from the last snapshot, here in a folder that all can reach."""
    seen: list[int] = []

    def kill(iteration: Iteration, total: int) -> None:
        if total == ITERATIONS and iteration.exchange:
            seen.append(iteration.number)
            if len(seen) == 25:
                os.kill(executor_ids(os.getpid())[0], signal.SIGKILL)

    snapshots = f"file://{tmp_path / 'snapshots'}"
    found = train_all(
        session, data, tmp_path / "killed", 2, solving=kill, cluster=Cluster(timeout=60, snapshots=snapshots)
    )
    assert seen[-1] == ITERATIONS
    assert model_of(found.folder) == model_of(unbroken.folder)
    assert found.fine_tuning is not None
    assert unbroken.fine_tuning is not None
    assert found.fine_tuning.checked == unbroken.fine_tuning.checked


DRIVER = """
import os, signal, sys
from pathlib import Path
from nsfw_caffe.spark.rank_task import ShardRow
from nsfw_caffe.spark.ranks import Cluster, shards_of, solve_together
from tests.spark.sessions import start_session
from tests.spark.test_training import CLUSTER
from tests.training.networks import PICTURES, make_job

def kill(iteration):
    if iteration.number == 10:
        os.kill(os.getpid(), signal.SIGKILL)

home, place = map(Path, sys.argv[1:])
job = make_job(place, PICTURES, iterations=10_000)
rows = [ShardRow(row, row % 3, (place / f"pictures/{row}.png").read_bytes()) for row in range(12)]
context = start_session(CLUSTER, home).sparkContext
solve_together(job, shards_of(context.parallelize(rows, 2), job, 2), Cluster(2), progress=kill)
"""


def test_a_killed_driver_leaves_no_process(environment: Path, tmp_path: Path) -> None:
    mark = {"NSFW_CAFFE_MARK": str(tmp_path)}
    child = run("-c", DRIVER, environment, tmp_path, environment=mark)
    assert child.returncode == -signal.SIGKILL, child.stderr
    deadline = time.monotonic() + 30
    while (left := _with_mark(f"NSFW_CAFFE_MARK={tmp_path}")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left


def _with_mark(mark: str) -> list[str]:
    """Return the commands of processes that have a mark in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [command for command in found if command]


def test_too_few_executors_are_named(session: SparkSession, data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"workers=4: the cluster has room for 2 tasks at a time \(waited 1 s\)"):
        train_all(session, data, tmp_path / "model", 4, cluster=Cluster(timeout=1))
    with pytest.raises(TrainingError, match="a batch of 8 cannot be shared by 3 workers"):
        train_all(session, data, tmp_path / "other", 3)


def test_features_are_a_column_with_the_bits_of_one_machine(session: SparkSession, data: Path, tmp_path: Path) -> None:
    paths = frame(session, data).where("source like '%00%' or source like '%broken%'").select("source")
    rows = {row.source: row for row in features(paths, path="source", engine="onnxruntime").collect()}
    broken = rows.pop(str(data / "broken.png"))
    assert (broken.features, bool(broken.error)) == (None, True)
    original, prototxt = fetch(), tmp_path / "features.prototxt"
    prototxt.write_text(cut(original.prototxt).text)
    files = ModelFiles(prototxt, original.caffemodel, original=False, features=1024)
    engine, codec = create_engine(files, SCORING), create_codec(SCORING.jpeg, SCORING.decode)
    for source, row in rows.items():
        assert row.error is None
        assert np.array_equal(np.float32(row.features), engine.forward(preprocess(source, codec)[None])[0])


class _Context:
    """A barrier task's context, without a barrier."""

    def __init__(self, others: list[dict[str, Any]] | None) -> None:
        self._others = others

    def partitionId(self) -> int:  # noqa: N802 - Spark's
        return 0

    def getTaskInfos(self) -> list[Any]:  # noqa: N802 - Spark's
        return [SimpleNamespace(address="one:4711"), SimpleNamespace(address="two:4711")]

    def allGather(self, message: str) -> list[str]:  # noqa: N802 - Spark's
        if self._others is None:
            time.sleep(60)
            return []
        mine = json.loads(message)
        return [
            message,
            *(
                json.dumps({**mine, **other, "versions": mine["versions"] | other["versions"]})
                for other in self._others
            ),
        ]


def _meet(context: _Context) -> None:
    plan: Any = SimpleNamespace(place=SimpleNamespace(timeout=0.5, key=""), shared=None)
    link: Any = SimpleNamespace(newest=lambda: None, missing=lambda: [1], ready=lambda: None)
    faked: Any = context
    _Rank(plan, faked, link, Path())._meet(4711)


def test_a_task_that_does_not_start_is_named() -> None:
    with pytest.raises(SolverLost, match=r"solver 0 of 2 .* has waited 0\.5 s in vain .*; not there: solver 1"):
        _meet(_Context(None))


@pytest.mark.parametrize("name", ["nsfw_caffe", "numpy", "Pillow", "caffe", "Python"])
def test_an_executor_with_another_version_is_named(name: str) -> None:
    message = rf"solver 1 of 2 on two has {name} 0\.0, but solver 0 on one .*: install the same on all executors"
    with pytest.raises(TrainingError, match=message):
        _meet(_Context([{"host": "two", "versions": {name: "0.0"}}]))
