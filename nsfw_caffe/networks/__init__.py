"""The networks that open_nsfw's was chosen among, and others of their kind: built, and counted, without Caffe.

`build` writes a network's prototxt for scoring or for training; `cost` counts what it takes, or any prototxt; `measure`
times it in the engines that are installed.
"""

from nsfw_caffe.networks.builder import Form
from nsfw_caffe.networks.catalogue import NETWORKS, Accuracy, Network, NetworkName, build
from nsfw_caffe.networks.cost import Cost, LayerCost, cost
from nsfw_caffe.networks.measure import Measurement, measure

__all__ = [
    "NETWORKS",
    "Accuracy",
    "Cost",
    "Form",
    "LayerCost",
    "Measurement",
    "Network",
    "NetworkName",
    "build",
    "cost",
    "measure",
]
