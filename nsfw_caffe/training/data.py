"""Labelled sources to pictures: each content once, and which of them are held out."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EvaluationError, ImageError, ModelError, ResultsError, TrainingError
from nsfw_caffe.evaluate.labelled import require
from nsfw_caffe.evaluate.load import LABELS, read_table
from nsfw_caffe.model.folder import checked_classes
from nsfw_caffe.parallel.ordered_map import ordered_map
from nsfw_caffe.preprocessing.decoder_warnings import collected, heedless, load
from nsfw_caffe.preprocessing.jpeg import JPEG_FORMATS, JpegCodec
from nsfw_caffe.preprocessing.limits import Limits
from nsfw_caffe.preprocessing.opening import open_picture
from nsfw_caffe.preprocessing.steps import preprocess
from nsfw_caffe.results.names import decode_name
from nsfw_caffe.sources.archive import is_archive, without_ending
from nsfw_caffe.sources.find import find_items
from nsfw_caffe.sources.item import Content, Item, read
from nsfw_caffe.sources.reopening import split_member
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.system.processes import available_cores
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.libraries import load as load_library

LEAST = 10
"""Pictures that a class needs: with fewer, nothing can be said of what was learned."""

NEAR = 4
"""Bits, of 64, in which the perceptual hashes of two pictures may differ that are taken for one; copies that were made
smaller or compressed again differ in 0 to 4."""

_PAIRS = 1 << 20
"""Pairs of pictures that look alike that are held in memory at once."""

_TABLES = (".csv", ".jsonl", ".parquet", ".sqlite")

_SPLITS = {"train": False, "training": False, "test": True, "holdout": True, "held-out": True, "val": True}
"""What the column `split` may say, and whether that is the part held out."""

_SELECTION = Selection()

_NAMED = Selection(hidden=True)
"""For what a table names itself."""

_READ_AHEAD = 2
"""Files a thread that may wait, as a whole in memory."""

_Path: TypeAlias = str | os.PathLike[str]

Data: TypeAlias = _Path | Mapping[str, _Path | Iterable[_Path]]
"""A folder with a folder a class, a table with source and label, or each class's sources."""

Progress: TypeAlias = Callable[[str, int, "int | None"], object]
"""Told what is done, how much of it, and how much there is, where that is known."""


class LabelledSource(NamedTuple):
    """What a user has said of a folder, an archive or a picture."""

    path: str
    label: str
    held: bool | None


class Picture(NamedTuple):
    """A content, under the first of its names."""

    source: str
    label: int
    sha256: str
    look: int | None  # its perceptual hash, 64 bits; None where there is none
    held: bool | None  # where a table says on which side it is
    format: str | None = None  # Pillow's name of it


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pictures, each content once, in the order of their hashes."""

    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    held: npt.NDArray[np.bool_]
    """Which of them are held out."""
    alike: npt.NDArray[np.int64]
    """The number of the group of pictures that look alike, for each."""
    failures: tuple[tuple[str, str], ...]
    repeats: int
    """Sources with the content of another one, left out."""
    too_near: int
    """Pictures left out of what is trained on, because one that looks the same is held out by the user's table."""

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """The number of each picture's class."""
        return np.array([picture.label for picture in self.pictures], np.int64)

    def counts(self, held: bool) -> dict[str, int]:
        """Count the pictures of each class on one side."""
        found = np.bincount(self.labels[self.held == held], minlength=len(self.classes))
        return dict(zip(self.classes, found.tolist(), strict=True))


def labelled_sources(data: Data) -> list[LabelledSource]:
    """List what is labelled; TrainingError where that is nothing, or no data at all."""
    if isinstance(data, Mapping):
        return [LabelledSource(path, label, None) for label, named in data.items() for path in _paths(named)]
    path = Path(data)
    if path.is_dir():
        return _of_folders(path)
    if path.name.lower().endswith(_TABLES):
        return _of_table(path)
    if not os.path.lexists(path):
        raise TrainingError(f"{path}: there is no such folder or table")
    raise TrainingError(f"{path}: expected a folder with one folder a class, or a table ({', '.join(_TABLES)})")


