"""A model folder: a model of one's own as one thing, of which `model.json` says what the two files cannot.

    mymodel/deploy.prototxt      the network, as Caffe loads it
    mymodel/mymodel.caffemodel   its weights
    mymodel/model.json           the classes, in the order of the outputs; both files' sizes and SHA-256

Nothing of it is used unless both files are what `model.json` says.
"""

from __future__ import annotations

import contextlib
import json
import os
import reprlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from nsfw_caffe.errors import ModelError
from nsfw_caffe.model.spec import INPUT_SHAPE, MEAN_BGR, OPEN_NSFW, SCORE_CLASS, ModelFile, ModelFiles, reading
from nsfw_caffe.system.files import file_sha256, force_to_disk
from nsfw_caffe.system.reading import read_file, reason

DESCRIPTION = "model.json"
PROTOTXT = "deploy.prototxt"

_FORMAT = 1
"""Of `model.json`: a later one may say what is not known here, and is refused."""

_INPUT = {"shape": list(INPUT_SHAPE), "mean_bgr": list(MEAN_BGR)}
"""What the network takes, which is what preprocessing gives: `model.json` says it, and it has to be the same."""

_OWN = ("format", "classes", "score_class", "input", "prototxt", "caffemodel")
"""What of `model.json` is read here; the rest are `details`."""

_LARGEST = 1 << 28
"""Bytes of `model.json`, in which training may list each picture."""

_Json: TypeAlias = Mapping[str, Any]
_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class ModelFolder:
    """What is known of a model folder whose files are whole.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    prototxt, caffemodel : ModelFile
        Its two files.
    classes : tuple of str
        The classes, in the order of the network's outputs.
    score_class : str or None
        The class that the score is of where none is asked for; None where one has to be.
    details : mapping
        All else that `model.json` says: how it was trained, for example.
    """

    path: Path
    prototxt: ModelFile
    caffemodel: ModelFile
    classes: tuple[str, ...]
    score_class: str | None
    details: Mapping[str, Any] = field(default_factory=dict)

    def files(self, score_class: str | None = None) -> ModelFiles:
        """Give the two files, with the class that the score is of; ModelError where that is none, or has to be said."""
        wanted = self.score_class if score_class is None else score_class
        names = ", ".join(self.classes)
        if wanted is None:
            raise ModelError(
                f"{self.path} has the classes {names}: say which one the score is of (--class, score_class)"
            )
        files = ModelFiles(
            self.path / self.prototxt.name, self.path / self.caffemodel.name, self._is_original(), self.classes
        )
        return files.scoring(wanted)

    def _is_original(self) -> bool:
        pairs = zip((self.prototxt, self.caffemodel), OPEN_NSFW.files, strict=True)
        return all((ours.size, ours.sha256) == (file.size, file.sha256) for ours, file in pairs)


def default_score_class(classes: Sequence[str]) -> str | None:
    """Choose the class that the score is of: ``nsfw``, else the second of two; None where there are more."""
    if SCORE_CLASS in classes:
        return SCORE_CLASS
    return classes[1] if len(classes) == 2 else None


def read_model_folder(path: str | os.PathLike[str]) -> ModelFolder:
    """Read a model folder, and check that both of its files are whole; ModelError names the file and what is wrong."""
    folder = Path(path)
    described = _read_description(folder)
    where = folder / DESCRIPTION
    classes = checked_classes(_member(described, "classes", list, where), where)
    score_class = described.get("score_class")
    if score_class is not None and score_class not in classes:
        raise ModelError(f"{where}: score_class is {score_class!r}, which is none of the classes {', '.join(classes)}")
    if described.get("input", _INPUT) != _INPUT:
        raise ModelError(
            f"{where}: the input is {described['input']}; it has to be {_INPUT}, which is what pictures become"
        )
    prototxt, caffemodel = (_model_file(described, name, where) for name in ("prototxt", "caffemodel"))
    for file in (prototxt, caffemodel):
        difference = file.difference(folder / file.name)
        if difference is not None:
            raise ModelError(f"{folder / file.name} is not what {DESCRIPTION} says: {difference}")
    details = {name: value for name, value in described.items() if name not in _OWN}
    found = ModelFolder(folder, prototxt, caffemodel, classes, score_class, details)
    if found._is_original() and len(classes) != 2:
        raise ModelError(f"{where}: there are {len(classes)} classes; the original network has 2")
    return found


def _read_description(folder: Path) -> _Json:
    where = folder / DESCRIPTION
    with reading(folder):
        if not folder.exists():
            raise ModelError(f"{folder}: no such folder")
        if not folder.is_dir():
            raise ModelError(f"{folder} is a file; a model folder has {PROTOTXT}, a .caffemodel and {DESCRIPTION}")
        if not where.exists():
            raise ModelError(
                f"{folder} is no model folder: it has no {DESCRIPTION}; "
                "two files alone are given as --prototxt and --caffemodel (prototxt, caffemodel)"
            )
    with reading(where):
        content = read_file(where, _LARGEST)
    try:
        described = json.loads(content.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where} cannot be read as JSON: {reason(error)}") from error
    if not isinstance(described, dict):
        raise ModelError(f"{where}: expected a JSON object")
    if _member(described, "format", int, where) != _FORMAT:
        raise ModelError(
            f"{where} has format {described['format']}; this version of nsfw_caffe reads format {_FORMAT}: upgrade it"
        )
    return described


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _member(described: _Json, name: str, kind: type[_Kind], where: Path | str) -> _Kind:
    value = described.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelError(f"{where}: {name} is {_shown(value)}; expected {_KINDS[kind]}")
    return value


