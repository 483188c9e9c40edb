"""Pictures for the solver: the pixels that scoring sees, what is drawn for them, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import signal
import zipfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.options import Decode
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.system.files import file_sha256
from nsfw_caffe.training.prefetch import PictureFeed
from nsfw_caffe.training.solving import SolverJob, solve
from tests.support import run
from tests.training.networks import CLASSES, PICTURES, make_job
from tests.training.test_solving import UNTIL, losses

SHAPE = (4, 3, 224, 224)


def batches(job: SolverJob, first: int, last: int) -> list[tuple[Any, Any]]:
    feed = PictureFeed(job, SHAPE, CLASSES, first)
    try:
        return [(batch.data, batch.labels) for batch in (feed.batch(number) for number in range(first, last))]
    finally:
        feed.close()


def test_without_augmentation_training_sees_what_scoring_sees(tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES, batch_size=4, flips=False, crops=False)
    codec = create_codec("pillow", "exact")
    rows = json.loads((tmp_path / "pictures" / "pictures.json").read_text())
    wanted = {preprocess(row["source"], codec).tobytes(): row["label"] for row in rows}
    found = batches(job, 0, 3)
    assert {row.tobytes(): label for data, labels in found for row, label in zip(data, labels, strict=True)} == wanted


def test_pictures_are_decoded_as_for_scoring(tmp_path: Path) -> None:
    """A large JPEG file, which "fast" decodes smaller."""
    path = tmp_path / "large.jpg"
    Image.effect_noise((300, 300), 90).convert("RGB").resize((2100, 2100)).save(path)
    pictures = tmp_path / "pictures.json"
    pictures.write_text(json.dumps([{"source": str(path), "label": 0}]))
    found = {}
    for decode in get_args(Decode):
        job = make_job(
            tmp_path,
            PICTURES,
            pictures=str(pictures),
            batch_size=4,
            flips=False,
            crops=False,
            decode=decode,
            prefetch_workers=1,
        )
        (((data, *_), _),) = batches(job, 0, 1)
        found[decode] = data.tobytes()
        assert found[decode] == preprocess(path, create_codec("pillow", decode)).tobytes()
    assert found["fast"] != found["exact"]


def test_pictures_may_ask_for_what_scoring_allows(tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES, batch_size=4, limits=Limits(pixels=40 * 60 + 1))
    with pytest.raises(TrainingError, match=r"\.png: \d+ pixels: the limit is 2401 \(Limits.pixels, --max-pixels\)"):
        batches(job, 0, 3)


@pytest.mark.parametrize("scales", [(256, 256), (256, 300)])
def test_what_is_drawn_follows_from_the_batch_alone(scales: tuple[int, int], tmp_path: Path) -> None:
    """Whatever the number of processes, and wherever a run goes on."""
    job = make_job(tmp_path, PICTURES, batch_size=4, scales=scales)
    whole = batches(dataclasses.replace(job, prefetch_workers=1), 0, 8)
    later = batches(dataclasses.replace(job, prefetch_workers=3), 3, 8)
    for (data, labels), (same_data, same_labels) in zip(whole[3:], later, strict=True):
        assert np.array_equal(data, same_data)
        assert np.array_equal(labels, same_labels)


def test_pictures_are_mirrored_and_moved(tmp_path: Path) -> None:
    """Each crop of a picture is one of its crops, as it is or mirrored; over the epochs there are both."""
    job = make_job(tmp_path, PICTURES, batch_size=4)
    rows = json.loads((tmp_path / "pictures" / "pictures.json").read_text())
    job = dataclasses.replace(job, pictures=str(tmp_path / "one.json"))
    Path(str(job.pictures)).write_text(json.dumps(rows[:1]))
    crops = {row.tobytes(): row for data, _ in batches(job, 0, 5) for row in data}
    assert len(crops) > 15
    plain = dataclasses.replace(job, flips=False)
    unflipped = [row for data, _ in batches(plain, 0, 5) for row in data]
    flipped = sum(row.tobytes() not in crops and row[:, :, ::-1].tobytes() in crops for row in unflipped)
    kept = sum(row.tobytes() in crops for row in unflipped)
    assert flipped + kept == len(unflipped)
    assert min(flipped, kept) >= 3


def test_it_learns_from_pictures_and_goes_on_after_a_kill_with_the_same_bits(tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES, iterations=30, snapshot_every=4, base_rate=0.02, scales=(256, 280), iter_size=2)
    unbroken = solve(dataclasses.replace(job, folder=str(tmp_path / "unbroken"), prefetch_workers=1))
    assert unbroken.history[-1].loss < 0.2 < 0.8 < unbroken.history[0].loss
    for moment in ("6", "17"):
        assert run("-c", UNTIL, job.to_json(), moment).returncode == -signal.SIGKILL
    resumed = solve(job, resume=True)
    assert file_sha256(resumed.caffemodel) == file_sha256(unbroken.caffemodel)
    assert losses(resumed) == losses(unbroken)


def test_pictures_in_an_archive_are_read(tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES, batch_size=4)
    rows = json.loads((tmp_path / "pictures" / "pictures.json").read_text())
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for row in rows:
            archive.write(row["source"], Path(row["source"]).name)
            row["source"] = f"{tmp_path / 'all.zip'}!{Path(row['source']).name}"
    (tmp_path / "zipped.json").write_text(json.dumps(rows))
    zipped = batches(dataclasses.replace(job, pictures=str(tmp_path / "zipped.json")), 0, 3)
    for (data, _), (same, _) in zip(batches(job, 0, 3), zipped, strict=True):
        assert np.array_equal(data, same)


def test_a_picture_that_has_changed_or_gone_stops_the_training(tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES)
    path = tmp_path / "pictures" / "3.png"
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(TrainingError, match=r"3\.png is not the picture any more"):
        solve(job)
    path.unlink()
    with pytest.raises(TrainingError, match=r"3\.png: it has gone"):
        solve(job, resume=True)


def test_what_is_no_picture_stops_the_training(tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "pictures" / "pictures.json").write_text(
        json.dumps([{"source": str(tmp_path / "text.png"), "label": 0}])
    )
    with pytest.raises(TrainingError, match=r"text\.png: not in any picture format"):
        solve(job)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is empty"),
        ("[", "cannot be read"),
        ("{}", "is empty"),
        ('[{"source": "a.png"}]', "has to be a list of objects with 'source' and 'label'"),
        ('["a.png"]', "has to be a list of objects with 'source' and 'label'"),
        ('[{"source": "a.png", "label": 0.5}]', "labels have to be whole numbers"),
        ('[{"source": "a.png", "label": true}]', "labels have to be whole numbers"),
        ('[{"source": "a.png", "label": 3}]', "1 labels are not from 0 to 2, .* the first is 3, in row 0"),
        ('[{"source": "a.png", "label": -1}]', "the first is -1, in row 0"),
        ('[{"source": "a.png", "label": 1e400}]', "labels have to be whole numbers"),
        ('[{"source": "a.png", "label": 99999999999999999999}]', "the first is 99999999999999999999, in row 0"),
        ('[{"source": 7, "label": 1}]', "sources have to be text"),
    ],
)
def test_lists_of_pictures_that_are_none_are_refused(content: str, message: str, tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES)
    (tmp_path / "pictures" / "pictures.json").write_text(content)
    with pytest.raises(TrainingError, match=message):
        solve(job)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dim: 3 dim: 224 dim: 224", "dim: 1 dim: 224 dim: 224", "pictures are n x 3 x side x side"),
        (
            "dim: 3 dim: 224 dim: 224",
            "dim: 3 dim: 300 dim: 300",
            "takes 300 pixels a side, more than the 256 of scales",
        ),
    ],
)
def test_networks_that_take_no_pictures_are_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    job = make_job(tmp_path, PICTURES)
    (tmp_path / "train.prototxt").write_text(PICTURES.replace(old, new))
    with pytest.raises(TrainingError, match=message):
        solve(job)