def class_names(sources: Iterable[LabelledSource]) -> tuple[str, ...]:
    """Give the classes in the order of the network's outputs: sfw and nsfw as in the original, others by name."""
    found = {source.label for source in sources}
    if found == {"sfw", "nsfw"}:
        return ("sfw", "nsfw")
    if len(found) < 2:
        raise TrainingError(
            f"there is {'one class' if found else 'no class'} ({', '.join(found) or 'nothing is labelled'}): "
            "training needs pictures of two or more"
        )
    if found <= _SPLITS.keys():
        raise TrainingError(
            f"the classes are {', '.join(sorted(found))}: give a folder that has a folder a class, or a table whose "
            "column split says which pictures are held out"
        )
    try:
        return checked_classes(sorted(found), "labels")
    except ModelError as error:
        raise TrainingError(str(error)) from error


def items(sources: Iterable[LabelledSource]) -> Iterator[tuple[Item, LabelledSource]]:
    """Find the pictures of labelled sources; a member can be read until the next one is asked for.

    Members that are named one by one come last, and each archive is read once.
    """
    members: dict[str, dict[str, list[LabelledSource]]] = {}
    for source in sources:
        parts = split_member(source.path) if "!" in source.path else None
        if parts is not None:
            members.setdefault(parts[0], {}).setdefault(source.path, []).append(source)
            continue
        for item in find_items([source.path], _SELECTION):
            yield item, source
    for archive, named in members.items():
        yield from _members(archive, named)


def _members(archive: str, named: dict[str, list[LabelledSource]]) -> Iterator[tuple[Item, LabelledSource]]:
    why = "the archive has no such member"
    for item in find_items([archive], _NAMED):
        if item.source == archive:
            why = item.error or why
        rows = named.pop(item.source, [])
        held = item.hold() if rows else None
        for source in rows:
            yield held or Item(item.source, error="the archive breaks off in it"), source
    for name, rows in named.items():
        for source in rows:
            yield Item(name, error=why), source


def _paths(named: _Path | Iterable[_Path]) -> list[str]:
    return [os.fspath(path) for path in ([named] if isinstance(named, (str, os.PathLike)) else named)]


def _of_folders(path: Path) -> list[LabelledSource]:
    found = []
    try:
        entries = sorted(path.iterdir())
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({reason(error)})") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            found.append(LabelledSource(str(entry), entry.name, None))
        elif is_archive(entry.name):
            found.append(LabelledSource(str(entry), without_ending(entry.name), None))
    if not found:
        raise TrainingError(
            f"{path}: there is no folder in it: put each class's pictures into one, named for the class"
        )
    return found


def _of_table(path: Path) -> list[LabelledSource]:
    try:
        table = read_table(path, {"source", "label", "split"})
        require(table, ["source", "label"], path)
    except (EvaluationError, ResultsError) as error:
        raise TrainingError(
            f"{error}; a table has the columns source, label and, if wanted, split, and a CSV is in UTF-8 with commas"
        ) from error
    sources, labels = table["source"].to_pylist(), table["label"].to_pylist()
    splits = table["split"].to_pylist() if "split" in table.column_names else [None] * len(sources)
    for row, (source, label) in enumerate(zip(sources, labels, strict=True), 1):
        if not source or not label or not label.strip():
            raise TrainingError(f"{path}: row {row} has no {'label' if source else 'source'}")
    names = {label: label.strip() for label in set(labels)}
    if all(name.lower() in LABELS for name in names.values()):
        names = {label: "nsfw" if LABELS[name.lower()] else "sfw" for label, name in names.items()}
    return [
        LabelledSource(decode_name(source), names[label], _side(split, path))
        for source, label, split in zip(sources, labels, splits, strict=True)
    ]


def _side(split: str | None, path: Path) -> bool | None:
    if split is None or not split.strip():
        return None
    if split.strip().lower() not in _SPLITS:
        raise TrainingError(f"{path}: {split!r} is no split: expected {', '.join(_SPLITS)}")
    return _SPLITS[split.strip().lower()]


def gather(
    sources: list[LabelledSource],
    *,
    holdout: float,
    seed: int,
    codec: JpegCodec,
    limits: Limits,
    progress: Progress | None = None,
) -> Dataset:
    """Read all pictures once, and decide which are held out.

    TrainingError: a class has too few pictures, or one content is labelled as two classes.
    """
    load_library("imagehash")
    classes = class_names(sources)
    found = _Found(classes)
    threads = available_cores()

    def look_at(labelled: tuple[Item, LabelledSource]) -> tuple[Content, int | None, str | None]:
        content = read(labelled[0], limits)
        if content.data is None:
            return content, None, content.error
        return content, *look_of(content.data, codec, limits)

    work = ordered_map(look_at, _held_items(sources), threads, _READ_AHEAD, lambda item: item[0].size or 0)
    for done, ((item, source), (content, look, error)) in enumerate(work, 1):
        found.add(item, source, content, look, error)
        if progress is not None:
            progress("pictures read", done, None)
    return found.dataset(holdout, seed)


