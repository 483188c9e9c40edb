"""What an engine is, and choosing one."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nsfw_caffe.errors import EngineUnavailable, ModelError, NsfwCaffeError, ScoreError
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import ENGINES, EngineName, ScoringOptions
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.system.forking import no_fork
from nsfw_caffe.system.processes import available_cores

_ROUNDING = 1e-5
"""How far from 1 the sum of float32 probabilities may be, however many; 1e-7 was seen of two, with bfloat16 too."""

_SHOWN = 5
"""Numbers that a message has."""

_NO_MEMORY = ("bad_alloc", "can't alloc", "Failed to allocate memory")
"""What OpenVINO says where there is not enough memory, and onnxruntime where a GPU has not."""

_NO_THREAD = "Resource temporarily unavailable"
"""What it says where a thread cannot be started."""

_log = logging.getLogger(__name__)

Parallelism: TypeAlias = Literal["threads", "processes", "batches"]


class EngineNotInstalledError(EngineUnavailable):
    """The engine is not there at all, which is the one thing that "auto" passes over."""


class Engine(Protocol):
    """A loaded network; it knows nothing of pictures."""

    name: str
    batch_size: int
    """How many pictures one call of `forward` takes best."""
    parallelism: Parallelism
    """How several pictures are worked on at once: "threads" where `forward` may be called from several threads, which
    then run side by side; "processes" where it holds the GIL; "batches" where one large batch is the fastest."""

    def forward(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Run the network: float32 (n, 3, 224, 224), blue, green, red, minus the mean, to float32 (n, classes).

        EngineUnavailable if the engine fails: there is not enough memory for example.
        """
        ...


