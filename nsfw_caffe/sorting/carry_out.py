"""One source to its target: what would happen, and doing it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nsfw_caffe.results.record import Record
from nsfw_caffe.sorting import files
from nsfw_caffe.sorting.order import PAST, Action
from nsfw_caffe.sources.reopening import Sources, SourceUnusable, split_member

_TAKEN = "there is another file at the target"


@dataclass(frozen=True)
class Outcome:
    """What has become of a source.

    Attributes
    ----------
    state : str
        "ready" if it can be done, "done" if it has been, "before" if it had been already, "skipped" if it cannot be.
    reason : str or None
        Why it was skipped.
    """

    state: Literal["ready", "done", "before", "skipped"]
    reason: str | None = None


def foresee(record: Record, target: Path, action: Action) -> Outcome:
    """Find out what `carry_out` would do, and change nothing.

    An interrupted run goes on when it is repeated: a source whose content is at its target already counts as "before",
    or, where it has to be removed after a move, as "ready". Where something else is at the target, it is skipped.
    """
    return _attempt(lambda: _foresee(record, target, action), target)


def carry_out(record: Record, target: Path, action: Action, sources: Sources) -> Outcome:
    """Move, copy or link a source to its target; whatever happens, no file is overwritten and no content lost.

    Parameters
    ----------
    record : Record
        The source's row; a source whose size, time or content is another now is skipped.
    target : pathlib.Path
        Where to; its folder is made.
    action : str
        "move", "copy" or "link"; a member of an archive can only be copied. A link is a symbolic one to the source's
        absolute path.
    sources : Sources
        What reads the source.

    Returns
    -------
    Outcome
        "done", "before" or "skipped".
    """
    return _attempt(lambda: _carry_out(record, target, action, sources), target)


def _attempt(step: Callable[[], Outcome], target: Path) -> Outcome:
    """Do a step and make of what is in its way, whenever it comes there, an outcome."""
    try:
        return step()
    except SourceUnusable as error:
        return Outcome("skipped", str(error))
    except FileExistsError:  # since it was looked for
        return Outcome("skipped", _TAKEN)
    except OSError as error:
        return Outcome("skipped", f"{target}: {error.strerror or error}")


def _carry_out(record: Record, target: Path, action: Action, sources: Sources) -> Outcome:
    outcome = _foresee(record, target, action)
    if outcome.state != "ready":
        return outcome
    target.parent.mkdir(parents=True, exist_ok=True)
    if action == "link":
        target.symlink_to(os.path.abspath(record.source))  # noqa: PTH100 - resolve would follow links
    elif action == "copy":
        files.copy(record, target, sources)
    elif os.path.lexists(target):
        files.finish_move(record, target)
    else:
        files.move(record, target, sources)
    return Outcome("done")


def _foresee(record: Record, target: Path, action: Action) -> Outcome:
    if "\0" in record.source:
        raise SourceUnusable("no file can have this name")
    if os.path.lexists(target):
        return _foresee_at_target(record, target, action)
    _check_source(record, action)
    return Outcome("ready")


def _foresee_at_target(record: Record, target: Path, action: Action) -> Outcome:
    if action == "link":
        is_link = target.is_symlink() and os.readlink(target) == os.path.abspath(record.source)  # noqa: PTH100, PTH115
        return Outcome("before") if is_link else Outcome("skipped", _TAKEN)
    if not files.has_content(target, record):
        return Outcome("skipped", _TAKEN)
    if action == "copy" or not os.path.lexists(record.source):
        return Outcome("before")
    _check_source(record, action)
    if files.same_entry(Path(record.source), target):
        raise SourceUnusable("the target is the source itself")
    return Outcome("ready")


def _check_source(record: Record, action: Action) -> None:
    if split_member(record.source) is not None:
        if action != "copy":
            raise SourceUnusable(f"a member of an archive: copy it, it is no file that could be {PAST[action]}")
        return
    files.check_file(record)
    if action == "move" and Path(record.source).is_symlink():
        raise SourceUnusable("a symbolic link: copy or link it, moved it could point nowhere")
