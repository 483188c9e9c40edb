"""What a user's program imports today it can import tomorrow."""

from __future__ import annotations

import importlib

import pytest

import nsfw_caffe
from tests.support import run

NAMES = {
    "nsfw_caffe": "Classifier EngineUnavailable Explanation ImageError Limits ModelError NsfwCaffeError Record Result "
    "ScanResult ScoreError TrainingError TrainingOptions TrainingResult VideoError VideoResult __version__ classify "
    "classify_batch evaluate explain networks read_results scan spark train training",
    "nsfw_caffe.evaluate": "Calibration Comparison Confusion Evaluation GroupTest Interval LabelledScores Options "
    "Policy PrecisionRecall RateAt Roc RunsCompared Samples Share Strata Stratum ThresholdChoice auc_interval "
    "bootstrap calibration choose_threshold clopper_pearson compare compare_runs confusion evaluate evaluate_folders "
    "evaluate_table fnr_at_fpr fpr_at_fnr policy precision_recall roc strata thin wilson",
    "nsfw_caffe.explain": "Explanation overlay",
    "nsfw_caffe.networks": "Accuracy Cost Form LayerCost Measurement NETWORKS Network NetworkName build cost measure",
    "nsfw_caffe.spark": "score_images score_paths",
    "nsfw_caffe.training": "Prototxts TrainingOptions TrainingResult train write_prototxts",
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in NAMES for name in NAMES[module].split()])
def test_public_names_stay(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("module", NAMES)
def test_every_name_that_is_said_to_be_there_is(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []
    assert set(found.__all__) <= set(dir(found))


def test_packages_come_with_the_library_when_they_are_asked_for() -> None:
    child = run(
        "-c",
        "import sys, nsfw_caffe\n"
        "rooms = {f'nsfw_caffe.{name}' for name in ('evaluate', 'explain', 'networks', 'spark', 'training')}\n"
        "print(sorted({*rooms, 'numpy', 'PIL'} & set(sys.modules)))\n"
        "print([room for room in rooms if room.rpartition('.')[2] not in dir(nsfw_caffe)])\n"
        "print(nsfw_caffe.evaluate.roc([0, 1], [0.1, 0.9]).auc, nsfw_caffe.spark.score_images.__name__)\n"
        "print(nsfw_caffe.networks.cost('resnet50_thin').parameters)\n",
    )
    assert child.stdout.splitlines() == ["[]", "[]", "1.0 score_images", "6940840"], child.stderr


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'nsfw_caffe' has no attribute 'classifiy'"):
        nsfw_caffe.classifiy  # noqa: B018
