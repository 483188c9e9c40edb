"""What the layers before the last one make of each picture: computed once by any engine, and kept in a file."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format

from nsfw_caffe.engines.base import create_engine
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.errors import ModelError, NsfwCaffeError, TrainingError
from nsfw_caffe.model.network import layers_in_test, read_caffemodel, read_prototxt
from nsfw_caffe.model.schema.caffe_pb2 import LayerParameter, NetParameter
from nsfw_caffe.model.shapes.network import network_shapes
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.parallel.ordered_map import ordered_map
from nsfw_caffe.parallel.pipeline import FEW, Pipeline
from nsfw_caffe.sources.item import Content, Item, read
from nsfw_caffe.system.files import take_room, write_file
from nsfw_caffe.system.processes import available_cores
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.data import Dataset, LabelledSource, items
from nsfw_caffe.training.feeding import let_go

if TYPE_CHECKING:
    from nsfw_caffe.training.means import Means, Reading

_DONE, _FAILED = 1, 2

_COMMIT = 256
"""Pictures after which the files are written: those since then are computed again after a loss of power."""

_READ_AHEAD = 2

Features = npt.NDArray[np.float32]


_ENDS = {"InnerProduct": ["Softmax"], "Convolution": ["ReLU", "Pooling", "Softmax"]}
"""What may come after the last layer that learns, by its type."""


@dataclass(frozen=True)
class CutNetwork:
    """A network without its last layer and what comes after it."""

    whole: NetParameter
    text: str
    """The prototxt of what is left, whose output are the features."""
    last: LayerParameter
    inputs: tuple[int, ...]
    """The shape of the last layer's weights for one output."""

    @property
    def width(self) -> int:
        """How many features a picture has, for an InnerProduct."""
        return math.prod(self.inputs)

    @property
    def convolves(self) -> bool:
        """Whether the last layer is a Convolution: it looks at all places, whose features are too many to keep."""
        return self.last.type == "Convolution"


def cut(prototxt: Path) -> CutNetwork:
    """Cut a network at the last layer that learns; TrainingError where it ends as none does that can be trained."""
    try:
        network = read_prototxt(prototxt, allow_unknown_fields=False)
        layers = layers_in_test(network)
        shapes = network_shapes(network, prototxt)
    except ModelError as error:
        raise TrainingError(str(error)) from error
    learning = [made for made in shapes if made.blobs]
    if not learning or learning[-1].layer.type not in _ENDS:
        kind = f"{learning[-1].layer.name!r} of type {learning[-1].layer.type}" if learning else "none"
        raise TrainingError(f"{prototxt}: the last layer that learns is {kind}; it has to be {' or '.join(_ENDS)}")
    last = learning[-1]
    position = next(index for index, layer in enumerate(layers) if layer.name == last.layer.name)
    end = _ENDS[last.layer.type]
    if [layer.type for layer in layers[position + 1 :]] != end:
        raise TrainingError(
            f"{prototxt}: after layer {last.layer.name!r} there has to be {', '.join(end)} and nothing else"
        )
    kept = NetParameter()
    kept.CopyFrom(network)
    del kept.layer[:]
    kept.layer.extend(layers[:position])
    return CutNetwork(network, text_format.MessageToString(kept), last.layer, tuple(last.blobs[0][1:]))


def last_layer_blobs(network: CutNetwork, caffemodel: Path) -> LayerParameter | None:
    """Give the last layer with its blobs, as a caffemodel has it; None where it has none."""
    return next((layer for layer in read_caffemodel(caffemodel).layer if layer.name == network.last.name), None)


class FeatureFile:
    """Features of pictures in a file that is mapped, one row each, and beside it which of them are there."""

    def __init__(self, folder: Path, key: str, rows: int, width: int) -> None:
        path = folder / f"features-{key}.npy"
        self.rows: Features = _open(path, np.dtype(np.float32), (rows, width))
        self._states = _open(folder / f"features-{key}.state.npy", np.dtype(np.uint8), (rows,))
        self._reasons = folder / f"features-{key}.failures.json"
        self.failures = self._read_reasons()
        self._since, self._untold = 0, False

    def _read_reasons(self) -> dict[int, str]:
        try:
            if self._reasons.exists():
                return {int(row): str(why) for row, why in json.loads(self._reasons.read_text("utf-8")).items()}
        except (OSError, ValueError, AttributeError) as error:
            raise TrainingError(f"{self._reasons} cannot be read ({reason(error)}): delete it") from error
        return {}

    @property
    def missing(self) -> npt.NDArray[np.int64]:
        """The rows that are still to come."""
        return np.flatnonzero((self._states == 0) | ((self._states == _FAILED) & ~self._explained()))

    def _explained(self) -> npt.NDArray[np.bool_]:
        explained = np.zeros(len(self._states), bool)
        explained[list(self.failures)] = True
        return explained

    def put(self, row: int, features: Features) -> None:
        """Keep a picture's features."""
        self.rows[row] = features
        self._mark(row, _DONE)

    def fail(self, row: int, why: str) -> None:
        """Keep what is wrong with a picture."""
        self.failures[row] = why
        self._untold = True
        self._mark(row, _FAILED)

    def _mark(self, row: int, state: int) -> None:
        self._states[row] = state
        self._since += 1
        if self._since >= _COMMIT:
            self.flush()

    def flush(self) -> None:
        """Force to the disk what is there: features before what says that they are."""
        if self._untold:
            content = json.dumps({str(row): why for row, why in self.failures.items()})
            try:
                write_file(self._reasons, content.encode("utf-8", "backslashreplace"))
            except OSError as error:
                raise TrainingError(f"{self._reasons} cannot be written ({reason(error)})") from error
        cast(np.memmap[Any, Any], self.rows).flush()
        cast(np.memmap[Any, Any], self._states).flush()
        let_go(self.rows)
        self._since, self._untold = 0, False


