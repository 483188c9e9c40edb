"""What a user may give or do that is wrong: status, message, and what is left.

What ends in one line runs in this process, which has imported all: a command's imports take longer than what it does.
Its solvers are processes of their own in any case, so that a Caffe that aborts ends none of this. Signals, limits and
libraries that are missing are those of a command of their own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.system.extras import install_hint
from tests.cli.running import call
from tests.support import Child, heed_interrupts
from tests.support import nsfw_caffe as command
from tests.training.pictures import labelled

pytestmark = pytest.mark.usefixtures("model_files")

QUICK = ("--engine", "onnxruntime", "--iterations", "50", "--decay", "0.01")


Train = Callable[..., Child]


@pytest.fixture
def train(capsys: pytest.CaptureFixture[str]) -> Train:
    """Train into `model`, and see that nothing is told that is meant for who wrote this."""

    def run(place: Path, *arguments: str | Path) -> Child:
        child = call(capsys, "train", *arguments, "-o", place / "model", *QUICK)
        assert "Traceback" not in child.stderr
        assert not list(place.rglob("core*"))
        return child

    return run


def refused(place: Path, child: Child, message: str, status: int = 2) -> None:
    """See that it was refused, in one line, and that nothing is left."""
    assert child.returncode == status, child.stderr
    assert message in child.stderr
    assert len(child.stderr.splitlines()) == 1
    assert child.stdout == ""
    assert not (place / "model").exists()


def one_class(data: Path) -> None:
    shutil.rmtree(data / "red")


def few(data: Path) -> None:
    for path in sorted((data / "red").iterdir())[9:]:
        path.unlink()


def none(data: Path) -> None:
    shutil.rmtree(data / "red")
    (data / "red").mkdir()


def conflicting(data: Path) -> None:
    shutil.copy(data / "red" / "000.png", data / "blue" / "same.png")


def loop(data: Path) -> None:
    (data / "red" / "loop").symlink_to(data)


def train_and_test(data: Path) -> None:
    (data / "red").rename(data / "train")
    (data / "blue").rename(data / "test")


def unprintable(data: Path) -> None:
    (data / "red").rename(data / "re\nd")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (one_class, "there is one class (blue): training needs pictures of two or more"),
        (few, "class red has 9 different pictures that can be read; it needs 10 or more"),
        (none, "class red has 0 different pictures that can be read"),
        (conflicting, "which is the same picture, red: decide for one"),
        (loop, "which is the same picture, red: decide for one"),
        (train_and_test, "the classes are test, train: give a folder that has a folder a class"),
        (unprintable, r"'re\nd' is no name of a class: expected text that can be printed"),
    ],
)
def test_data_that_cannot_be_trained_on(
    train: Train, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    data = labelled(tmp_path / "data", 12)
    spoil(data)
    refused(tmp_path, train(tmp_path, data), message)


def test_one_folder_as_both_classes(train: Train, tmp_path: Path) -> None:
    data = labelled(tmp_path / "data", 12) / "red"
    refused(tmp_path, train(tmp_path, "--nsfw", data, "--sfw", data), "is labelled both sfw and nsfw: decide for one")


def rows_of(data: Path) -> list[str]:
    return [f"{path},{path.parent.name}" for path in sorted(data.glob("*/*.png"))]


@pytest.mark.parametrize(
    ("head", "encoding", "message"),
    [
        ("path,class", "utf-8", "there is no column source; a table has the columns source, label"),
        ("source;label", "utf-8", "there is no column source; a table has the columns source, label"),
        ("source,label", "utf-16", "no CSV in UTF-8"),
    ],
)
def test_tables_that_are_none(train: Train, tmp_path: Path, head: str, encoding: str, message: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_bytes("\n".join([head, "a.png,red", "b.png,blue"]).encode(encoding))
    child = train(tmp_path, table)
    refused(tmp_path, child, message)
    assert str(table) in child.stderr


def test_a_table_with_all_kinds_of_rows(train: Train, tmp_path: Path) -> None:
    """A byte order mark, members of an archive, rows twice, and what is gone, damaged or not there."""
    data = labelled(tmp_path / "data", 12)
    with zipfile.ZipFile(tmp_path / "red.zip", "w") as archive:
        for path in sorted((data / "red").iterdir()):
            archive.write(path, f"pictures/{path.name}")
    shutil.rmtree(data / "red")
    (data / "blue" / "broken.png").write_bytes(b"no picture")
    members = [f"{tmp_path}/red.zip!pictures/{number:03}.png,red" for number in range(12)]
    wrong = [f"{tmp_path}/red.zip!none.png,red", f"{tmp_path}/gone.png,blue"]
    rows = [*rows_of(data), *members, members[3], rows_of(data)[0], *wrong]
    (tmp_path / "labels.csv").write_text("\n".join(["source,label", *rows]), encoding="utf-8-sig")
    child = train(tmp_path, tmp_path / "labels.csv")
    assert child.returncode == 1
    assert "trained on 10 blue, 10 red; held out 2 blue, 2 red; left out 3 unreadable, 2 repeated" in child.stdout
    for name, why in (
        (f"{data}/blue/broken.png", "not in any picture format"),
        (f"{tmp_path}/red.zip!none.png", "the archive has no such member"),
        (f"{tmp_path}/gone.png", "cannot be read (No such file or directory)"),
    ):
        assert f"left out {name}: {why}" in child.stderr


@pytest.mark.slow
def test_the_results_of_a_scan_with_labels(train: Train, tmp_path: Path) -> None:
    data = labelled(tmp_path / "data", 12)
    with zipfile.ZipFile(data / "red.zip", "w") as archive:
        for path in sorted((data / "red").iterdir()):
            archive.write(path, path.name)
    shutil.rmtree(data / "red")
    scanned = command("scan", data, "-o", tmp_path / "scan.csv", "--engine", "onnxruntime")
    assert scanned.returncode == 0, scanned.stderr
    head, *rows = (tmp_path / "scan.csv").read_text().splitlines()
    labels = [("nsfw" if "red.zip!" in row else "sfw") for row in rows]
    lines = [f"{head},label", *(f"{row},{label}" for row, label in zip(rows, labels, strict=True))]
    (tmp_path / "scan.csv").write_text("\n".join(lines))
    child = train(tmp_path, tmp_path / "scan.csv")
    assert child.returncode == 0, child.stderr
    assert "classes sfw, nsfw" in child.stdout
    assert "trained on 10 sfw, 10 nsfw" in child.stdout


def test_outputs_that_cannot_be(train: Train, tmp_path: Path) -> None:
    data = labelled(tmp_path / "data", 10)
    (tmp_path / "model").write_text("mine")
    child = train(tmp_path, data)
    assert (child.returncode, "is no folder: give another name" in child.stderr) == (2, True)
    assert (tmp_path / "model").read_text() == "mine"
    child = train(tmp_path / "model", data)
    assert child.returncode == 2
    assert f"{tmp_path}/model/model" in child.stderr
    (tmp_path / "model").unlink()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    assert "holds notes.txt" in train(tmp_path, data).stderr
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["notes.txt"]


def no_layers(path: Path, _: Path) -> None:
    path.write_bytes(NetParameter(name="n", layer=[LayerParameter(name="x", type="ReLU")]).SerializeToString())


def hdf5(path: Path, _: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))


def truncated(path: Path, original: Path) -> None:
    path.write_bytes(original.read_bytes()[:1_000_000])


def of_another_network(path: Path, original: Path) -> None:
    path.symlink_to(original)


def not_there(path: Path, _: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_layers, "0 of 57 layers find their weights in it, by name; it has none for layer 'conv1/7x7_s2'"),
        (of_another_network, "it has none for layer 'conv1/7x7_s2'; it fits resnet50_thin (--network resnet50_thin)"),
        (hdf5, "weights in HDF5 cannot be read; 'snapshot_format: BINARYPROTO'"),
        (truncated, "is not a whole caffemodel"),
        (not_there, "cannot be read (No such file or directory)"),
    ],
)  # fmt: skip
def test_weights_that_fit_nothing(
    train: Train, tmp_path: Path, model_files: ModelFiles, make: Callable[[Path, Path], None], message: str
) -> None:
    data = labelled(tmp_path / "data", 10)
    make(tmp_path / "my.caffemodel", model_files.caffemodel)
    child = train(tmp_path, data, "--network", "googlenet", "--weights", tmp_path / "my.caffemodel")
    refused(tmp_path, child, message)
    assert f"{tmp_path}/my.caffemodel" in child.stderr


def test_libraries_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['imagehash'] = None\n")
    arguments = ("train", labelled(tmp_path / "data", 10), "-o", tmp_path / "model", *QUICK)
    child = command(*arguments, environment={"PYTHONPATH": str(tmp_path)})
    refused(tmp_path, child, f"training needs imagehash: {install_hint('train')}")


def test_a_rate_that_is_too_high(train: Train, tmp_path: Path) -> None:
    """It stops with advice, and the next run may follow it."""
    data = labelled(tmp_path / "data", 12)
    child = train(tmp_path, data, "--base-rate", "1e30")
    assert child.returncode == 2
    assert "no longer finite in iteration" in child.stderr
    assert "base_rate 1e+29" in child.stderr
    assert [path.name for path in (tmp_path / "model").iterdir()] == [".training"]
    assert train(tmp_path, data, "--base-rate", "0.001").returncode == 0


LIMITED = """
import resource, sys
from nsfw_caffe.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
sys.exit(main())
"""


@pytest.mark.parametrize("room", [90_000, pytest.param(2_000_000, marks=pytest.mark.slow)])
def test_a_disk_that_is_full(tmp_path: Path, room: int) -> None:
    """At the features, and at the model itself; with room, it goes on."""
    data = labelled(tmp_path / "data", 12)
    output = tmp_path / "model"
    arguments = ["train", str(data), "-o", str(output), *QUICK]
    child = subprocess.run([sys.executable, "-c", LIMITED, str(room), *arguments], capture_output=True, text=True)
    assert child.returncode == 2, child.stderr
    assert "cannot be written (File too large)" in child.stderr
    assert "Traceback" not in child.stderr
    assert [path.name for path in output.iterdir()] == [".training"]
    assert command(*arguments, "--resume").returncode == 0
    assert not (output / ".training").exists()


@pytest.mark.parametrize(
    ("number", "phase"),
    [  # of which the files are signs
        pytest.param(signal.SIGINT, ".training", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, ".training/features.prototxt", marks=pytest.mark.slow),
        (signal.SIGTERM, ".training/last/solver/net.prototxt"),
        pytest.param(signal.SIGINT, ".training/last/solver/net.prototxt", marks=pytest.mark.slow),
    ],
)
def test_signals(tmp_path: Path, number: signal.Signals, phase: str) -> None:
    """Whenever it comes: a line, nothing half done, no process left over; and it can be gone on with."""
    solving = phase.endswith("net.prototxt")
    data, engine = labelled(tmp_path / "data", 12 if solving else 40), "onnxruntime" if solving else "caffe"
    arguments = [
        sys.executable, "-m", "nsfw_caffe", "train", str(data), "-o", str(tmp_path / "model"), "--engine", engine,
        "--decay", "0.01", "--iterations", "100000000",
    ]  # fmt: skip
    child = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not (tmp_path / "model" / phase).exists() and time.monotonic() < until:
        time.sleep(0.01)
    (os.killpg if number == signal.SIGINT else os.kill)(child.pid, number)
    output, errors = child.communicate(timeout=60)
    assert output == ""
    assert "Traceback" not in errors
    assert child.returncode in (4, 130)
    if child.returncode == 4:
        assert "run the same command again with --resume" in errors
    assert {path.name for path in (tmp_path / "model").glob("*")} <= {".training"}
    time.sleep(0.5)
    with pytest.raises(ProcessLookupError):  # the whole session has ended
        os.killpg(child.pid, 0)


@pytest.mark.slow
def test_a_damaged_cache_is_told(train: Train, tmp_path: Path) -> None:
    """What was done before, cut short or overwritten, is not taken for what it was."""
    data = labelled(tmp_path / "data", 12)
    assert train(tmp_path, data, "--base-rate", "1e30").returncode == 2
    (features,) = [
        path for path in (tmp_path / "model" / ".training").glob("features-*.npy") if "state" not in path.name
    ]
    os.truncate(features, 5000)
    child = train(tmp_path, data, "--base-rate", "0.001")
    assert child.returncode == 2
    assert f"{features} is cut short: delete {features.parent}" in child.stderr


@pytest.mark.slow
def test_a_state_of_something_else(train: Train, tmp_path: Path) -> None:
    data = labelled(tmp_path / "data", 12)
    output = tmp_path / "model"
    child = subprocess.run(
        [sys.executable, "-c", LIMITED, "2000000", "train", str(data), "-o", str(output), *QUICK],
        capture_output=True,
        check=False,
    )
    assert child.returncode == 2
    assert "was stopped: go on with it (--resume" in train(tmp_path, data).stderr
    assert (
        "with another options: give the same again, or delete"
        in train(tmp_path, data, "--resume", "--batch-size", "5").stderr
    )
    (data / "red" / "000.png").unlink()
    assert "with another data" in train(tmp_path, data, "--resume").stderr
    state = output / ".training" / "state.json"
    state.write_text("{")
    assert f"{state} cannot be read or written" in train(tmp_path, data, "--resume").stderr
    assert [path.name for path in output.iterdir()] == [".training"]