class FeatureReader(Protocol):
    """A loaded network that gives more than its output: the feature map that its global average pooling averages."""

    def read(self, tensor: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Run the network on one picture, float32 (3, 224, 224).

        Gives float32 (classes,), the bits of `Engine.forward`, and the map, float32 (channels, height, width). It may
        be called from several threads. EngineUnavailable as there.
        """
        ...


def create_engine(files: ModelFiles, options: ScoringOptions, callers: int = 1) -> Engine:
    """Load the model into the engine that `require_engine` names, for as many threads that call `forward` at once.

    EngineUnavailable as there; ModelError if the engine cannot run the model, or there is not enough memory.
    """
    name, module = _installed(options)
    with _ending_foreign_errors(ModelError, f"{files.prototxt}: {name} cannot run this model"):
        engine: Engine = module.create(files, options, callers)
    return engine


def create_reader(engine: Engine, files: ModelFiles, options: ScoringOptions, blob: str) -> FeatureReader:
    """Give what reads the feature map of a network that an engine has loaded, whose name in Caffe is `blob`.

    EngineUnavailable where a package is missing, with the command that installs it.
    """
    name, module = _installed(options)
    with _ending_foreign_errors(ModelError, f"{files.prototxt}: {name} cannot give this model's feature map"):
        reader: FeatureReader = module.create_reader(engine, files, options, blob)
    return reader


def require_engine(options: ScoringOptions) -> EngineName:
    """Name the engine of the options, for "auto" the first installed; EngineUnavailable if it is none or broken."""
    return _installed(options)[0]


def installed_engines() -> list[EngineName]:
    """List the engines that are installed; EngineUnavailable where there is none, or one is broken."""
    found, reasons = [], []
    for name in ENGINES:
        try:
            _module(name).require(ScoringOptions(engine=name))
            found.append(name)
        except EngineNotInstalledError as error:
            reasons.append(str(error))
    if not found:
        raise EngineUnavailable("\n  ".join(reasons))
    return found


def _module(name: EngineName) -> Any:  # noqa: ANN401
    return importlib.import_module(f"nsfw_caffe.engines.{name}")


def _installed(options: ScoringOptions) -> tuple[EngineName, Any]:
    """Give the name and the module of the engine, which for "auto" is the first that is installed."""
    candidates = ENGINES if options.engine == "auto" else (options.engine,)
    if options.engine == "auto" and options.precision == "bfloat16":
        candidates = ("openvino",)  # the only one that has it, whatever else is installed
    reasons = []
    for name in candidates:
        module = _module(name)
        try:
            module.require(options)
        except EngineNotInstalledError as error:
            reasons.append(str(error))
        except EngineUnavailable as error:
            if len(candidates) == 1:
                raise
            advice = "'auto' takes no other engine in its place: name one to have its scores"
            raise EngineUnavailable(f"{error}\n  {advice}") from error
        else:
            if options.engine == "auto":
                _log.info("engine 'auto' is %s%s", name, "".join(f"; not {reason}" for reason in reasons))
            return name, module
    raise EngineUnavailable("\n  ".join(reasons))


def threads_a_picture(options: ScoringOptions, callers: int) -> int:
    """How many threads compute one forward pass."""
    return max(1, (options.threads or available_cores()) // callers)


def import_module(name: str, library: str, advice: str | None = None) -> Any:  # noqa: ANN401
    """Import an engine's package; one that is not there is another error than one that is broken.

    `advice` says how to get it, by default with the extra of its name.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name in (name, None):
            raise EngineNotInstalledError(f"{library}: {error}; {advice or install_hint(name)}") from error
        raise EngineUnavailable(f"{library}: {name} is installed but cannot be loaded: {error}") from error


def require_float32(engine: str, options: ScoringOptions) -> None:
    """Refuse another precision for an engine that has none: EngineUnavailable, which says which engine has it."""
    if options.precision != "float32":
        raise EngineUnavailable(f"{engine}: precision {options.precision!r} is there only with engine 'openvino'")


def score_of(output: npt.NDArray[np.float32], scored: int = ModelFiles.scored) -> float:
    """Take a score, as all are taken, from the network's float32 (classes,), which have to be probabilities.

    ScoreError where they are none.
    """
    # All are looked at: of two numbers that are not finite, OpenVINO's softmax may make NaN and 0.
    found: list[float] = output.tolist()
    if not (all(0 <= one <= 1 for one in found) and abs(sum(found) - 1) <= _ROUNDING):
        shown = [f"{one:g}" for one in found[:_SHOWN]] + ["..."] * (len(found) > _SHOWN)
        text = f"{', '.join(shown[:-1])} and {shown[-1]}"
        count = "two" if len(found) == 2 else len(found)
        raise ScoreError(f"the network's output is {text}, not {count} probabilities: the model is at fault")
    return found[scored]


def taker(files: ModelFiles) -> Callable[[npt.NDArray[np.float32]], Any]:
    """Give what takes the result out of an output: `score_of`, or the features as they are, if they are finite."""
    return features_of if files.features is not None else functools.partial(score_of, scored=files.scored)


def features_of(output: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Take features from the network's output; ScoreError where one is not finite."""
    if not np.isfinite(output).all():
        raise ScoreError("the network's features are not all finite numbers: the model is at fault")
    return output


def failing_alone(engine: str) -> contextlib.AbstractContextManager[None]:
    """Make what an engine raises in a forward pass an EngineUnavailable: its own classes are not public."""
    return _ending_foreign_errors(EngineUnavailable, f"{engine}: a forward pass failed")


@contextlib.contextmanager
def _ending_foreign_errors(kind: type[NsfwCaffeError], what: str) -> Iterator[None]:
    try:
        with no_fork():
            yield
    except NsfwCaffeError:
        raise
    except Exception as error:
        # OpenVINO's have several lines, with places in its sources.
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, MemoryError) or any(word in reason for word in _NO_MEMORY):
            reason = "not enough memory"
        elif _NO_THREAD in reason:
            reason = "no thread could be started: not enough memory, or too many processes"
        raise kind(f"{what}: {reason}") from error
