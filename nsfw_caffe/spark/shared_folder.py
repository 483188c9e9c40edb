"""Snapshots in a folder that driver and executors can all reach, through fsspec, rather than on the driver's disk."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.training.snapshots import KEPT, STATE


@dataclass(frozen=True)
class SharedFolder:
    """A folder by its URI; a snapshot is there when its last file is."""

    uri: str
    storage_options: Mapping[str, object]

    def _open(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(self.uri, **self.storage_options)
        except (ImportError, ValueError) as error:
            raise TrainingError(f"{self.uri} cannot be used for snapshots: {error}") from error
        return system, root.rstrip("/")

    def newest(self) -> str | None:
        """Return the newest snapshot's name."""
        system, root = self._open()
        found = sorted(str(path).split("/")[-2] for path in system.glob(f"{root}/snapshot-*/{STATE}"))
        return found[-1] if found else None

    def fetch(self, name: str, folder: Path) -> None:
        """Get a snapshot."""
        self._get(f"/{name}", folder / name)

    def fetch_weights(self, folder: Path) -> None:
        """Get the weights that were kept."""
        system, root = self._open()
        if system.exists(f"{root}/{KEPT}"):
            self._get(f"/{KEPT}", folder / KEPT)

    def _get(self, place: str, folder: Path) -> None:
        system, root = self._open()
        folder.mkdir(parents=True, exist_ok=True)
        for path in system.ls(root + place, detail=False):
            system.get_file(path, str(folder / str(path).rpartition("/")[2]))

    def keep_snapshot(self, snapshot: Path) -> None:
        """Have a snapshot kept, and the older ones removed."""
        system, root = self._open()
        older = self.newest()
        place = f"{root}/{snapshot.name}"
        system.makedirs(place, exist_ok=True)
        for path in sorted(snapshot.iterdir(), key=lambda path: path.name == STATE):
            system.put_file(str(path), f"{place}/{path.name}")
        if older is not None and older != snapshot.name:
            with contextlib.suppress(FileNotFoundError):
                system.rm(f"{root}/{older}", recursive=True)

    def keep_weights(self, path: Path) -> None:
        """Have weights kept."""
        system, root = self._open()
        system.makedirs(f"{root}/{KEPT}", exist_ok=True)
        system.put_file(str(path), f"{root}/{KEPT}/{path.name}")