def _held_items(sources: list[LabelledSource]) -> Iterator[tuple[Item, LabelledSource]]:
    for item, source in items(sources):
        held = item.hold()
        if held is not None:
            yield held, source


def look_of(data: bytes, codec: JpegCodec, limits: Limits) -> tuple[int | None, str | None]:
    """Give a picture's perceptual hash; or else what is in the way of scoring it, if anything is."""
    phash = load_library("imagehash").phash
    try:
        with collected():
            picture = heedless(lambda: open_picture(data, limits))
            if picture.format in JPEG_FORMATS:
                picture.draft("L", (128, 128))  # decoded at an eighth of its size, where that is enough
            load(picture)
            bits = phash(picture).hash
    except Exception:  # noqa: BLE001 - what Pillow's plugins raise is no closed list; what scoring says of it counts
        return None, _why_not(data, codec, limits)
    return int.from_bytes(np.packbits(bits).tobytes(), "big"), None


def _why_not(data: bytes, codec: JpegCodec, limits: Limits) -> str | None:
    try:
        with collected():
            preprocess(data, codec, limits)
    except ImageError as error:
        return error.reason
    return None


class _Found:
    """What has been read so far."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._pictures: dict[str, Picture] = {}
        self._failures: list[tuple[str, str]] = []
        self._repeats = 0

    def add(self, item: Item, source: LabelledSource, content: Content, look: int | None, error: str | None) -> None:
        sha256 = content.sha256
        if error is not None or sha256 is None:
            self._failures.append((item.source, error or "cannot be read"))
            return
        label = self._classes.index(source.label)
        known = self._pictures.get(sha256)
        if known is None:
            self._pictures[sha256] = Picture(item.source, label, sha256, look, source.held, content.format)
            return
        if known.label != label and known.source == item.source:
            raise TrainingError(
                f"{item.source} is labelled both {self._classes[known.label]} and {source.label}: decide for one"
            )
        if known.label != label:
            raise TrainingError(
                f"{known.source} is labelled {self._classes[known.label]}, and {item.source}, which is the same "
                f"picture, {source.label}: decide for one"
            )
        self._repeats += 1
        if source.held:  # what is held out anywhere is never trained on
            self._pictures[sha256] = known._replace(held=True)

    def dataset(self, holdout: float, seed: int) -> Dataset:
        pictures = sorted(self._pictures.values(), key=lambda picture: picture.sha256)
        check_counts(self._classes, (picture.label for picture in pictures), self._failures)
        alike = groups_alike([picture.look for picture in pictures])
        labels = np.array([picture.label for picture in pictures])
        held = _given(pictures) if any(picture.held for picture in pictures) else draw(labels, alike, holdout, seed)
        near = ~held & np.isin(alike, alike[held])  # of a table's own split; `draw` leaves none
        kept = np.flatnonzero(~near)
        found = Dataset(
            self._classes,
            tuple(pictures[index] for index in kept),
            held[kept],
            alike[kept],
            tuple(self._failures),
            self._repeats,
            int(near.sum()),
        )
        return check_sides(found)


def check_counts(classes: tuple[str, ...], labels: Iterable[int], failures: Sequence[tuple[str, str]]) -> None:
    """Raise TrainingError where a class has too few pictures to say anything of what was learned."""
    counts = Counter(labels)
    for label, name in enumerate(classes):
        if counts[label] < LEAST:
            left_out = f"; left out is {failures[0][0]}: {failures[0][1]}" if failures else ""
            raise TrainingError(
                f"class {name} has {counts[label]} different pictures that can be read; it needs {LEAST} or more"
                f"{left_out}"
            )


def only(dataset: Dataset, *, held: bool) -> Dataset:
    """Give the pictures of one side."""
    kept = np.flatnonzero(dataset.held == held)
    pictures = tuple(dataset.pictures[row] for row in kept)
    return dataclasses.replace(dataset, pictures=pictures, held=dataset.held[kept], alike=dataset.alike[kept])


def without(dataset: Dataset, failures: Mapping[int, str]) -> tuple[Dataset, npt.NDArray[np.int64]]:
    """Leave pictures out that could not be scored after all; give the rest, and which they were."""
    kept = np.array([row for row in range(len(dataset.pictures)) if row not in failures], np.int64)
    named = tuple((dataset.pictures[row].source, why) for row, why in sorted(failures.items()))
    pictures = tuple(dataset.pictures[row] for row in kept)
    rest = dataclasses.replace(
        dataset,
        pictures=pictures,
        held=dataset.held[kept],
        alike=dataset.alike[kept],
        failures=dataset.failures + named,
    )
    check_counts(rest.classes, (picture.label for picture in pictures), rest.failures)
    return check_sides(rest), kept


def check_sides(dataset: Dataset) -> Dataset:
    """Give a dataset that has pictures of each class on both sides; TrainingError where one has not."""
    for held, where in ((False, "to train on"), (True, "held out")):
        for name, count in dataset.counts(held).items():
            if not count:
                raise TrainingError(
                    f"class {name} has no picture {where}: its pictures look the same, the table's splits have none, "
                    "or the held-out share leaves none"
                )
    return dataset


def _given(pictures: list[Picture]) -> npt.NDArray[np.bool_]:
    return np.array([bool(picture.held) for picture in pictures])


def draw(labels: npt.NDArray[Any], alike: npt.NDArray[Any], holdout: float, seed: int) -> npt.NDArray[np.bool_]:
    """Draw what is held out: that share of each class, and of pictures that look alike all or none."""
    generator = np.random.default_rng((seed, 1))
    _, group, sizes = np.unique(alike, return_inverse=True, return_counts=True)
    chosen = np.zeros(len(sizes), bool)
    first = np.full(len(sizes), -1)
    first[group[::-1]] = labels[::-1]  # a group of several classes is drawn with its first picture's
    for label in range(int(labels.max()) + 1):
        room = max(1, round(holdout * int((labels == label).sum())))
        for candidate in generator.permutation(np.flatnonzero(first == label)):
            if sizes[candidate] <= room:
                chosen[candidate] = True
                room -= int(sizes[candidate])
            if not room:
                break
    held: npt.NDArray[np.bool_] = chosen[group]
    return held


def groups_alike(looks: list[int | None]) -> npt.NDArray[np.int64]:
    """Give each picture the number of its group: in one are hashes NEAR bits apart or less, from one to the next."""
    known = [index for index, look in enumerate(looks) if look is not None]
    hashes, inverse = np.unique(np.array([looks[index] for index in known], np.uint64), return_inverse=True)
    found = _groups(hashes)
    groups = len(hashes) + np.arange(len(looks), dtype=np.int64)  # those without a hash are alone
    groups[known] = found[inverse]
    return groups


def _groups(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Group hashes: of NEAR + 1 parts of the bits, two that are near have one part in common."""
    groups = np.arange(len(hashes), dtype=np.int64)
    edges = np.linspace(0, 64, NEAR + 2).astype(int)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(part, kind="stable")
        pairs: list[npt.NDArray[np.int64]] = []
        held = 0
        for places in _near_pairs(hashes[order], part[order]):
            pairs.append(order[places])
            held += len(places)
            if held > _PAIRS:
                groups, pairs, held = _joined(groups, pairs), [], 0
        groups = _joined(groups, pairs)
    return groups


