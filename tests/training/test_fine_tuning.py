"""Training of more than the last layer, by the real Caffe, on a small network."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nsfw_caffe
from nsfw_caffe.errors import TrainingError
from nsfw_caffe.evaluate import roc
from nsfw_caffe.model.blobs import blob_values
from nsfw_caffe.model.network import read_caffemodel
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.training import TrainingOptions, TrainingResult, start, train
from nsfw_caffe.training.cost import TrainingCost
from tests.training.pictures import draw
from tests.training.small import NAME, SMALL, write_weights

SCORING = ScoringOptions(engine="onnxruntime")
LABELS = ("cat", "dog", "emu")


@pytest.fixture(scope="module")
def unclear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give weights, and pictures whose labels are drawn: a table has them, and half of the pictures are in archives."""

    folder = tmp_path_factory.mktemp("unclear")
    write_weights(folder / "small.caffemodel")
    drawn = random.Random(1)
    rows = ["source,label,split"]
    for number in range(80):
        label, split = drawn.choice(LABELS), "test" if number >= 50 else "train"
        path = draw(folder / "pictures" / f"{number:03}.png", drawn.choice((0, 2)), number)
        if number % 2:
            path.rename(path.with_name(f"{label}-{split}-{path.name}"))
        else:
            rows.append(f"{path},{label},{split}")
    for label, split in itertools.product(LABELS, ("train", "test")):
        paths = sorted((folder / "pictures").glob(f"{label}-{split}-*"))
        archive = folder / f"{label}-{split}.{'tar.gz' if (label, split) == ('dog', 'train') else 'zip'}"
        with zipfile.ZipFile(archive, "w") if archive.suffix == ".zip" else tarfile.open(archive, "w:gz") as opened:
            for path in paths:
                (opened.write if isinstance(opened, zipfile.ZipFile) else opened.add)(path, path.name)
                path.unlink()
        rows.append(f"{archive},{label},{split}")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "build", lambda _: SMALL)


def options(unclear: Path, **asked: Any) -> TrainingOptions:
    usual: dict[str, Any] = {
        "layers": "all",
        "iterations": 20,
        "base_rate": 5e-4,
        "batch_size": 8,
        "score_class": "dog",
    }
    return TrainingOptions(network=NAME, weights=unclear / "small.caffemodel", **(usual | asked))


def blobs(folder: Path, layer: str) -> list[bytes]:
    path = folder if folder.is_file() else next(folder.glob("*.caffemodel"))
    (found,) = [one for one in read_caffemodel(path).layer if one.name == layer]
    return [blob_values(blob).tobytes() for blob in found.blobs]


def areas(result: TrainingResult) -> tuple[float, float]:
    assert result.last is not None
    return result.last.roc.auc, result.after.roc.auc


def test_the_best_weights_become_the_model(tmp_path: Path, unclear: Path) -> None:
    told: list[TrainingCost] = []
    seen: list[tuple[int, int]] = []
    result = train(
        unclear / "labels.csv",
        tmp_path / "model",
        options=options(unclear),
        scoring=SCORING,
        costs=told.append,
        solving=lambda iteration, total: seen.append((iteration.number, total)),
    )
    found = result.fine_tuning
    assert found is not None
    assert [number for number, _ in found.checked] == list(range(0, 21, 2))
    checked = dict(found.checked)
    assert found.chosen == max(checked, key=lambda number: (checked[number], -number)) > 0
    assert areas(result) == (checked[0], checked[found.chosen])
    assert (found.layers, found.batch_size, found.iter_size) == ("all", 8, 1)
    assert [iteration.number for iteration in found.history] == list(range(1, 21))
    assert [round(iteration.rate, 8) for iteration in found.history] == [5e-4] * 14 + [5e-5] * 6
    assert seen[-20:] == [(number, 20) for number in range(1, 21)]
    assert len(result.history) == 3000  # the last layer's, which goes by its defaults
    (cost,) = told
    assert (cost.layers, cost.pictures, cost.iterations, cost.batch_size, cost.iter_size) == ("all", 50, 20, 8, 1)
    assert 50e6 < cost.memory < 1e9
    assert 0 < cost.seconds < 600
    assert blobs(tmp_path / "model", "conv_stage0") != blobs(unclear / "small.caffemodel", "conv_stage0")
    assert blobs(tmp_path / "model", "bn_stage0") == blobs(unclear / "small.caffemodel", "bn_stage0")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "README.md", "deploy.prototxt", "held_out.csv", "model.caffemodel", "model.json", "report.html"
    ]  # fmt: skip
    card = (tmp_path / "model" / "README.md").read_text()
    assert f"| AUC | last layer | {checked[0]:.4f} |" in card
    assert f"| AUC | after | {checked[found.chosen]:.4f} |" in card
    assert f"| fine-tuning: weights taken | those of update {found.chosen} |" in card
    assert json.loads((tmp_path / "model" / "model.json").read_text())["training"]["fine_tuning"] == {
        "layers": "all", "iterations": 20, "batch_size": 8, "iter_size": 1, "chosen": found.chosen, "base_rate": 5e-4,
        "checked": [list(pair) for pair in found.checked],
    }  # fmt: skip