_KINDS: dict[type, str] = {list: "a list", dict: "an object", str: "text", int: "a whole number"}


def _shown(value: object) -> str:
    return "missing" if value is None else reprlib.repr(value)


def checked_classes(names: Sequence[object], where: Path | str) -> tuple[str, ...]:
    """Give names of classes; ModelError where they are none, or fewer than two."""
    classes = []
    for name in names:
        if not isinstance(name, str) or not name or not name.isprintable() or name != name.strip():
            raise ModelError(f"{where}: {_shown(name)} is no name of a class: expected text that can be printed")
        classes.append(name)
    if len(classes) < 2:
        raise ModelError(f"{where}: expected two classes or more, found {len(classes)}")
    if len(set(classes)) < len(classes):
        raise ModelError(f"{where}: a class stands twice among {', '.join(classes)}")
    return tuple(classes)


def _model_file(described: _Json, which: str, where: Path) -> ModelFile:
    """Read what is said of a file, which lies in the folder itself."""
    found = _member(described, which, dict, where)
    within = f"{where}: {which}"
    file = ModelFile(
        _member(found, "name", str, within), _member(found, "size", int, within), _member(found, "sha256", str, within)
    )
    if file.name in ("", ".", "..", DESCRIPTION) or "/" in file.name or "\0" in file.name:
        raise ModelError(f"{within}: name is {_shown(file.name)}; expected that of a file in the folder")
    return file


def write_model_folder(
    path: str | os.PathLike[str],
    prototxt: str,
    caffemodel: Path,
    classes: Sequence[str],
    *,
    score_class: str | None = None,
    details: Mapping[str, Any] | None = None,
    others: Mapping[str, bytes] | None = None,
    overwrite: bool = False,
) -> ModelFolder:
    """Write a model folder whole or not at all: without `model.json`, which comes last, it is none.

    The folder must not be there, or hold nothing but hidden files, which stay: what training keeps to go on from.

    Parameters
    ----------
    path : path
        The folder, after which the caffemodel is named.
    prototxt : str
        What `deploy.prototxt` is to hold.
    caffemodel : pathlib.Path
        The file that is copied.
    classes : sequence of str
        Two or more, in the order of the network's outputs.
    score_class : str, optional
        See `ModelFolder`; `default_score_class` by default.
    details : mapping, optional
        What else `model.json` is to say, as JSON can.
    others : mapping, optional
        Further files, by name.
    overwrite : bool, default False
        Replace files of these names, where the folder is there already and is known to be a model's.

    Raises
    ------
    ValueError
        If a name among the details is one of `model.json`'s own.
    ModelError
        If something is there already, the classes are none, or the folder cannot be written: the disk is full for
        example.
    """
    folder = Path(path)
    names = checked_classes(classes, folder)
    if score_class is not None and score_class not in names:
        raise ModelError(f"{folder}: score_class is {score_class!r}, which is none of the classes {', '.join(names)}")
    details = details or {}
    if taken := set(_OWN).intersection(details):
        raise ValueError(f"details: {', '.join(sorted(taken))} is said already")
    contents = {PROTOTXT: prototxt.encode(), **(others or {})}
    weights = f"{folder.resolve().name}.caffemodel"
    try:
        if not overwrite:
            require_room(folder)
        with part_of(folder) as part:
            for name, content in contents.items():
                (part / name).write_bytes(content)
            shutil.copyfile(caffemodel, part / weights)
            described = {
                "format": _FORMAT,
                "classes": names,
                "score_class": score_class or default_score_class(names),
                "input": _INPUT,
                "prototxt": _described(part / PROTOTXT),
                "caffemodel": _described(part / weights),
                **details,
            }
            text = json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False)
            (part / DESCRIPTION).write_text(f"{text}\n", encoding="utf-8")
            publish(part, [*contents, weights, DESCRIPTION], folder)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {reason(error)}") from error
    return read_model_folder(folder)


def require_room(folder: Path) -> None:
    """Raise ModelError where a model folder cannot be written because there is something already."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ModelError(f"{folder} is there already, and is no folder: give another name")
    found = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    if found:
        raise ModelError(f"{folder} is there already, and holds {found[0]}: give another folder, or empty it")


@contextlib.contextmanager
def part_of(folder: Path) -> Iterator[Path]:
    """Make a hidden folder in one, or beside one that is not there; it is gone at the end, or has that one's name."""
    parent = folder if folder.is_dir() else folder.parent  # beside a mounted one, nothing may be written
    parent.mkdir(parents=True, exist_ok=True)
    part = parent / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def publish(part: Path, names: Sequence[str], folder: Path) -> None:
    """Give a folder its name, or its files their place in the one that it is in: in this order."""
    for name in names:
        force_to_disk(part / name)
    force_to_disk(part)
    if part.parent == folder:
        (folder / DESCRIPTION).unlink(missing_ok=True)
        for name in names:
            (part / name).replace(folder / name)
        force_to_disk(folder)
    else:
        part.rename(folder)
        force_to_disk(folder.parent)


def _described(path: Path) -> _Json:
    return {"name": path.name, "size": path.stat().st_size, "sha256": file_sha256(path)}
