"""What an explanation says of a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

Detail: TypeAlias = Literal["exact", "fine"]

DETAILS: tuple[Detail, ...] = get_args(Detail)

HeatMap: TypeAlias = npt.NDArray[np.float64]

_DIGITS = 6
"""Decimals of a place in JSON: the mean of them stays within 1e-6 of the map's."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """A score, and how much each place of the picture has to do with it.

    The network averages a map of features over its places and weighs the averages, so each place has its share of the
    log-odds of the score: `heat_map.mean() + bias` is `log_odds`. It holds within 1e-5 in float32; with bfloat16 the
    network rounds after the map, by up to 0.02. What a place has seen is the picture around it too, all of it even.

    Attributes
    ----------
    score : float
        What `Classifier.classify` gives, 0 to 1, the same bits.
    heat_map : numpy.ndarray
        float64 (rows, columns), in log-odds, from top left: 7x7 for the original network, 32x32 where `detail` is
        "fine". Positive places raise the score; one of `-bias` leaves it at one half, were all places like it.
    bias : float
        What is added to the mean of the map whatever the picture is: 2.04 for the original network.
    log_odds : float
        log(score / (1 - score)), from the network's outputs, so that it is finite where the score is 1. Where there are
        more than two classes, the mean of the log-odds of `score_class` against each of the others.
    score_class : str
        The class whose probability the score is.
    others : tuple of str
        The classes that the log-odds are against.
    box : tuple of float
        Left, top, right and bottom of the part of the picture that the map covers, from 0 to 1 of its width and height:
        the network sees the middle of the picture, 224 of 256 each way. The picture is as it is stored; where its EXIF
        data have it turned, what is shown is not what is scored.
    detail : str
        "exact" for the map of the score; "fine" for the mean of 25 maps, each exact for a crop of its own.
    score_range : tuple of float or None
        The lowest and the highest score of those 25 crops, where `detail` is "fine".

    Examples
    --------
    >>> import nsfw_caffe
    >>> explanation = nsfw_caffe.Classifier().explain("photo.jpg")
    >>> explanation.heat_map.shape, round(explanation.bias, 2)
    ((7, 7), 2.04)
    >>> bool(abs(explanation.heat_map.mean() + explanation.bias - explanation.log_odds) < 1e-5)
    True
    """

    score: float
    heat_map: HeatMap
    bias: float
    log_odds: float
    score_class: str
    others: tuple[str, ...]
    box: tuple[float, float, float, float]
    detail: Detail
    score_range: tuple[float, float] | None = None

    def to_json(self) -> dict[str, object]:
        """Give all of it as what `json.dumps` takes, under the names above.

        `heat_map` is a list of rows with six decimals, `box` and `score_range` are lists; what is None is null.
        """
        return {
            "score": self.score,
            "score_class": self.score_class,
            "others": list(self.others),
            "log_odds": self.log_odds,
            "bias": self.bias,
            "heat_map": self.heat_map.round(_DIGITS).tolist(),
            "box": list(self.box),
            "detail": self.detail,
            "score_range": None if self.score_range is None else list(self.score_range),
        }
