from __future__ import annotations

import os
import re
import runpy
import shutil
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from PIL import Image
from pyspark.errors import PythonException
from pyspark.sql.functions import expr

import nsfw_caffe
from benchmarks.make_pictures import make
from nsfw_caffe.model.schema import caffe_pb2
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import Decode
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.spark import score_images, score_paths
from nsfw_caffe.system.extras import install_hint
from tests.clips import X264, Clip
from tests.code_blocks import run_statement, steps
from tests.model.folders import CLASSES, of_original, of_three_classes
from tests.spark.sessions import environment as environment
from tests.spark.sessions import start_session
from tests.support import PHOTOS, REPOSITORY, run

if TYPE_CHECKING:
    import pyarrow
    from pyspark import SparkContext
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="Spark needs Java"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

ENGINE: Final = "onnxruntime"
LOCAL, CLUSTER = "local[2]", "local-cluster[2,1,1024]"
NAMES = ("score", "error")


@pytest.fixture
def local(environment: Path) -> SparkSession:
    return start_session(LOCAL, environment)


@pytest.fixture
def cluster(environment: Path) -> SparkSession:
    return start_session(CLUSTER, environment)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 16 pictures and two broken ones; none is empty, for Spark's `binaryFile` leaves these out."""
    folder: Path = tmp_path_factory.mktemp("pictures")
    make(folder, 16, seed=3)
    (folder / "000" / "text.jpg").write_text("not a picture")
    (folder / "000" / "half.png").write_bytes((PHOTOS / "coffee.png").read_bytes()[:100_000])
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path, model_files: ModelFiles) -> dict[str, tuple[float | None, str | None]]:  # noqa: ARG001
    """Return each file's score and error from a plain scan, by its name."""
    return _scan(nsfw_caffe.Classifier(engine=ENGINE), folder)


def _scan(classifier: nsfw_caffe.Classifier, folder: Path) -> dict[str, tuple[float | None, str | None]]:
    paths = sorted(folder.glob("*/*"))
    return {
        path.name: (result.score, result.error and result.error.removeprefix(f"{path}: "))
        for path, result in zip(paths, classifier.scan(paths), strict=True)
    }


def _read(session: SparkSession, folder: Path) -> DataFrame:
    return session.read.format("binaryFile").option("recursiveFileLookup", "true").load(str(folder))


def _collect(scored: DataFrame, column: str = "path") -> dict[str, tuple[float | None, str | None]]:
    return {Path(row[column]).name: (row.score, row.error) for row in scored.select(column, *NAMES).collect()}


def test_pictures_in_a_column_have_the_scores_and_errors_of_a_scan(
    local: SparkSession, folder: Path, expected: dict[str, Any]
) -> None:
    pictures = _read(local, folder)
    scored = score_images(pictures, engine=ENGINE)
    assert scored.columns == [*pictures.columns, *NAMES]
    assert dict(scored.dtypes[-2:]) == {"score": "double", "error": "string"}
    found = _collect(scored)
    assert found == expected
    assert {name for name, (_, error) in found.items() if error} == {"half.png", "text.jpg"}


def test_nothing_runs_before_the_result_is_used(local: SparkSession, folder: Path) -> None:
    local.sparkContext.setJobGroup("lazy", "what defining the scores starts")
    score_paths(score_images(_read(local, folder)).select("path"))
    assert local.sparkContext.statusTracker().getJobIdsForGroup("lazy") == []


def test_other_columns_and_null_cells_stay_in_their_rows(local: SparkSession) -> None:
    photo = (PHOTOS / "coffee.png").read_bytes()
    rows = [(number, [number, None], bytearray(photo) if number % 3 else None) for number in range(12)]
    pictures = local.createDataFrame(rows, "number int, list array<int>, picture binary")
    score = nsfw_caffe.Classifier(engine=ENGINE).classify(photo)
    found = [tuple(row) for row in score_images(pictures, "picture", engine=ENGINE).sort("number").collect()]
    assert found == [
        (*row, *((score, None) if row[2] else (None, "cannot be read (the cell is null)"))) for row in rows
    ]


def test_limits_go_along(local: SparkSession) -> None:
    rows = [(bytearray((PHOTOS / "coffee.png").read_bytes()),)]
    scored = score_images(local.createDataFrame(rows, "content binary"), engine=ENGINE, limits=Limits(side=599))
    message = "600 pixels a side: the limit is 599 (Limits.side, --max-side)"
    assert [(row.score, row.error) for row in scored.collect()] == [(None, message)]


