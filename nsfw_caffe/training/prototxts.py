"""What who runs `caffe train` himself needs: network, solver, lists of pictures, and the weights to start from.

Caffe as it is mostly built reads pictures with its layer ImageData, which this library's own build has not. So the
network has both: ImageData, and in the stage `fed` Inputs, which a program fills.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from google.protobuf import text_format

from nsfw_caffe.errors import ModelError, TrainingError
from nsfw_caffe.model.blobs import fill_blob
from nsfw_caffe.model.check import check_blobs
from nsfw_caffe.model.folder import PROTOTXT, part_of, publish, require_room
from nsfw_caffe.model.network import layers_in_test
from nsfw_caffe.model.schema.caffe_pb2 import TEST, TRAIN, BlobProto, NetParameter
from nsfw_caffe.model.spec import MEAN_BGR
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.results.names import visible
from nsfw_caffe.sources.reopening import split_member
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.cost import MOST, cut_batch
from nsfw_caffe.training.data import Data, Dataset, Picture, Progress, class_names, gather, labelled_sources, without
from nsfw_caffe.training.fine_tuning import BATCH_SIZE, recipe_of
from nsfw_caffe.training.last_layer import class_weights
from nsfw_caffe.training.libraries import check_libraries
from nsfw_caffe.training.options import DEFAULTS, TrainingOptions
from nsfw_caffe.training.solver_job import SolverJob, solver_prototxt
from nsfw_caffe.training.start import find_start
from nsfw_caffe.training.training_form import training_form

FED = "fed"
"""The stage in which the network's pictures come from a program."""

NETWORK, SOLVER, WEIGHTS = "train_val.prototxt", "solver.prototxt", "start.caffemodel"
MATRIX = "class_weights.binaryproto"
LISTS = ("train.txt", "test.txt")
README = "README.md"

