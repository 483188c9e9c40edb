#!/usr/bin/env python
"""Score several pictures, strictly and tolerantly.

Run it with the pictures' paths:

    python examples/batch.py a.jpg b.png c.webp
"""

from __future__ import annotations

import sys

import nsfw_caffe


def main(paths: list[str]) -> None:
    """Score the pictures twice: with `classify_batch`, which raises, and with `scan`, which goes on."""
    classifier = nsfw_caffe.Classifier()
    try:
        for path, score in zip(paths, classifier.classify_batch(paths), strict=True):
            print(f"{score:.6f}  {path}")
    except nsfw_caffe.ImageError as error:
        print(f"classify_batch stopped: {error}")
        for path, result in zip(paths, classifier.scan(paths), strict=True):
            print(f"{'failed  ' if result.score is None else f'{result.score:.6f}'}  {result.error or path}")


if __name__ == "__main__":
    main(sys.argv[1:])