def test_small_arrow_batches_change_nothing(local: SparkSession, folder: Path, expected: dict[str, Any]) -> None:
    option = "spark.sql.execution.arrow.maxRecordsPerBatch"
    local.conf.set(option, 3)
    try:
        assert _collect(score_images(_read(local, folder), engine=ENGINE)) == expected
    finally:
        local.conf.unset(option)


def test_an_empty_dataframe_has_the_columns(local: SparkSession) -> None:
    scored = score_paths(local.createDataFrame([], "path string"), engine=ENGINE)
    assert (scored.columns, scored.collect()) == (["path", *NAMES], [])


def test_paths_are_read_on_the_executors(
    local: SparkSession, folder: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    odd = tmp_path / "a::b *[1] ä.png"
    shutil.copy(PHOTOS / "coffee.png", odd)
    photo = nsfw_caffe.Classifier(engine=ENGINE).classify(odd)
    empty = tmp_path / "empty.jpg"
    empty.touch()
    pictures = sorted(folder.glob("*/*"))
    paths: list[str | None] = [f"file:{pictures[0]}", f"file://{pictures[1]}", *map(str, pictures[2:])]
    paths += [f"file:{odd}", str(odd), "/missing/a.jpg", str(tmp_path), "foo://b", "a\0b", None, str(empty)]
    frame = local.createDataFrame([(path,) for path in paths], "path string")
    found = [(row.score, row.error) for row in score_paths(frame, engine=ENGINE).collect()]
    assert found[: len(pictures)] == [expected[path.name] for path in pictures]
    reasons = ("No such file or directory", "Is a directory", "Protocol not known: foo", "embedded null byte")
    errors = [f"cannot be read ({reason})" for reason in (*reasons, "the cell is null")]
    errors.append("the file is empty")
    assert found[len(pictures) : len(pictures) + 2] == [(photo, None)] * 2
    scores, messages = zip(*found[len(pictures) + 2 :], strict=True)
    assert scores == (None,) * 6
    found_errors = [message.replace("ValueError: ", "") for message in messages]
    newer = "open: embedded null character in path"  # in the words of Python 3.13
    assert [error.replace(newer, "embedded null byte") for error in found_errors] == errors


def test_uris_are_read_through_fsspec(
    local: SparkSession, folder: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "pictures"), "zip", folder / "000")
    frame = local.createDataFrame([(f"zip://{name}::{archive}",) for name in (*expected, "missing.jpg")], "uri string")
    frame = frame.select("uri", expr("substring_index(uri, '::', 1) as path"))
    found = _collect(score_paths(frame, "uri", engine=ENGINE))
    assert found == expected | {"missing.jpg": (None, "cannot be read (No such file or directory)")}


def test_a_scheme_whose_package_is_missing_fails_the_job(local: SparkSession) -> None:
    with pytest.raises(PythonException, match="Install ossfs to access Alibaba Object Storage System"):
        score_paths(local.createDataFrame([("oss://bucket/a.jpg",)], "path string"), engine=ENGINE).collect()


