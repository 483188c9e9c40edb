"""Weights that may become the model: scored on the pictures held out; the best are kept, and the rest deleted."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.evaluate.curves import roc
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.system.files import write_file
from nsfw_caffe.system.reading import reason
from nsfw_caffe.training.data import Dataset
from nsfw_caffe.training.features import Reading, outputs_of
from nsfw_caffe.training.result import Scores
from nsfw_caffe.training.snapshots import kept_weights

START = 0
"""The iteration of the weights that training begins with."""


@dataclass(frozen=True)
class Judge:
    """Scores weights of one network on the pictures held out."""

    prototxt: str
    held: Dataset
    """The pictures held out, and no others."""
    scored: int
    reading: Reading

    def outputs(self, caffemodel: Path, folder: Path) -> Scores:
        """Compute the probabilities, (n, classes); what is computed is kept in a folder, to go on with."""
        files = ModelFiles(
            folder / "deploy.prototxt",
            folder / caffemodel.name,
            original=False,
            classes=self.held.classes,
            features=len(self.held.classes),
        )
        try:
            # Converted weights are kept beside these, but only where nobody else could have written them.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_file(files.prototxt, self.prototxt.encode())
            _link(caffemodel, files.caffemodel)
        except OSError as error:
            raise TrainingError(f"{folder} cannot be written ({reason(error)}); --resume goes on") from error
        found = outputs_of(self.held, self.reading, files, folder, "held out")
        for row, why in found.failures.items():
            shutil.rmtree(folder, ignore_errors=True)  # it is tried again when training goes on
            raise TrainingError(f"{self.held.pictures[row].source}, which is held out: {why}")
        return np.asarray(found.rows).astype(np.float64)

    def area(self, outputs: Scores) -> float:
        """Compute the area under the ROC curve, of the class that the score is of against the rest."""
        return roc(self.held.labels == self.scored, np.clip(outputs[:, self.scored], 0, 1)).auc


def _link(source: Path, target: Path) -> None:
    if target.exists():
        target.unlink()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


class Candidates:
    """What training has made so far, and how good each of it is."""

    def __init__(self, judge: Judge, start: Path, solver: Path, folder: Path) -> None:
        self._judge, self._start, self._solver, self._folder = judge, start, solver, folder
        self._record = folder / "checked.json"
        self.checked: dict[int, float] = {}
        if self._record.exists():
            self.checked = {int(number): area for number, area in json.loads(self._record.read_text()).items()}

    @property
    def best(self) -> int:
        """The iteration with the largest area, the first of several."""
        return max(sorted(self.checked), key=lambda number: self.checked[number])

    def check_start(self) -> Scores:
        """Score the weights that training begins with; give their probabilities."""
        return self._check(START, self._start)

    def look(self, before: int | None = None) -> None:
        """Score what the solver has kept, up to an iteration; delete what is not the best."""
        for number, path in kept_weights(self._solver).items():
            if (before is None or number < before) and number not in self.checked:
                self._check(number, path)
        for number, path in kept_weights(self._solver).items():
            if number in self.checked and number != self.best:
                path.unlink(missing_ok=True)
                shutil.rmtree(self._place(number), ignore_errors=True)

    def chosen(self) -> tuple[Path, Scores]:
        """Give the best weights, and their probabilities."""
        path = self._start if self.best == START else kept_weights(self._solver)[self.best]
        return path, self._check(self.best, path)

    def _check(self, number: int, path: Path) -> Scores:
        outputs = self._judge.outputs(path, self._place(number))
        if number not in self.checked:
            self.checked[number] = self._judge.area(outputs)
            content = json.dumps({str(number): area for number, area in self.checked.items()})
            try:
                write_file(self._record, content.encode())
            except OSError as error:
                raise TrainingError(f"{self._record} cannot be written ({reason(error)}); --resume goes on") from error
        return outputs

    def _place(self, number: int) -> Path:
        return self._folder / f"iteration_{number}"
