from __future__ import annotations

import math
from typing import Any

import pytest

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.training import TrainingOptions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": ""}, "layers=''"),
        ({"layers": None}, "layers=None"),
        ({"scales": (224, 256)}, "scales=.224, 256.: expected two sides from 256 to 4096"),
        ({"scales": (300, 256)}, "scales=.300, 256."),
        ({"iterations": 10, "epochs": 1}, "give one of them"),
        ({"iterations": 0}, "iterations=0: expected a whole number from 1"),
        ({"epochs": 1.5}, "epochs=1.5: expected a whole number from 1"),
        ({"batch_size": True}, "batch_size=True: expected a whole number from 1"),
        ({"seed": -1}, "seed=-1"),
        ({"holdout": 0}, "holdout=0: expected a share above 0 and below 1"),
        ({"holdout": math.nan}, "holdout=nan"),
        ({"base_rate": 0.0}, "base_rate=0.0: expected a number above 0"),
        ({"base_rate": math.inf}, "base_rate=inf"),
        ({"decay": -1.0}, "decay=-1.0: expected a number from 0"),
        ({"class_weights": "some"}, "class_weights='some'"),
        ({"network": "resnet50"}, "network 'resnet50': give weights"),
    ],
)
def test_bad_options_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TrainingOptions(**values)