def test_storage_options_are_given_to_fsspec(local: SparkSession, folder: Path, expected: dict[str, Any]) -> None:

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("X-Key") == "right":
                super().do_GET()
            else:
                self.send_error(403)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder / "000"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        base = f"http://127.0.0.1:{server.server_port}/"
        frame = local.createDataFrame([(base + name,) for name in (*expected, "missing.jpg")], "uri string")
        options = {"headers": {"X-Key": "right"}}
        found = _collect(score_paths(frame, "uri", engine=ENGINE, storage_options=options), "uri")
        assert found == expected | {"missing.jpg": (None, "cannot be read (No such file or directory)")}
        ((_, error),) = _collect(score_paths(frame.limit(1), "uri", engine=ENGINE), "uri").values()
        assert error is not None
        assert "403" in error
        assert base not in error
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", ["paths", "uris", "content"])
def test_videos_have_the_scores_and_times_of_a_scan(
    kind: str, local: SparkSession, folder: Path, tmp_path: Path
) -> None:
    clip = Clip("clip.mkv", "libx264", X264).write(tmp_path)
    (tmp_path / "cut.mkv").write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    (tmp_path / "empty.mkv").write_bytes(b"")
    shutil.copy(next(folder.glob("*/*.jpg")), tmp_path / "picture.mp4")
    names = ["clip.mkv", "cut.mkv", "picture.mp4", "empty.mkv", "missing.mkv"][: 3 if kind == "content" else None]
    if kind == "content":
        frame = _read(local, tmp_path)
        scored = score_images(frame, engine=ENGINE, every=0.5)
    else:
        prefix = "" if kind == "paths" else "local://"  # fsspec's own
        frame = local.createDataFrame([(f"{prefix}{tmp_path / name}",) for name in names], ["path"])
        scored = score_paths(frame, engine=ENGINE, every=0.5)
    assert scored.columns == [*frame.columns, "score", "error", "max_time", "warning"]
    columns = ("score", "error", "max_time", "warning")
    found = {Path(row.path).name: tuple(row[column] for column in columns) for row in scored.collect()}
    classifier = nsfw_caffe.Classifier(engine=ENGINE, threads=1)
    for result in classifier.scan([tmp_path / name for name in names[:3]], every=0.5):
        warning = "; ".join(result.warnings) if result.max_time is not None else None
        assert found[Path(str(result.source)).name] == (result.score, None, result.max_time, warning or None)
    assert found["clip.mkv"][2] is not None
    assert "ends at" in str(found["cut.mkv"][3])
    for name in names[3:]:
        score, error, *others = found[name]
        assert (score, others) == (None, [None, None])
        assert error


def test_a_model_of_ones_own(local: SparkSession, folder: Path, model_files: ModelFiles, tmp_path: Path) -> None:
    prototxt, caffemodel = _own_model(model_files, tmp_path)
    own = nsfw_caffe.Classifier(engine=ENGINE, prototxt=prototxt, caffemodel=caffemodel)
    scored = score_images(_read(local, folder), engine=ENGINE, prototxt=prototxt, caffemodel=caffemodel)
    assert _collect(scored) == _scan(own, folder)


@pytest.mark.parametrize("name", CLASSES)
def test_a_model_folder(local: SparkSession, folder: Path, tmp_path: Path, name: str) -> None:
    mine = of_three_classes(tmp_path / "mine").path
    expected = _scan(nsfw_caffe.Classifier(engine=ENGINE, model=mine, score_class=name), folder)
    scored = score_images(_read(local, folder), engine=ENGINE, model=mine, score_class=name)
    shutil.rmtree(mine)  # the executors have their own
    assert _collect(scored) == expected


def test_the_originals_other_class(local: SparkSession, folder: Path, model_files: ModelFiles, tmp_path: Path) -> None:
    mine = of_original(tmp_path / "mine", model_files).path
    sfw = nsfw_caffe.Classifier(engine=ENGINE, score_class="sfw")
    for model in (None, mine):
        scored = score_images(_read(local, folder), engine=ENGINE, model=model, score_class="sfw")
        assert _collect(scored) == _scan(sfw, folder)
    assert _collect(score_images(_read(local, folder), engine=ENGINE, model=mine)) == _scan(
        nsfw_caffe.Classifier(engine=ENGINE), folder
    )


