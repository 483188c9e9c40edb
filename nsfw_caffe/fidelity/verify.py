"""Does this machine give the recorded bits? Stage by stage: the file, the preprocessed tensor, the score.

And which set-up gives the scores that somebody published: every one that this machine has is tried.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from nsfw_caffe.errors import EngineUnavailable, ImageError, ModelError
from nsfw_caffe.fidelity.measure import Environment, Measured, measure
from nsfw_caffe.options import BlasChoice, EngineName, Jpeg, ScoringOptions

RECORDED = resources.files("nsfw_caffe.fidelity") / "recorded.json"
"""Tensors and scores of pictures from scikit-image's wheel; `benchmarks/fidelity.py --record` writes it."""

PORTABLE_ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")

TOLERANCE = 5e-6
"""How far a portable engine's score may be from Caffe's, whose own ones differ by 3e-7 from BLAS to BLAS."""

FAMILIES = {"ijg9d": "IJG libjpeg 9 family", "pillow": "libjpeg-turbo family"}
"""Published scores by the JPEG library of the preprocessing, under the name of its codec here; docs/fidelity.md."""

_JPEGS: tuple[Jpeg, ...] = ("ijg9d", "pillow")
_BLASES: tuple[BlasChoice, ...] = ("atlas", "system")

_TRIED = [
    *(ScoringOptions(engine="caffe", blas=blas, jpeg=jpeg) for blas in _BLASES for jpeg in _JPEGS),
    *(ScoringOptions(engine=engine, jpeg=jpeg) for engine in PORTABLE_ENGINES for jpeg in _JPEGS),
]


@dataclass(frozen=True)
class Expected:
    """What is recorded of a picture; None where nothing is."""

    path: Path
    sha256: str  # of the picture's file
    tensors: dict[str, str]  # the codec's name to the SHA-256 of the float32 (3, 224, 224) tensor's bytes
    scores: dict[str, dict[str, float]]  # by the codec's name, then the BLAS's: "atlas", "openblas SkylakeX"
    published: float | None = None  # by somebody else
    decimals: int | None = None  # to how many it was published; None for all of them
    within: float = 0.0
    """How far from it the original's score may be, where it was published with another program's rounding."""

    def agrees(self, score: float) -> bool:
        """Tell whether a score is the published one, to all its digits."""
        return self.distance(score) <= self.within

    def distance(self, score: float) -> float:
        """Return how far a score is from the published one, as far as that has digits."""
        assert self.published is not None
        return abs((score if self.decimals is None else round(score, self.decimals)) - self.published)


@dataclass(frozen=True)
class Finding:
    """A picture's verdict; file, tensor and score are each "equal", "different", or "no record"."""

    path: Path
    measured: Measured
    file: str
    tensor: str
    score: str
    reason: str  # where something differs: which stage, by how much, and why that usually is; else ""

    @property
    def equal(self) -> bool:
        """Whether nothing that is recorded differs."""
        return "different" not in (self.file, self.tensor, self.score)


@dataclass(frozen=True)
class PortableFinding:
    """A portable engine's verdict."""

    engine: str
    verdict: str
    """Either "equal", "different" or "not installed"; equal: within `TOLERANCE` of each of Caffe's recorded scores."""
    reason: str


def recorded_pictures() -> list[Expected]:
    """Return the pictures of scikit-image's wheel whose bits are recorded."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    return [
        Expected(folder / entry["file"], entry["sha256"], entry["tensors"], entry["scores"])
        for entry in json.loads(RECORDED.read_text())["pictures"]
    ]


def published_pictures(path: Path) -> list[Expected]:
    """Return the pictures beside `path`, a JSON file of scores that other people published; ModelError if it is none.

    It holds ``{"scores": [{"file": ..., "sha256": ..., "nsfw": ..., "digits": ...}]}``, see `_digits`.
    """
    try:
        return [
            Expected(path.parent / entry["file"], entry["sha256"], {}, {}, float(entry["nsfw"]), *_digits(entry))
            for entry in json.loads(path.read_text())["scores"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a file of published scores ({type(error).__name__}: {error})") from error


def _digits(entry: dict[str, str]) -> tuple[int | None, float]:
    """Read "6 decimals", where a score was rounded, and "within 1e-7" at the end, where another program gave it."""
    digits = entry.get("digits", "")
    decimals, within = re.match(r"(\d+) decimals", digits), re.search(r"within (\d[\d.e-]*)$", digits)
    return int(decimals[1]) if decimals else None, float(within[1]) if within else 0.0


def check(expected: list[Expected], options: ScoringOptions) -> tuple[Environment, list[Finding]]:
    """Measure the pictures in a child process, as `measure` does, and compare; ImageError if a picture is missing."""
    require_pictures(expected)
    environment, measured = measure([picture.path for picture in expected], options)
    return environment, [_compare(*pair, environment) for pair in zip(expected, measured, strict=True)]


def require_pictures(expected: list[Expected]) -> None:
    """Raise ImageError if a picture is missing."""
    for picture in expected:
        if not picture.path.is_file():
            raise ImageError(str(picture.path), "the picture is missing")


def check_portable(expected: list[Expected]) -> list[PortableFinding]:
    """Score the pictures of which Caffe's scores are recorded with each portable engine, and compare."""
    recorded = [picture for picture in expected if "pillow" in picture.scores]
    return [_check_engine(engine, recorded) for engine in PORTABLE_ENGINES]


