"""The hidden folder, in the one of the model, of what a training goes on from; it goes when the model is there."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nsfw_caffe.errors import ModelError, TrainingError
from nsfw_caffe.model.folder import DESCRIPTION, require_room
from nsfw_caffe.model.spec import OPEN_NSFW
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.system.files import file_sha256, write_file
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.data import Dataset
from nsfw_caffe.training.options import TrainingOptions
from nsfw_caffe.training.snapshots import DIVERGED

_WORK = ".training"
_DONE = ".training.done"
"""What it is called while it is deleted."""

_STATE = "state.json"

_WRITING = "writing"
"""It is there from when the model's files, which come one by one, begin to come."""


def work_folder(folder: Path, *, resume: bool) -> Path:
    """Make the folder, or find the one of a training that was stopped; TrainingError where that is not wanted."""
    work = folder / _WORK
    if (folder / DESCRIPTION).exists() and not (work / _STATE).exists():
        shutil.rmtree(folder / _DONE, ignore_errors=True)
        if resume:
            raise TrainingError(
                f"{folder} is a model already, whose training has ended: there is nothing to go on with"
            )
    if not (resume and (work / _WRITING).exists()):
        try:
            require_room(folder)
        except ModelError as error:
            raise TrainingError(str(error)) from error
    if not resume and any(work.glob(f"**/{DIVERGED}")):
        _start_anew(work)
    if (work / _STATE).exists() and not resume:
        raise TrainingError(
            f"{folder} has a training that was stopped: go on with it (--resume, resume=True), or delete {work}"
        )
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{work} cannot be made ({reason(error)})") from error
    return work


def _start_anew(work: Path) -> None:
    """Forget what a solver has done; features stay, whose files are named for what they are of."""
    (work / _STATE).unlink(missing_ok=True)
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def as_it_was(folder: Path) -> Iterator[None]:
    """Leave a folder as it was where something goes wrong before there is anything to go on with."""
    made = not folder.exists()
    try:
        yield
    except BaseException:
        work = folder / _WORK
        if not (work / _STATE).exists() and not any(work.glob("features-*")):
            shutil.rmtree(work, ignore_errors=True)
            if made:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise


def begin_writing(work: Path) -> None:
    """Note that the model's files begin to come: what there is of them, a training that goes on writes anew."""
    try:
        (work / _WRITING).touch()
    except OSError as error:
        raise TrainingError(f"{work} cannot be written ({reason(error)}); --resume goes on") from error


def remove(work: Path) -> None:
    """Remove the folder, of which nothing is needed any more."""
    done = work.with_name(_DONE)
    try:
        shutil.rmtree(done, ignore_errors=True)
        work.rename(done)  # at once: half of it would be a training that cannot go on
    except OSError:
        done = work
    shutil.rmtree(done, ignore_errors=True)


def asked(options: TrainingOptions) -> dict[str, Any]:
    """Give the options as JSON can have them."""
    weights = None if options.weights is None else str(options.weights)
    return dataclasses.asdict(options) | {"weights": weights, "scales": list(options.scales)}


def check_state(work: Path, options: TrainingOptions, scoring: ScoringOptions, network: str, dataset: Dataset) -> None:
    """Keep what a training is of; TrainingError where the one that was stopped is of something else."""
    path = work / _STATE
    how = dataclasses.asdict(scoring)
    del how["limits"]
    state = {
        "options": asked(options),
        "weights": weights_sha256(options),
        "scoring": how,
        "network": hashlib.sha256(network.encode()).hexdigest(),
        "data": data_sha256(dataset),
    }
    try:
        if path.exists():
            known = json.loads(path.read_text("utf-8"))
            differing = [name for name in state if known.get(name) != state[name]]
            if differing:
                raise TrainingError(
                    f"{work.parent} has a training that was stopped, with another {' and other '.join(differing)}: "
                    f"give the same again, or delete {work}"
                )
        else:
            write_file(path, json.dumps(state).encode())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read or written ({reason(error)}): delete {work}") from error


def weights_sha256(options: TrainingOptions) -> str:
    """Give the hash of the caffemodel that training begins with."""
    return OPEN_NSFW.caffemodel.sha256 if options.weights is None else file_sha256(Path(options.weights))


def data_sha256(dataset: Dataset) -> str:
    """Give a hash of the pictures, their labels and their sides."""
    pictures = [[p.sha256, p.label, bool(held)] for p, held in zip(dataset.pictures, dataset.held, strict=True)]
    return hashlib.sha256(json.dumps([dataset.classes, pictures]).encode()).hexdigest()
