"""What is asked of a training, checked once."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal

from nsfw_caffe.errors import TrainingError


@dataclass(frozen=True)
class TrainingOptions:
    """What is asked of a training.

    Attributes
    ----------
    layers : str
        What learns. "last": the last layer alone, on features of the others, which stay as they are. "all", or the name
        of a stage or layer that is the first to learn ("stage3"): after the last layer, these, on pictures that are
        mirrored and cut out at random; what follows here is then for them, and the last layer has its defaults. In
        SqueezeNet, whose last layer is a Convolution, each of these learns from a new last layer on, with the defaults
        for more than the last layer; with "last", pictures are as scoring makes them, and the first rate is 1e-3.
    iterations, epochs : int, optional
        How long Caffe's solver runs, one of them: in updates, or in times that each picture is seen; 5 epochs by
        default where more than the last layer learns.
    network : str
        The network's name, see `nsfw_caffe.networks.NETWORKS`.
    weights : path, optional
        The caffemodel to start from; by default the original's, which only "resnet50_thin" has.
    holdout : float
        The share of the pictures, above 0 and below 1, that nothing is trained on, to measure with.
    seed : int
        Of everything that is drawn: the same data, options and seed give the same model.
    batch_size : int, optional
        Pictures of an update; 64 by default, or as many as there are. For more than the last layer, 16, in as many
        parts as memory asks for.
    base_rate : float, optional
        The solver's first learning rate; by default one that fits the size of the features. For more than the last
        layer, 1e-4, a tenth of it after two thirds of the updates, and five times as much for the last layer.
    decay : float, optional
        The weight decay (L2); by default the one of several that does best on folds of the pictures trained on. For
        more than the last layer, 5e-4.
    scales : (int, int)
        The least and the greatest side that pictures are resized to before 224 of it are cut out, where more than the
        last layer learns: (256, 480) as in the paper of ResNet. By default that of scoring, 256.
    class_weights : str
        "balanced" has each class count the same, however many pictures it has, and scores are probabilities for data in
        which all classes are as frequent; with "none", for data that is mixed as the pictures trained on are.
    score_class : str, optional
        The class that the score is of; by default ``nsfw``, else the second of two.

    Raises
    ------
    TrainingError
        If a value is none of its kind; the message names it.

    Examples
    --------
    >>> from nsfw_caffe.training import TrainingOptions
    >>> TrainingOptions(holdout=0.3).seed
    1
    """

    layers: str = "last"
    iterations: int | None = None
    epochs: int | None = None
    network: str = "resnet50_thin"
    weights: str | os.PathLike[str] | None = None
    holdout: float = 0.2
    seed: int = 1
    batch_size: int | None = None
    base_rate: float | None = None
    decay: float | None = None
    scales: tuple[int, int] = (256, 256)
    class_weights: Literal["balanced", "none"] = "balanced"
    score_class: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.layers, str) or not self.layers:
            raise TrainingError(f"layers={self.layers!r}: expected 'last', 'all', or the name of a stage or layer")
        if self.iterations is not None and self.epochs is not None:
            raise TrainingError(f"iterations={self.iterations} and epochs={self.epochs}: give one of them")
        for name in ("iterations", "epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and value >= 1):
                raise TrainingError(f"{name}={value!r}: expected a whole number from 1")
        if not _is_whole(self.seed) or not 0 <= self.seed < 2**31:
            raise TrainingError(f"seed={self.seed!r}: expected a whole number from 0, below 2**31")
        if not 0 < self.holdout < 1:
            raise TrainingError(f"holdout={self.holdout!r}: expected a share above 0 and below 1")
        if self.base_rate is not None and not (0 < self.base_rate < math.inf):
            raise TrainingError(f"base_rate={self.base_rate!r}: expected a number above 0")
        if self.decay is not None and not (0 <= self.decay < math.inf):
            raise TrainingError(f"decay={self.decay!r}: expected a number from 0")
        low, high = self.scales
        if not (_is_whole(low) and _is_whole(high) and 256 <= low <= high <= 4096):
            raise TrainingError(f"scales={self.scales!r}: expected two sides from 256 to 4096, the smaller one first")
        if self.class_weights not in ("balanced", "none"):
            raise TrainingError(f"class_weights={self.class_weights!r}: expected 'balanced' or 'none'")
        if self.network != "resnet50_thin" and self.weights is None:
            raise TrainingError(f"network {self.network!r}: give weights; only resnet50_thin comes with some")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


DEFAULTS = TrainingOptions()