def test_the_model_scores_as_was_measured(tmp_path: Path, unclear: Path) -> None:
    """Also with a batch in parts, and from a layer on, before which all stay; one class of three is scored."""
    asked = options(unclear, layers="scale_stage0", batch_size=12, iterations=10, class_weights="none")
    result = train(unclear / "labels.csv", tmp_path / "model", options=asked, scoring=SCORING)
    assert result.fine_tuning is not None
    assert (result.fine_tuning.batch_size, result.fine_tuning.iter_size) == (6, 2)
    held: list[tuple[str | bytes, str]] = []
    for source, label, split in (line.split(",") for line in (unclear / "labels.csv").read_text().splitlines()[1:]):
        if split == "test":
            held += [(picture, label) for picture in (members(Path(source)) if source.endswith(".zip") else [source])]
    with nsfw_caffe.Classifier(model=tmp_path / "model", engine="onnxruntime") as classifier:
        scores = classifier.classify_batch([picture for picture, _ in held])
    labels = [label == "dog" for _, label in held]
    assert roc(np.array(labels), np.array(scores)).auc == result.after.roc.auc
    for layer in ("conv_stage0", "bn_stage0"):
        assert blobs(tmp_path / "model", layer) == blobs(unclear / "small.caffemodel", layer)


def members(archive: Path) -> list[bytes]:
    with zipfile.ZipFile(archive) as opened:
        return [opened.read(name) for name in opened.namelist()]


def test_layers_that_are_not_there_are_refused_before_any_work(tmp_path: Path, unclear: Path) -> None:
    with pytest.raises(TrainingError, match=r"no layer or stage 'stage7' to learn from on; .* stage0"):
        train(unclear / "labels.csv", tmp_path / "model", options=options(unclear, layers="stage7"), scoring=SCORING)
    assert not list((tmp_path / "model" / ".training").glob("features*"))


def test_a_picture_that_has_gone_is_named_and_training_goes_on_when_it_is_back(tmp_path: Path, unclear: Path) -> None:
    gone = next(iter(sorted((unclear / "pictures").glob("06*.png"))))
    content = gone.read_bytes()

    def remove(cost: TrainingCost) -> None:  # noqa: ARG001
        gone.unlink()

    asked: dict[str, Any] = {"options": options(unclear, iterations=10), "scoring": SCORING}
    try:
        with pytest.raises(TrainingError, match=rf"{gone.name}, which is held out: it has gone since"):
            train(unclear / "labels.csv", tmp_path / "model", costs=remove, **asked)
    finally:
        gone.write_bytes(content)
    assert train(unclear / "labels.csv", tmp_path / "model", resume=True, **asked).fine_tuning is not None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], capture_output=True).returncode:
        pytest.skip("a tmpfs cannot be mounted here; it takes root")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.parametrize("free", [pytest.param(0, marks=pytest.mark.slow), 200_000])
def test_a_full_disk_is_one_clear_error_and_training_goes_on_when_there_is_room(
    free: int, small_disk: Path, unclear: Path
) -> None:
    filler = small_disk / "filler"

    def fill(cost: TrainingCost) -> None:  # noqa: ARG001
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 12))
        os.truncate(filler, max(0, filler.stat().st_size - free))

    asked: dict[str, Any] = {"options": options(unclear, iterations=10), "scoring": SCORING}
    output = small_disk / "model"
    with pytest.raises(TrainingError, match="No space left on device"):
        train(unclear / "labels.csv", output, costs=fill, **asked)
    assert [path.name for path in output.iterdir()] == [".training"]
    filler.unlink()
    resumed = train(unclear / "labels.csv", output, resume=True, **asked)
    assert resumed.fine_tuning is not None
    assert len(resumed.fine_tuning.history) == 10


COMMAND = """
import sys
from tests.training.small import use_small_network

use_small_network(0.3)
from nsfw_caffe.__main__ import main

sys.exit(main())
"""


def command(unclear: Path, output: Path, *more: str) -> subprocess.Popen[str]:
    arguments = [
        "train", unclear / "labels.csv", "-o", output, "--network", NAME, "--weights", unclear / "small.caffemodel",
        "--base-rate", "5e-4", "--class", "dog", "--engine", "onnxruntime", *more,
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child: subprocess.Popen[str]) -> None:
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors


def model(folder: Path) -> Any:
    found = json.loads((folder / "model.json").read_text())
    del found["caffemodel"]["name"]  # the folder's
    return found


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["last", "all"])
def test_the_whole_command_killed_goes_on_to_the_same_bits(layers: str, tmp_path: Path, unclear: Path) -> None:
    """Killed with -9 at random moments; what it has started ends by itself."""
    length = ("--iterations", "20000") if layers == "last" else ("--iterations", "60")
    began = time.monotonic()
    finish(command(unclear, tmp_path / "whole", "--layers", layers, *length))
    duration = time.monotonic() - began
    output = tmp_path / "killed"
    moments = random.Random(layers)
    for _ in range(3):
        child = command(unclear, output, "--layers", layers, *length, *["--resume"] * output.exists())
        try:
            child.wait(moments.uniform(0.3, 0.8) * duration)
            assert child.returncode == 0, child.communicate()
            break
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
        wait_for_the_end_of_group(child.pid)
    if not (output / "model.json").exists():
        finish(command(unclear, output, "--layers", layers, *length, "--resume"))
    assert model(output) == model(tmp_path / "whole")


def wait_for_the_end_of_group(group: int) -> None:
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("what the command had started goes on without it")


def test_a_model_that_is_there_has_nothing_to_go_on_with(tmp_path: Path, unclear: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    with pytest.raises(TrainingError, match="is a model already, whose training has ended"):
        train(unclear / "labels.csv", tmp_path / "model", options=options(unclear), scoring=SCORING, resume=True)
