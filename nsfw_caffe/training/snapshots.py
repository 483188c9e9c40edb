"""Snapshots: all that a solver needs to go on with the same bits, whole or not there, each in a folder of its own.

A solver's state names its weights by path; here that is a name without a folder, so a snapshot may be moved.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.system.files import file_sha256, force_to_disk, take_room

_PART = ".snapshot.part"
KEPT = "kept"
"""The folder, within a solver's, of weights that are kept."""

DIVERGED = "diverged"
"""The file, within a solver's folder, that says that its loss became infinite: going on would give the same."""

_HISTORY = "history.jsonl"
STATE = "state.json"
"""The file that is the last to come."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_SPARE = 1 << 16
"""Bytes a layer's names and the like may take, for a file."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that is whole."""

    folder: Path
    iteration: int
    job: dict[str, Any]
    """What tells whether a job is the one that it is of."""
    threads: int | None
    """OpenBLAS's, where it has some."""
    hashes: dict[str, str]

    @property
    def caffemodel(self) -> Path:
        """The weights."""
        return self.folder / f"solver_iter_{self.iteration}.caffemodel"

    @property
    def state(self) -> Path:
        """The solver's state."""
        return self.folder / f"solver_iter_{self.iteration}.solverstate"

    def history(self) -> list[dict[str, Any]]:
        """Return what each iteration gave."""
        return [json.loads(line) for line in (self.folder / _HISTORY).read_text().splitlines()]

    def check(self) -> None:
        """Raise TrainingError if its files are not what was written."""
        for name, sha256 in self.hashes.items():
            path = self.folder / name
            if not path.is_file() or file_sha256(path) != sha256:
                raise TrainingError(
                    f"{self.folder} is damaged: {name} is not what was written; remove it to start anew"
                )


def newest(folder: Path) -> Snapshot | None:
    """Return the newest snapshot in a folder, None where there is none; TrainingError if it cannot be read."""
    found = sorted(folder.glob("snapshot-*"), key=lambda path: path.name)
    if not found:
        return None
    try:
        state = json.loads((found[-1] / STATE).read_text())
        return Snapshot(found[-1], state["iteration"], state["job"], state["threads"], state["hashes"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{found[-1]} is damaged: it has no {STATE}; remove it to start anew") from error


@dataclass(frozen=True)
class Content:
    """What a snapshot holds besides what Caffe writes."""

    iteration: int
    job: dict[str, Any]
    threads: int | None
    history: str
    """JSON lines."""


def write_snapshot(folder: Path, content: Content, sizes: tuple[int, int], write: Callable[[], object]) -> Snapshot:
    """Let `write` write the files in the working folder, and keep them under the snapshot's name; the older ones go.

    `sizes` are the bytes of numbers in caffemodel and solverstate. TrainingError, and nothing changed, without room.
    """
    part = folder / _PART
    target = folder / f"snapshot-{content.iteration:010d}"
    shutil.rmtree(part, ignore_errors=True)
    with _told(folder, f"the snapshot of iteration {content.iteration}"):
        try:
            part.mkdir()
            reserve(part, sum(sizes) + 2 * _SPARE + len(content.history))
            with contextlib.chdir(part):
                write()
            (part / _HISTORY).write_text(content.history)
            snapshot = _seal(part, content, sizes)
            for path in part.iterdir():
                force_to_disk(path)
            force_to_disk(part)
            part.rename(target)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    force_to_disk(folder)
    for path in folder.glob("snapshot-*"):
        if path != target:
            shutil.rmtree(path, ignore_errors=True)
    return Snapshot(target, snapshot.iteration, snapshot.job, snapshot.threads, snapshot.hashes)


def _seal(part: Path, content: Content, sizes: tuple[int, int]) -> Snapshot:
    snapshot = Snapshot(part, content.iteration, content.job, content.threads, {})
    for path, size in zip((snapshot.caffemodel, snapshot.state), sizes, strict=True):
        if path.stat().st_size < size:  # what a stream of C++ has not written it does not always tell
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        snapshot.hashes[path.name] = file_sha256(path)
    fields = {
        "iteration": content.iteration, "job": content.job, "threads": content.threads, "hashes": snapshot.hashes
    }  # fmt: skip
    (part / STATE).write_text(json.dumps(fields))
    return snapshot


def kept_weights(folder: Path) -> dict[int, Path]:
    """Give the weights that are kept of a solver's iterations, by their numbers."""
    paths = (folder / KEPT).glob("iteration_*.caffemodel")
    return dict(sorted((int(path.stem.rpartition("_")[2]), path) for path in paths))


def clear(folder: Path) -> None:
    """Remove what a process that has died was writing."""
    shutil.rmtree(folder / _PART, ignore_errors=True)
    for part in (folder / KEPT).glob(".*"):
        part.unlink(missing_ok=True)


def write_weights(path: Path, size: int, write: Callable[[str], object]) -> None:
    """Let `write` write a caffemodel with so many bytes of numbers beside a path, which is there when it is whole."""
    part = path.with_name(f".{path.name}.part")
    with _told(path.parent, path.name):
        try:
            path.parent.mkdir(exist_ok=True)
            reserve(path.parent, size + _SPARE)
            write(str(part))
            if part.stat().st_size < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            force_to_disk(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file; TrainingError where it cannot be written."""
    with _told(path.parent, path.name):
        path.write_text(text, encoding="utf-8")


def reserve(folder: Path, size: int) -> None:
    """Raise OSError where there is no room for so many bytes: Caffe ends the process when it finds that out."""
    path = folder / ".reserve"
    try:
        take_room(path, size)
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _told(folder: Path, what: str) -> Iterator[None]:
    """Make a TrainingError of the system's."""
    try:
        yield
    except OSError as error:
        kept = newest(folder) or newest(folder.parent)
        last = "there is no snapshot before it" if kept is None else f"the snapshot of iteration {kept.iteration} stays"
        if error.errno in _NO_ROOM:
            raise TrainingError(
                f"{folder}: no room for {what} ({error.strerror}); {last}; make room and resume"
            ) from error
        raise TrainingError(f"{folder}: {what} cannot be written ({error.strerror}); {last}") from error