def test_no_model_folder_is_an_error_of_the_driver(local: SparkSession, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(nsfw_caffe.ModelError, match=r"it has no model\.json"):
        score_images(_read(local, folder), engine=ENGINE, model=tmp_path)
    with pytest.raises(nsfw_caffe.ModelError, match="there is no class 'cats'"):
        score_images(_read(local, folder), engine=ENGINE, score_class="cats")


def test_a_damaged_copy_of_the_model_fails_the_job(
    local: SparkSession, folder: Path, model_files: ModelFiles, tmp_path: Path
) -> None:
    from pyspark import SparkFiles

    prototxt = tmp_path / "damaged.prototxt"
    prototxt.write_bytes(model_files.prototxt.read_bytes())
    scored = score_images(_read(local, folder), engine=ENGINE, prototxt=prototxt, caffemodel=model_files.caffemodel)
    local.range(1).collect()  # with a job's first task the model is unpacked
    (copy,) = Path(SparkFiles.getRootDirectory()).glob("nsfw_caffe-*/prototxt/damaged.prototxt")
    copy.write_text(copy.read_text() + "# one more line")
    with pytest.raises(PythonException, match=r"ModelError: .*damaged\.prototxt is missing or damaged"):
        scored.collect()


_DECODES: tuple[Decode, ...] = ("exact", "fast", "exact", "fast")


def test_a_worker_keeps_one_classifier_for_each_set_up(local: SparkSession, tmp_path: Path) -> None:
    large = tmp_path / "large.jpg"
    with Image.open(PHOTOS / "coffee.png") as photo:
        photo.convert("RGB").resize((2400, 1600)).save(large)
    frame = local.createDataFrame([(str(large),)] * 4, "path string").repartition(4)
    scores: dict[Decode, float] = {}
    for decode in _DECODES:
        rows = score_paths(frame, engine=ENGINE, decode=decode).collect()
        (scores[decode],) = {row.score for row in rows}
    assert scores == {decode: nsfw_caffe.Classifier(engine=ENGINE, decode=decode).classify(large) for decode in scores}
    assert scores["exact"] != scores["fast"]

    def count(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow

        from nsfw_caffe.spark.executor import create_classifier

        list(batches)
        info = create_classifier.cache_info()
        yield pyarrow.RecordBatch.from_arrays([pyarrow.array([n]) for n in (os.getpid(), info.hits)], ["pid", "hits"])

    hits = {row.pid: row.hits for row in frame.mapInArrow(count, "pid long, hits long").collect()}
    assert sum(hits.values()) >= 8, hits


def test_an_engine_that_cannot_be_used_fails_the_job(local: SparkSession, folder: Path) -> None:
    with pytest.raises(PythonException, match="EngineUnavailable: onnxruntime: precision 'bfloat16' is there only"):
        score_images(_read(local, folder), engine=ENGINE, precision="bfloat16").collect()


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ("a binary", {}, "column 'content': expected one binary column of this name; the columns are a"),
        ("content string", {}, "column 'content': expected one binary column of this name; it is string"),
        ("content binary, Score int", {}, "column 'Score' is there already"),
        ("content binary, error int", {}, "column 'error' is there already"),
        ("content binary", {"engine": "tensorflow"}, "engine='tensorflow': expected one of caffe, onnxruntime"),
        ("content binary", {"precision": "float16"}, "precision='float16': expected one of float32, bfloat16"),
        ("content binary", {"decode": "slow"}, "decode='slow': expected one of exact, fast"),
        ("content binary", {"every": -1.0}, "every=-1.0: expected seconds"),
        ("content binary, warning int", {"every": 1.0}, "column 'warning' is there already"),
    ],
)
def test_wrong_use_is_refused_at_once(local: SparkSession, columns: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_images(local.createDataFrame([], columns), **options)


def test_a_column_of_paths_holds_strings(local: SparkSession) -> None:
    with pytest.raises(ValueError, match="column 'path': expected one string column of this name; it is int"):
        score_paths(local.createDataFrame([], "path int"))


def test_only_a_dataframe_with_a_sparkcontext_is_taken() -> None:
    import pyarrow

    with pytest.raises(TypeError, match=r"Spark Connect and serverless have none\), found pyarrow\.lib\.Table"):
        score_images(pyarrow.table({"content": [b""]}))


def test_the_page_of_the_documentation(
    local: SparkSession, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What docs/spark.md has in Python, as it stands there, but for the trainings."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "000", "pictures/000")
    for label, name in (("sfw", "coffee.png"), ("nsfw", "retina.jpg")):
        Path("labelled", label).mkdir(parents=True)
        shutil.copy(PHOTOS / name, Path("labelled", label, name))
    local.createDataFrame([(str(PHOTOS / "rocket.jpg"),)], ["path"]).write.parquet(f"{tmp_path}/list")
    java = local._jvm
    assert java is not None
    files = java.org.apache.hadoop.fs.FileSystem.get(local._jsc.hadoopConfiguration())
    before = files.getWorkingDirectory()
    files.setWorkingDirectory(java.org.apache.hadoop.fs.Path(str(tmp_path)))  # the machine's is where it was started
    try:
        names: dict[str, object] = {}
        for step in steps("docs/spark.md", "python"):
            if not step.text.startswith("result = train("):
                run_statement("docs/spark.md", step, names)
    finally:
        files.setWorkingDirectory(before)
    pictures = len(list(Path("pictures/000").iterdir()))
    for name, rows in (("scores", pictures), ("more_scores", 1), ("features", 2)):
        assert local.read.parquet(f"{tmp_path}/{name}").count() == rows


def test_missing_packages_are_named() -> None:
    child = run(
        "-c",
        "import sys\n"
        "sys.modules.update({'pyspark': None, 'fsspec': None})\n"
        "from nsfw_caffe.errors import NsfwCaffeError\n"
        "from nsfw_caffe.spark import score_images\n"
        "from nsfw_caffe.spark.executor import read_paths\n"
        "import pyarrow\n"
        "read = lambda: list(read_paths({}, False, pyarrow.array(['s3://b/a']), 1))\n"
        "for use in (lambda: score_images(None), read):\n"
        "    try: use()\n"
        "    except NsfwCaffeError as error: print(error)\n",
    )
    assert child.stdout.splitlines() == [
        f"Spark needs PySpark 4 or newer: {install_hint('spark')}",
        f"paths with a scheme need fsspec: {install_hint('spark')}",
    ], child.stderr


def test_the_example_writes_parquet_once(
    environment: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet

    main = runpy.run_path(str(REPOSITORY / "examples" / "score_with_spark.py"))["main"]
    out = tmp_path / "scores"
    for status, source, target, printed in (
        (0, folder, out, r"18 files: 16 scored, 2 with an error, in [\d.]+ s: [\d.]+ a second\n"),
        (1, folder, out, f"{re.escape(str(out))} is there already: delete it, or name another folder\n"),
        (1, "/missing", tmp_path / "new", "/missing: there is no such folder\n"),
    ):
        start_session(LOCAL, environment)
        capsys.readouterr()
        assert main([str(source), str(target), "--engine", ENGINE]) == status
        streams = capsys.readouterr()
        assert re.search(printed, streams.err if status else streams.out)
    table = pyarrow.parquet.read_table(out)
    assert (table.num_rows, table.column_names) == (18, ["path", "modificationTime", "length", *NAMES])


def test_the_work_of_a_killed_executor_is_done_again(
    cluster: SparkSession, folder: Path, expected: dict[str, Any]
) -> None:
    context = cluster.sparkContext
    paths = [(str(path),) for path in sorted(folder.glob("*/*"))] * 2
    scored = score_paths(cluster.createDataFrame(context.parallelize(paths, len(paths)), "path string"), engine=ENGINE)
    executors = context.parallelize(range(8), 8).map(_executor)
    before = set(executors.collect())
    assert len(before) == 2
    killed = before.pop()
    killer = threading.Thread(target=_kill, args=(context, killed, len(paths)), daemon=True)
    killer.start()
    found = _collect(scored)
    killer.join()
    assert found == expected
    assert killed not in executors.collect()


def _executor(_: int) -> int:
    """Return the process id of the executor: the parent of the parent of the process that runs this."""
    time.sleep(0.3)  # so that no executor does everything
    return int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])


def _kill(context: SparkContext, executor: int, tasks: int) -> None:
    """Kill an executor when some of the job's tasks are done, and others are not."""
    tracker = context.statusTracker()
    while True:
        stages = [tracker.getStageInfo(number) for number in tracker.getActiveStageIds()]
        done = max((stage.numCompletedTasks for stage in stages if stage and stage.numTasks == tasks), default=0)
        if done > 5:
            assert done < tasks - 5
            os.kill(executor, signal.SIGKILL)
            return
        time.sleep(0.02)


def _own_model(files: ModelFiles, folder: Path) -> tuple[Path, Path]:
    """Write the original model with its two outputs exchanged, under one name for both files."""
    network = caffe_pb2.NetParameter.FromString(files.caffemodel.read_bytes())
    (layer,) = (layer for layer in network.layer if layer.name == "fc_nsfw")
    for blob in layer.blobs:
        half = len(blob.data) // 2
        blob.data[:] = [*blob.data[half:], *blob.data[:half]]
    prototxt, caffemodel = folder / "text" / "own", folder / "weights" / "own"
    for path, content in ((prototxt, files.prototxt.read_bytes()), (caffemodel, network.SerializeToString())):
        path.parent.mkdir()
        path.write_bytes(content)
    return prototxt, caffemodel
