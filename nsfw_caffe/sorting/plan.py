"""Which sources go where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nsfw_caffe.results.record import Record
from nsfw_caffe.sources.reopening import possible_members
from nsfw_caffe.system.files import parts_below

Action = Literal["move", "copy", "link"]

PAST: dict[Action, str] = {"move": "moved", "copy": "copied", "link": "linked"}
"""What has been done."""

_UP = "__"
"""What a part '..' of a path becomes: the target is to be below the folder, whatever the source's name says."""


@dataclass(frozen=True)
class Plan:
    """What to do with which sources: those with a score of the threshold or more, or, with `below`, a lower one."""

    action: Action
    folder: Path
    threshold: float
    below: bool = False

    def targets(self, records: Iterable[Record]) -> Iterator[tuple[Record, Path]]:
        """Yield the records that are meant, and where each goes; what could not be scored is never meant."""
        for record in records:
            if record.score is not None and (record.score < self.threshold) == self.below:
                yield record, target_of(record.source, self.folder)


def target_of(source: str, folder: Path) -> Path:
    """Return where a source goes: to its own path below the folder, an archive's members to a folder ``archive!``."""
    path = next((f"{archive}!/{member}" for archive, member in possible_members(source)), source)
    return folder.joinpath(*(_UP if part == ".." else part for part in parts_below(path)))
