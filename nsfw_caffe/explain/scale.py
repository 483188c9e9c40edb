"""The colours of log-odds: the same for every picture, so that two pictures can be compared."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST = 10.0
"""Log-odds from which on the colour is the darkest: a score of 0.99995, or of 0.00005 below 0."""

_BLUE, _WHITE, _RED = (24, 84, 200), (247, 247, 247), (208, 28, 24)

_FAINT, _STRONG = 0.30, 0.72
"""How much of a place's colour covers the picture: where the log-odds are 0, and from MOST on."""


def colours(log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the colour of log-odds, (..., 3), from 0 to 255: blue below 0, white at 0, red above."""
    stops = [-MOST, 0, MOST]
    channels = zip(_BLUE, _WHITE, _RED, strict=True)
    return np.stack([np.interp(log_odds, stops, values) for values in channels], axis=-1)


def cover(log_odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give how much of its picture the colour of log-odds covers, from 0 to 1: the stronger the more."""
    return np.interp(np.abs(log_odds), [0, MOST], [_FAINT, _STRONG])
