#!/usr/bin/env python
"""Score one picture: the arguments and the output of the script that came with the model in 2016.

Run it from the checkout:

    python examples/classify_nsfw.py \
        --model_def models/resnet_50_1by2_nsfw/deploy.prototxt \
        --pretrained_model models/resnet_50_1by2_nsfw/resnet_50_1by2_nsfw.caffemodel \
        photo.jpg
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import nsfw_caffe


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the NSFW score of the picture named on the command line."""
    parser = argparse.ArgumentParser(description="Print the NSFW score of a picture.")
    parser.add_argument("input_file", help="the picture's path")
    parser.add_argument("--model_def", help="the network's definition (default: the original one)")
    parser.add_argument("--pretrained_model", help="the network's weights (default: the original ones)")
    options = parser.parse_args(arguments)
    try:
        classifier = nsfw_caffe.Classifier(
            engine="caffe", prototxt=options.model_def, caffemodel=options.pretrained_model
        )
        score = classifier.classify(options.input_file)
    except nsfw_caffe.NsfwCaffeError as error:
        sys.exit(f"classify_nsfw.py: {error}")
    print("NSFW score:  ", score)


if __name__ == "__main__":
    main()