def _check_engine(engine: EngineName, recorded: list[Expected]) -> PortableFinding:
    if importlib.util.find_spec(engine) is None:
        return PortableFinding(engine, "not installed", f"pip install '.[{engine}]' from the checkout")
    try:
        _, measured = measure([picture.path for picture in recorded], ScoringOptions(engine=engine))
    except EngineUnavailable as error:
        return PortableFinding(engine, "different", str(error))
    farthest, changed = 0.0, []
    for picture, here in zip(recorded, measured, strict=True):
        farthest = max(farthest, *(abs(score - here.score) for score in picture.scores["pillow"].values()))
        if (here.sha256, here.tensor) != (picture.sha256, picture.tensors["pillow"]):
            changed.append(picture.path.name)
    reason = f"at most {farthest:.1e} from Caffe's recorded scores; {TOLERANCE:.0e} is allowed"
    if changed:
        reason += f"; the engine was given something else for {', '.join(changed)}: the file or the tensor differs"
    return PortableFinding(engine, "equal" if farthest <= TOLERANCE else "different", reason)


def _compare(expected: Expected, measured: Measured, environment: Environment) -> Finding:
    file = _verdict(measured.sha256, expected.sha256)
    tensor = _verdict(measured.tensor, expected.tensors.get(environment.codec))
    score, reason = _compare_score(expected, measured, environment)
    if tensor == "different":
        reason = f"{reason}; the tensor differs already: {environment.jpeg} or the resize ({environment.resize}) does"
    if file == "different":
        reason = "the file is not the one that was recorded, so nothing after it can be equal"
    return Finding(expected.path, measured, file, tensor, score, reason)


def _verdict(found: object, recorded: object) -> str:
    if recorded is None:
        return "no record"
    return "equal" if found == recorded else "different"


def _compare_score(expected: Expected, measured: Measured, environment: Environment) -> tuple[str, str]:
    if expected.published is not None:
        return _compare_published(expected, expected.published, measured.score, environment)
    scores = expected.scores.get(environment.codec, {})
    if environment.blas in scores:
        recorded = scores[environment.blas]
        if measured.score == recorded:
            return "equal", ""
        distance = units_in_last_place(measured.score, recorded)
        return "different", f"{distance} units in the last place from {recorded!r}: another build of {environment.blas}"
    blas, recorded = min(scores.items(), key=lambda item: units_in_last_place(measured.score, item[1]))
    distance = units_in_last_place(measured.score, recorded)
    reason = f"{environment.blas} is not recorded; {distance} units in the last place from {recorded!r} of {blas}"
    return "different" if distance else "equal", reason


def _compare_published(expected: Expected, published: float, score: float, environment: Environment) -> tuple[str, str]:
    if expected.agrees(score):
        return "equal", ""
    bits = expected.decimals is None and not expected.within
    where = f"{units_in_last_place(score, published)} units in the last place" if bits else "not equal"
    causes = []
    if environment.codec != "ijg9d":
        causes.append(f"{environment.jpeg} instead of IJG libjpeg 9, which moves scores by up to 0.03")
    if environment.blas != "atlas":
        causes.append(f"{environment.blas} instead of ATLAS for x86-64, which moves the last digits")
    return "different", f"{where} to the published {published!r}: {' and '.join(causes) or 'the set-up is the same'}"


def units_in_last_place(a: float, b: float) -> int:
    """Return how many float32 values lie between two non-negative float32 scores."""
    bits = np.array([a, b], np.float32).view(np.int32).astype(int)
    return abs(int(bits[0] - bits[1]))


@dataclass(frozen=True)
class Trial:
    """What one set-up makes of published scores."""

    options: ScoringOptions
    environment: Environment | None  # None where the set-up is not available here
    agreeing: int  # pictures whose score is the published one, to all its digits; of `total`
    total: int
    distance: float  # the largest difference to a published score, as far as that has digits
    reason: str = ""  # why it is not available here

    @property
    def agrees(self) -> bool:
        """Whether each published score comes out."""
        return self.agreeing == self.total

    @property
    def family(self) -> str:
        """The published family that the set-up belongs to."""
        if self.options.jpeg == "pillow" and self.environment and "libjpeg-turbo" not in self.environment.jpeg:
            return f"the family of {self.environment.jpeg}"
        return FAMILIES[self.options.jpeg]


def try_all(expected: list[Expected]) -> Iterator[Trial]:
    """Score the pictures with each set-up that this machine has, in child processes; those with Caffe come first."""
    for options in _TRIED:
        try:
            if options.engine != "caffe" and importlib.util.find_spec(options.engine) is None:
                raise EngineUnavailable(f"{options.engine} is not installed")
            environment, measured = measure([picture.path for picture in expected], options)
        except EngineUnavailable as error:
            yield Trial(options, None, 0, len(expected), 1.0, str(error).splitlines()[0])
            continue
        scored = [(picture, here.score) for picture, here in zip(expected, measured, strict=True)]
        agreeing = sum(picture.agrees(score) for picture, score in scored)
        distance = max((picture.distance(score) for picture, score in scored), default=0.0)
        yield Trial(options, environment, agreeing, len(expected), distance)


def agrees_as_well(trial: Trial, best: Trial) -> bool:
    """Tell whether a set-up gives the published scores as the best one does: to all digits, or within `TOLERANCE`."""
    return trial.environment is not None and (trial.agrees or (not best.agrees and trial.distance <= TOLERANCE))


def find_best(trials: list[Trial]) -> Trial | None:
    """Return the set-up whose scores are the published ones, or the nearest within `TOLERANCE`, if there is one."""
    # Of several it is the first: Caffe before the portable engines, whose digits may agree by chance.
    found = [trial for trial in trials if trial.environment is not None and trial.total]
    best = min(found, key=lambda trial: (not trial.agrees, 0 if trial.agrees else trial.distance), default=None)
    return best if best is not None and (best.agrees or best.distance <= TOLERANCE) else None