_READ_BY_OPENCV = ("BMP", "JPEG", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""Formats, by Pillow's names, that any usual build of OpenCV reads; Caffe ends where a picture cannot be read."""

_TESTED_AT_ONCE = 32

_SCORING = ScoringOptions()


@dataclass(frozen=True, eq=False)
class Prototxts:
    """What was written for `caffe train`.

    Attributes
    ----------
    folder : pathlib.Path
        Where it is; its README.md has the commands.
    classes : tuple of str
        In the order of the network's outputs, which are the labels from 0 on.
    trained_on, held_out : mapping
        How many pictures of each class are in train.txt and test.txt.
    unlisted : tuple of (str, str)
        Pictures that Caffe could not read, with the reason of each: members of archives, for example.
    failures : tuple of (str, str)
        Pictures that cannot be read at all, with what is wrong with each.
    repeats, too_near : int
        As in `TrainingResult`.
    """

    folder: Path
    classes: tuple[str, ...]
    trained_on: Mapping[str, int]
    held_out: Mapping[str, int]
    unlisted: tuple[tuple[str, str], ...]
    failures: tuple[tuple[str, str], ...]
    repeats: int
    too_near: int


def write_prototxts(
    data: Data,
    folder: str | os.PathLike[str],
    *,
    options: TrainingOptions = DEFAULTS,
    scoring: ScoringOptions = _SCORING,
    progress: Progress | None = None,
) -> Prototxts:
    """Write what `caffe train` takes to train the network on labelled pictures; nothing is trained here.

    Parameters
    ----------
    data : path, or mapping of str to paths
        As for `train`.
    folder : path
        The folder to be made: not there yet, or empty. It gets train_val.prototxt, solver.prototxt, train.txt,
        test.txt, start.caffemodel, deploy.prototxt, README.md and, for balanced classes, class_weights.binaryproto.
    options : TrainingOptions, optional
        What is asked; the pictures that are held out are those that `train` holds out.
    scoring : ScoringOptions, optional
        What pictures may ask for, and how they are decoded to be looked at; no engine is needed.
    progress : callable, optional
        Called with what is done, how much of it, and how much there is or None.

    Returns
    -------
    Prototxts
        What was written, and what was left out.

    Raises
    ------
    TrainingError
        If the data cannot be trained on, or the folder cannot be written or holds something.
    ModelError
        As for `Classifier`.

    Examples
    --------
    >>> from nsfw_caffe.training import write_prototxts
    >>> write_prototxts("labelled", "caffe").trained_on  # doctest: +SKIP
    {'sfw': 820, 'nsfw': 790}
    """
    check_libraries()
    if options.scales[0] != options.scales[1]:
        raise TrainingError(f"scales={options.scales!r}: Caffe's layer ImageData resizes all pictures alike")
    target = Path(folder)
    sources = labelled_sources(data)
    classes = class_names(sources)
    try:
        require_room(target)
    except ModelError as error:
        raise TrainingError(str(error)) from error
    codec = create_codec(scoring.jpeg, scoring.decode)
    with tempfile.TemporaryDirectory() as work:
        start = find_start(options, Path(work))
    last = start.first_layer(classes)
    weights = start.weights(last)
    layers = layers_in_test(start.with_last(last))
    check_blobs(layers, NetParameter.FromString(weights), Path(f"{options.network}.prototxt"), start.caffemodel)
    found = gather(
        sources, holdout=options.holdout, seed=options.seed, codec=codec, limits=scoring.limits, progress=progress
    )
    dataset, unlisted = _listed(found)
    _write(target, {WEIGHTS: weights, **_files(dataset, start.with_last(last), options)})
    counts = dataset.counts(held=False), dataset.counts(held=True)
    return Prototxts(target, classes, *counts, unlisted, found.failures, found.repeats, found.too_near)


def _listed(dataset: Dataset) -> tuple[Dataset, tuple[tuple[str, str], ...]]:
    """Leave out what Caffe could not read, which would end it; give that too, with the reasons."""
    reasons = {row: why for row, picture in enumerate(dataset.pictures) if (why := _why_unlisted(picture)) is not None}
    listed, _ = without(dataset, reasons)
    return listed, tuple((dataset.pictures[row].source, why) for row, why in reasons.items())


def _why_unlisted(picture: Picture) -> str | None:
    if split_member(picture.source) is not None:
        return "in an archive, of which Caffe reads nothing: unpack it"
    if "\n" in picture.source:
        return "its name has a line break, which a list cannot have"
    if picture.format not in _READ_BY_OPENCV:
        return f"{picture.format or 'its format'} is not read by every OpenCV, with which Caffe reads: convert it"
    return None


def _files(dataset: Dataset, network: NetParameter, options: TrainingOptions) -> dict[str, bytes]:
    balanced = options.class_weights == "balanced"
    tests = _tests(int(dataset.held.sum()))
    count = int((~dataset.held).sum())
    job = recipe_of(options, count, cut_batch(min(options.batch_size or BATCH_SIZE, count), MOST))
    form = training_form(network, learning=options.layers)
    train_val = _train_val(form, (job.batch_size, tests.batch_size), options.scales[0], balanced=balanced)
    solver = solver_prototxt(job, NETWORK, _for_the_command(job, len(dataset.pictures), tests))
    files = {
        NETWORK: (_HEADER + text_format.MessageToString(train_val)).encode(),
        SOLVER: (_HEADER + solver).encode(),
        PROTOTXT: text_format.MessageToString(network).encode(),
        README: _readme(dataset, job, tests, options).encode(),
    }
    for held, name in enumerate(LISTS):
        files[name] = _list(dataset, held=bool(held))
    if balanced:
        files[MATRIX] = _matrix(class_weights(dataset.labels[~dataset.held], len(dataset.classes)))
    return files


class _Tests(NamedTuple):
    """How the pictures held out are tested: each once, in so many batches."""

    batches: int
    batch_size: int


def _tests(held: int) -> _Tests:
    size = _largest_divisor(held, _TESTED_AT_ONCE)
    return _Tests(held // size, size)


def _largest_divisor(number: int, most: int) -> int:
    return next(size for size in range(min(number, most), 0, -1) if number % size == 0)


def _for_the_command(job: SolverJob, count: int, tests: _Tests) -> dict[str, object]:
    """Say what this library's own solver leaves out: tests, once an epoch, and snapshots."""
    epoch = min(job.iterations, math.ceil(count / (job.batch_size * job.iter_size)))
    return {
        "test_iter": tests.batches,
        "test_interval": epoch,
        "test_initialization": "false",
        "display": 10,
        "snapshot": max(1, job.iterations // 5),
        "snapshot_prefix": '"snapshot"',
        "snapshot_after_train": "true",
    }


def _train_val(form: NetParameter, sizes: tuple[int, int], scale: int, *, balanced: bool) -> NetParameter:
    """Give a network's form for training both kinds of sources, and what is measured of the pictures held out."""
    made = NetParameter(name=form.name)
    (side,) = (layer.input_param.shape[0].dim[3] for layer in form.layer if list(layer.top) == ["data"])
    for phase, source, size in zip((TRAIN, TEST), LISTS, sizes, strict=True):
        layer = made.layer.add(name="data", type="ImageData", top=["data", "label"])
        layer.include.add(phase=phase, not_stage=[FED])
        layer.transform_param.crop_size = side
        layer.transform_param.mirror = phase == TRAIN
        layer.transform_param.mean_value.extend(MEAN_BGR)
        options = layer.image_data_param
        options.source, options.batch_size, options.shuffle = source, size, phase == TRAIN
        options.new_height = options.new_width = scale
    made.layer.extend(form.layer)
    for layer in made.layer:
        if layer.type == "Input":
            layer.include.add(stage=[FED])
            layer.input_param.shape[0].dim[0] = sizes[0]
        elif layer.type == "SoftmaxWithLoss" and balanced:
            layer.type = "InfogainLoss"
            layer.infogain_loss_param.source = MATRIX
    accuracy = made.layer.add(name="accuracy", type="Accuracy", bottom=made.layer[-1].bottom, top=["accuracy"])
    accuracy.include.add(phase=TEST)
    return made


def _list(dataset: Dataset, *, held: bool) -> bytes:
    """Write a picture a line: its whole path, as bytes, and its label."""
    chosen = (picture for picture, side in zip(dataset.pictures, dataset.held, strict=True) if side == held)
    return b"".join(b"%b %d\n" % (os.fsencode(Path(picture.source).absolute()), picture.label) for picture in chosen)


def _matrix(weights: tuple[float, ...]) -> bytes:
    """Write what InfogainLoss multiplies losses by: a diagonal matrix."""
    blob = BlobProto()
    fill_blob(blob, np.diag(np.array(weights, np.float32))[np.newaxis, np.newaxis])
    return blob.SerializeToString()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    try:
        with part_of(folder) as part:
            for name, content in files.items():
                (part / name).write_bytes(content)
            publish(part, list(files), folder)
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written: {reason(error)}") from error


def _readme(dataset: Dataset, job: SolverJob, tests: _Tests, options: TrainingOptions) -> str:
    classes, counts = dataset.classes, (dataset.counts(held=False), dataset.counts(held=True))
    rows = (
        f"| {label} | {_cell(name)} | {counts[0][name]} | {counts[1][name]} |" for label, name in enumerate(classes)
    )
    scored = (
        f"""The score of `--prototxt` and `--caffemodel` is the probability of {_cell(classes[1])}.
"""
        if len(classes) == 2
        else ""
    )
    return _README.format(
        rows="\n".join(rows),
        learning={"last": "the last layer", "all": "all layers"}.get(options.layers, f"all from {options.layers} on"),
        matrix=_README_MATRIX if options.class_weights == "balanced" else "",
        batch_size=job.batch_size,
        update=job.batch_size * job.iter_size,
        last=job.iterations,
        tests=tests.batches,
        scored=scored,
        most=len(classes) - 1,
    )


def _cell(name: str) -> str:
    return visible(name).replace("|", "\\|")


_HEADER = f"# Written by nsfw-caffe train --write-prototxts; {README} says how it is used.\n"

_README_MATRIX = f"""\
| `{MATRIX}` | what each class's loss is multiplied by, so that all classes count the same; InfogainLoss reads it |
"""

_README = f"""\
# Training with Caffe's own command

Learning is {{learning}}. A Caffe from 1.0 on is needed, built with OpenCV, as it mostly is.

    cd THIS_FOLDER
    caffe train --solver={SOLVER} --weights={WEIGHTS}

`--gpu=0` computes on the first GPU. `test` lines show accuracy and loss on the pictures held out; what is trained is
`snapshot_iter_{{last}}.caffemodel`. To go on with what was stopped, to test, and to score:

    caffe train --solver={SOLVER} --snapshot=snapshot_iter_N.solverstate
    caffe test --model={NETWORK} --weights=snapshot_iter_{{last}}.caffemodel --iterations={{tests}}
    nsfw-caffe classify --prototxt {PROTOTXT} --caffemodel snapshot_iter_{{last}}.caffemodel photo.jpg

{{scored}}
| label | class | in {LISTS[0]} | in {LISTS[1]} |
|---|---|---|---|
{{rows}}

| file | what it is |
|---|---|
| `{NETWORK}` | the network, as it is trained and tested |
| `{SOLVER}` | how it is trained: updates of {{update}} pictures, {{batch_size}} at a time |
| `{LISTS[0]}`, `{LISTS[1]}` | a picture a line, path and label, to train on and to measure with |
| `{WEIGHTS}` | the weights to start from |
{{matrix}}| `{PROTOTXT}` | the network for scoring with what was trained |

## What differs from `nsfw-caffe train`

Caffe's layer ImageData decodes and resizes with OpenCV, which takes the nearest pixels alone where a photo is made
smaller, and puts nothing through JPEG. Scoring resizes with Pillow, takes the mean of all pixels that a new one covers,
and compresses the result as a JPEG once. So the network is trained on pictures that are somewhat sharper than those
that it will score. OpenCV also turns a photo as its EXIF orientation says; scoring does not. The accuracy that Caffe
prints is that of its own pictures: measure what was trained with `nsfw-caffe evaluate`.

## From Python

pycaffe may be built without ImageData, as this library's is. In the stage `{FED}` the network has Inputs in its place:

    import caffe

    text = open("{SOLVER}").read() + 'train_state {{{{ stage: "{FED}" }}}} test_state {{{{ stage: "{FED}" }}}}'
    open("solver_{FED}.prototxt", "w").write(text)
    solver = caffe.get_solver("solver_{FED}.prototxt")  # in this folder
    solver.net.copy_from("{WEIGHTS}")
    solver.net.blobs["data"].data[...] = pictures  # float32 ({{batch_size}}, 3, side, side): BGR, less the mean
    solver.net.blobs["label"].data[...] = labels  # whole numbers from 0 to {{most}}: others corrupt Caffe's memory
    solver.step(1)

With an `iter_size` above 1 a step takes so many batches. `solver.net.before_forward(f)` has `f(0)` called before each,
to fill the Inputs. `solver.test_nets[0]` has Inputs too, to be filled before it tests.
"""
