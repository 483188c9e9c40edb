"""From a source to the explanation of its score.

The map is the class activation map of Zhou et al., "Learning Deep Features for Discriminative Localization" (CVPR
2016), for the difference of two classes; for a network that ends in a global average it is the whole of the logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from nsfw_caffe.engines.base import FeatureReader, score_of
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.errors import ScoreError
from nsfw_caffe.explain.explanation import DETAILS, Detail, Explanation, HeatMap
from nsfw_caffe.model.head import Head, find_head
from nsfw_caffe.preprocessing.jpeg import JpegCodec
from nsfw_caffe.preprocessing.resize import RESIZE, Pixels
from nsfw_caffe.preprocessing.steps import CROP, OFFSET, Source, crop, decoded, describe

_STEP = 8
"""Pixels from one of the shifted crops to the next, and the side of a place of the finer map."""

_SHIFTS = range(0, 2 * OFFSET + 1, _STEP)

_TINY = float(np.finfo(np.float32).tiny)
"""Probabilities below it have lost digits, or are 0."""


class Explainer:
    """Explains the scores of a Classifier's engines."""

    def __init__(self, engines: LoadedEngines, codec: JpegCodec) -> None:
        self._engines = engines
        self._codec = codec

    @cached_property
    def _weighing(self) -> _Weighing:
        files = self._engines.files
        return _Weighing.of(find_head(files), files.scored)

    def explain(self, source: Source, detail: Detail) -> Explanation:
        """Explain a picture's score; see `Classifier.explain`."""
        if detail not in DETAILS:
            raise ValueError(f"detail={detail!r}: expected one of {', '.join(DETAILS)}")
        self._engines.require_open()
        weighing = self._weighing
        reader = self._engines.reader(weighing.blob)
        pixels = decoded(source, self._codec, self._engines.options.limits)
        try:
            seen = {
                (top, left): weighing.look(reader, pixels, top, left)
                for top in (_SHIFTS if detail == "fine" else [OFFSET])
                for left in (_SHIFTS if detail == "fine" else [OFFSET])
            }
        except ScoreError as error:
            raise ScoreError(describe(source), error.reason) from error
        return self._explanation(seen, detail)

    def _explanation(self, seen: dict[tuple[int, int], _Look], detail: Detail) -> Explanation:
        files = self._engines.files
        central = seen[OFFSET, OFFSET]
        scores = [look.score for look in seen.values()]
        start, end = OFFSET / RESIZE[0], (OFFSET + CROP) / RESIZE[0]
        return Explanation(
            score=central.score,
            heat_map=central.heat_map if detail == "exact" else _mean_of_shifted(seen),
            bias=self._weighing.bias,
            log_odds=central.log_odds,
            score_class=files.classes[files.scored],
            others=tuple(name for index, name in enumerate(files.classes) if index != files.scored),
            box=(start, start, end, end) if detail == "exact" else (0.0, 0.0, 1.0, 1.0),
            detail=detail,
            score_range=(min(scores), max(scores)) if detail == "fine" else None,
        )


@dataclass(frozen=True)
class _Look:
    """What the network makes of one crop."""

    score: float
    log_odds: float
    heat_map: HeatMap


@dataclass(frozen=True, eq=False)
class _Weighing:
    """What turns a feature map into log-odds: of the scored class against the mean of the others' logits."""

    blob: str
    scored: int
    channels: npt.NDArray[np.float64]
    bias: float

    @classmethod
    def of(cls, head: Head, scored: int) -> _Weighing:
        # The one weighing that is linear whatever the number of classes, and the same for logits and logits plus any
        # number, which have the same probabilities.
        against = np.full(len(head.offsets), -1 / (len(head.offsets) - 1))
        against[scored] = 1
        return cls(head.blob, scored, against @ head.weights, float(against @ head.offsets))

    def look(self, reader: FeatureReader, pixels: Pixels, top: int, left: int) -> _Look:
        """Run the network on a crop of a resized picture."""
        output, features = reader.read(crop(pixels, left, top))
        score = score_of(output, self.scored)
        heat_map = np.tensordot(self.channels, features.astype(np.float64), 1)
        return _Look(score, self._log_odds(output, heat_map), heat_map)

    def _log_odds(self, output: npt.NDArray[np.float32], heat_map: HeatMap) -> float:
        """Take the log-odds from probabilities, which near 1 have lost them, but not those near 0 beside it."""
        if output.min() < _TINY:
            return float(heat_map.mean()) + self.bias
        logs = np.log(output.astype(np.float64))
        return float(logs[self.scored] - np.delete(logs, self.scored).mean())


def _mean_of_shifted(seen: dict[tuple[int, int], _Look]) -> HeatMap:
    """Give each place of the resized picture the mean of what the maps of all crops that cover it have there."""
    count = RESIZE[0] // _STEP
    total, covering = np.zeros((count, count)), np.zeros((count, count))
    centres = np.arange(count) * _STEP + _STEP // 2
    for (top, left), look in seen.items():
        height, width = look.heat_map.shape
        rows, columns = (centres - start for start in (top, left))
        inside = np.ix_((rows >= 0) & (rows < CROP), (columns >= 0) & (columns < CROP))
        rows, columns = (each[(each >= 0) & (each < CROP)] for each in (rows, columns))
        total[inside] += look.heat_map[np.ix_(rows * height // CROP, columns * width // CROP)]
        covering[inside] += 1
    return total / covering
