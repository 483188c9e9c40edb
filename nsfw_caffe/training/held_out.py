"""The pictures held out as a table, for `evaluate` and `compare`: of all others, a model has learned the answers."""

from __future__ import annotations

import csv
import io

from nsfw_caffe.results.names import encode_name
from nsfw_caffe.training.data import Dataset

NAME = "held_out.csv"


def held_out_table(dataset: Dataset, score_class: str) -> bytes:
    """Write source, label (1 for the class that the score is of, 0 for the others) and class of each, as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["source", "label", "class"])
    for picture, held in zip(dataset.pictures, dataset.held.tolist(), strict=True):
        if held:
            name = dataset.classes[picture.label]
            writer.writerow([encode_name(picture.source), int(name == score_class), encode_name(name)])
    return text.getvalue().encode()
