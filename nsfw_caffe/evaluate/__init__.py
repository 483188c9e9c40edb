"""How good scores are on labelled data, and where to put a threshold.

Labels are 1 or True for nsfw and 0 or False for sfw; a score of the threshold or more is taken for nsfw. Every
function of labels and scores takes a `Samples` in place of them, which is checked and sorted once for all.
"""

from nsfw_caffe.evaluate.comparison import Comparison, RunsCompared, compare, compare_runs
from nsfw_caffe.evaluate.curves import PrecisionRecall, Roc, precision_recall, roc, thin
from nsfw_caffe.evaluate.delong import auc_interval
from nsfw_caffe.evaluate.error_rates import Confusion, RateAt, confusion, fnr_at_fpr, fpr_at_fnr
from nsfw_caffe.evaluate.evaluation import Evaluation, evaluate
from nsfw_caffe.evaluate.groups import GroupTest, Strata, Stratum, strata
from nsfw_caffe.evaluate.intervals import Interval, Share, clopper_pearson, wilson
from nsfw_caffe.evaluate.labelled import LabelledScores
from nsfw_caffe.evaluate.labelled_data import evaluate_folders, evaluate_table
from nsfw_caffe.evaluate.moderation import Policy, policy
from nsfw_caffe.evaluate.options import Options
from nsfw_caffe.evaluate.reliability import Calibration, calibration
from nsfw_caffe.evaluate.resampling import bootstrap
from nsfw_caffe.evaluate.samples import Samples
from nsfw_caffe.evaluate.thresholds import ThresholdChoice, choose_threshold

__all__ = [
    "Calibration",
    "Comparison",
    "Confusion",
    "Evaluation",
    "GroupTest",
    "Interval",
    "LabelledScores",
    "Options",
    "Policy",
    "PrecisionRecall",
    "RateAt",
    "Roc",
    "RunsCompared",
    "Samples",
    "Share",
    "Strata",
    "Stratum",
    "ThresholdChoice",
    "auc_interval",
    "bootstrap",
    "calibration",
    "choose_threshold",
    "clopper_pearson",
    "compare",
    "compare_runs",
    "confusion",
    "evaluate",
    "evaluate_folders",
    "evaluate_table",
    "fnr_at_fpr",
    "fpr_at_fnr",
    "policy",
    "precision_recall",
    "roc",
    "strata",
    "thin",
    "wilson",
]
