"""PyPI's opennsfw2 on a video, in a process and an environment of its own: see `benchmarks.video`.

    python benchmarks/opennsfw2_video.py VIDEO FRAME_INTERVAL AGGREGATION_SIZE PREPROCESSING    # prints a line of JSON

It imports nothing of the library. Its weights are random ones, because its own are a download.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any
from unittest import mock

import cv2
import opennsfw2
from opennsfw2 import _inference


def main(path: str, frame_interval: int, aggregation_size: int, preprocessing: str) -> None:
    """Go over the video twice: once to be warm and to see what it looks at, and once to take the time."""
    predict = functools.partial(
        opennsfw2.predict_video_frames,
        path,
        frame_interval=frame_interval,
        aggregation_size=aggregation_size,
        preprocessing=opennsfw2.Preprocessing(preprocessing),
        weights_path=None,
        progress_bar=False,
    )
    sampled, scored = watched(predict)
    start, cpu = time.perf_counter(), time.process_time()
    predict()
    answer = {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "sampled": sampled,
        "scored": scored,
        "versions": {name: metadata.version(name) for name in ("opennsfw2", "keras", "jax", "opencv-python")},
    }
    print(json.dumps(answer))


def watched(predict: Callable[[], object]) -> tuple[list[int], int]:
    """Return the numbers of the frames that it samples, and how many of them, the first ones, the network is given."""
    read, scored = -1, 0
    sampled: list[int] = []

    prepare, forward = _inference.preprocess_image, _inference._predict_preprocessed_images_in_batches
    opened = cv2.VideoCapture

    class Capture:
        """Counts frames. It is no subclass, which OpenCV does not survive when it is collected."""

        def __init__(self, path: str) -> None:
            self._capture = opened(path)

        def read(self) -> Any:  # noqa: ANN401
            nonlocal read
            read += 1
            return self._capture.read()

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(self._capture, name)

    def sample(*arguments: Any) -> Any:  # noqa: ANN401
        sampled.append(read)
        return prepare(*arguments)

    def score(model: object, pictures: list[Any], *arguments: Any) -> Any:  # noqa: ANN401
        nonlocal scored
        scored += len(pictures)
        return forward(model, pictures, *arguments)

    with (
        mock.patch.object(cv2, "VideoCapture", Capture),
        mock.patch.object(_inference, "preprocess_image", sample),
        mock.patch.object(_inference, "_predict_preprocessed_images_in_batches", score),
    ):
        predict()
    return sampled, scored


if __name__ == "__main__":
    video, interval, size, method = sys.argv[1:]
    main(video, int(interval), int(size), method)
