"""The networks that open_nsfw's was chosen among, and others of their kind: built, and counted, without Caffe.

`build` writes a network's prototxt for scoring or for training; `cost` counts what it takes, or any prototxt; `measure`
times it in the engines that are installed.
"""

from nsfw_caffe.networks.builder import Form
from nsfw_caffe.networks.catalogue import NETWORKS, Accuracy, Network, NetworkName, build
from nsfw_caffe.networks.cost import Cost, LayerCost, cost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nsfw_caffe.networks.measuring import Measurement, measure

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


def __getattr__(name: str) -> object:
    """Import what measures when it is asked for: building and counting need neither NumPy nor an engine."""
    if name not in ("Measurement", "measure"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nsfw_caffe.networks import measuring

    value: object = getattr(measuring, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