def _near_pairs(hashes: npt.NDArray[np.uint64], part: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.int64]]:
    """Find near ones, (n, 2), among hashes in a part's order: the next one, the one after that, and so on."""
    first = np.arange(len(part))
    for distance in range(1, len(part)):
        first = first[: np.searchsorted(first, len(part) - distance)]
        first = first[part[first] == part[first + distance]]
        if not len(first):
            return
        near = first[_bits(hashes[first] ^ hashes[first + distance]) <= NEAR]
        yield np.stack([near, near + distance], axis=1)


def _joined(groups: npt.NDArray[np.int64], pairs: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Join the groups of each pair; they are numbered in the order of the first in each."""
    links = groups[np.concatenate(pairs)] if pairs else np.zeros((0, 2), np.int64)
    sparse, graph = load_library("scipy.sparse"), load_library("scipy.sparse.csgraph")
    size = (len(groups), len(groups))
    _, found = graph.connected_components(
        sparse.coo_matrix((np.ones(len(links), bool), (links[:, 0], links[:, 1])), size), directed=False
    )
    joined: npt.NDArray[np.int64] = found[groups].astype(np.int64)
    return joined


def _bits(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Count the bits that are set, in pairs, fours, bytes, and all: np.bitwise_count is NumPy 2's."""
    pairs, fours, bytes_, ones = (np.uint64(0xFFFFFFFFFFFFFFFF // divisor) for divisor in (3, 5, 17, 255))
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & bytes_
    return (values * ones) >> np.uint64(56)
