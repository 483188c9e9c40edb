"""What does the work of a training: this machine, or others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ScoringOptions
from nsfw_caffe.preprocessing.jpeg import JpegCodec
from nsfw_caffe.training.cost import cut_batch
from nsfw_caffe.training.data import Dataset, LabelledSource, Progress, gather
from nsfw_caffe.training.features import FeatureFile, compute
from nsfw_caffe.training.solving import Progress as SolverProgress
from nsfw_caffe.training.solving import SolverJob, SolverResult, solve
from nsfw_caffe.training.unpacking import unpack


@dataclass(frozen=True)
class Reading:
    """How pictures are read again, and run through a network, by this machine."""

    sources: list[LabelledSource]
    options: ScoringOptions
    codec: JpegCodec
    workers: int | None = None
    progress: Progress | None = None

    @property
    def in_between(self) -> bool:
        """Whether pictures can be run through a network while a solver is at work."""
        return True

    def gather(self, holdout: float, seed: int) -> Dataset:
        """Read all pictures once, and decide which are held out."""
        return gather(
            self.sources,
            holdout=holdout,
            seed=seed,
            codec=self.codec,
            limits=self.options.limits,
            progress=self.progress,
        )

    def compute(
        self, dataset: Dataset, files: ModelFiles, found: FeatureFile, missing: npt.NDArray[np.int64], what: str
    ) -> None:
        """Compute what a network makes of some pictures."""
        compute(dataset, self, files, found, missing, what)

    def places(self, dataset: Dataset, folder: Path) -> list[str]:
        """Give where each picture can be read; some are copied into a folder."""
        return unpack(dataset, self, folder)

    def cut(self, batch_size: int, fitting: int) -> tuple[int, int]:
        """Cut the pictures of an update into equal batches that fit: their size, and how many there are."""
        return cut_batch(batch_size, fitting)

    def solve(self, job: SolverJob, *, resume: bool, progress: SolverProgress | None) -> SolverResult:
        """Train a network."""
        return solve(job, resume=resume, progress=progress)


class Means(Protocol):
    """What does the work of a training: as `Reading`, whose methods these are."""

    @property
    def options(self) -> ScoringOptions:
        """How pictures are scored."""

    @property
    def in_between(self) -> bool:
        """Whether pictures can be run through a network while a solver is at work."""

    def gather(self, holdout: float, seed: int) -> Dataset:
        """Read all pictures once, and decide which are held out."""

    def compute(
        self, dataset: Dataset, files: ModelFiles, found: FeatureFile, missing: npt.NDArray[np.int64], what: str
    ) -> None:
        """Compute what a network makes of some pictures."""

    def places(self, dataset: Dataset, folder: Path) -> list[str]:
        """Give where each picture can be read; some are copied into a folder."""

    def cut(self, batch_size: int, fitting: int) -> tuple[int, int]:
        """Cut the pictures of an update into equal batches that fit: their size, and how many there are."""

    def solve(self, job: SolverJob, *, resume: bool, progress: SolverProgress | None) -> SolverResult:
        """Train a network."""