def _open(path: Path, kind: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Map an array in a file, made of zeros if there is none; its room on the disk is taken at once."""
    try:
        if not path.exists():
            part = path.with_suffix(".part")
            np.lib.format.open_memmap(part, "w+", kind, shape)
            take_room(part, part.stat().st_size)  # a mapped file without room kills the process that writes to it
            part.replace(path)
        if path.stat().st_size < math.prod(shape) * kind.itemsize:  # NumPy would make it longer
            raise TrainingError(f"{path} is cut short: delete {path.parent}")
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, "r+")
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} cannot be written ({reason(error)}): delete it, or make room") from error
    if array.shape != shape or array.dtype != kind:
        raise TrainingError(f"{path} is {array.dtype} {array.shape}; expected {kind} {shape}: delete it")
    return array


def features_of(dataset: Dataset, reading: Means, network: CutNetwork, caffemodel: Path, folder: Path) -> FeatureFile:
    """Compute the features of a dataset's pictures that a folder does not have yet, in the dataset's order."""
    prototxt = folder / "features.prototxt"
    try:
        write_file(prototxt, network.text.encode())
    except OSError as error:
        raise TrainingError(f"{prototxt} cannot be written ({reason(error)})") from error
    files = ModelFiles(prototxt, caffemodel, original=False, features=network.width)
    return outputs_of(dataset, reading, files, folder, "features")


def outputs_of(dataset: Dataset, reading: Means, files: ModelFiles, folder: Path, what: str) -> FeatureFile:
    """Compute what any network makes of a dataset's pictures, which progress calls `what`; else as `features_of`."""
    found = FeatureFile(folder, _key(dataset, files, reading.options), len(dataset.pictures), files.outputs)
    missing = found.missing
    if len(missing):
        reading.compute(dataset, files, found, missing, what)
        found.flush()
    return found


def _key(dataset: Dataset, files: ModelFiles, options: ScoringOptions) -> str:
    """Name what features depend on: pictures, layers, and how they are computed."""
    asked = dataclasses.asdict(options)
    del asked["limits"]
    digest = hashlib.sha256(json.dumps([files.hashes(), asked], sort_keys=True).encode())
    for picture in dataset.pictures:
        digest.update(picture.sha256.encode())
    return digest.hexdigest()[:16]


def compute(
    dataset: Dataset,
    reading: Reading,
    files: ModelFiles,
    found: FeatureFile,
    missing: npt.NDArray[np.int64],
    what: str,
) -> None:
    """Compute what a network makes of some of a dataset's pictures, in this process and workers of its own."""
    options, workers = reading.options, reading.workers
    wanted = {dataset.pictures[row].source: int(row) for row in missing}
    total, done = len(dataset.pictures), len(dataset.pictures) - len(wanted)
    under_way: deque[int] = deque()

    def contents() -> Iterator[bytes]:
        chosen = wanted_items(reading.sources, wanted)
        with_rows = ordered_map(
            lambda item: read(item, options.limits), chosen, max(4, available_cores() // 4), _READ_AHEAD,
            lambda item: item.size or 0,
        )  # fmt: skip
        for item, content in with_rows:
            row = wanted.pop(item.source)
            if content.data is None or content.sha256 != dataset.pictures[row].sha256:
                found.fail(row, _what_happened(content))
            else:
                under_way.append(row)
                yield content.data

    pipeline = Pipeline(LoadedEngines(create_engine(files, options), files, options), reading.codec)
    with contextlib.closing(pipeline):
        if workers is None and len(missing) < FEW:
            workers = 1
        for _, (features, *_) in pipeline.score(contents(), workers):
            row = under_way.popleft()
            if isinstance(features, NsfwCaffeError):
                found.fail(row, features.reason)
            else:
                found.put(row, cast(Features, features))
            done += 1
            if reading.progress is not None:
                reading.progress(what, done, total)
    for row in wanted.values():
        found.fail(row, "it has gone since it was read first")


def _what_happened(content: Content) -> str:
    return content.error or "it has changed since it was read first"


def wanted_items(sources: list[LabelledSource], wanted: Container[str]) -> Iterator[Item]:
    """Find some sources again; each can be read after the next is asked for."""
    taken: set[str] = set()
    for item, _ in items(sources):
        if item.source in wanted and item.source not in taken and item.error is None:
            held = item.hold()
            if held is not None:
                taken.add(item.source)
                yield held
