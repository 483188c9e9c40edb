"""Does this machine give the recorded bits? Stage by stage: the file, the preprocessed tensor, the score."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from nsfw_caffe.errors import EngineUnavailable, ImageError, ModelError
from nsfw_caffe.fidelity.measure import Environment, Measured, measure
from nsfw_caffe.options import EngineName, ScoringOptions

RECORDED = resources.files("nsfw_caffe.fidelity") / "recorded.json"
"""Tensors and scores of pictures from scikit-image's wheel; `benchmarks/fidelity.py --record` writes it."""

PORTABLE_ENGINES: tuple[EngineName, ...] = ("onnxruntime", "openvino")

TOLERANCE = 5e-6
"""How far a portable engine's score may be from Caffe's, whose own ones differ by 3e-7 from BLAS to BLAS."""


@dataclass(frozen=True)
class Expected:
    """What is recorded of a picture; None where nothing is.

    Attributes
    ----------
    path : Path
        The picture.
    sha256 : str
        Of the picture's file.
    tensors : dict of str to str
        The codec's name to the SHA-256 of the float32 (3, 224, 224) tensor's bytes.
    scores : dict of str to dict of str to float
        The codec's name, then the BLAS's ("atlas", "openblas SkylakeX"), to the score.
    published : float or None
        A score that somebody else published.
    decimals : int or None
        To how many decimals it was published; None for all of them.
    within : float
        How far from it the original's score may be, where it was published with another program's rounding.
    """

    path: Path
    sha256: str
    tensors: dict[str, str]
    scores: dict[str, dict[str, float]]
    published: float | None = None
    decimals: int | None = None
    within: float = 0.0

    def agrees(self, score: float) -> bool:
        """Tell whether a score is the published one, to all its digits."""
        assert self.published is not None
        rounded = score if self.decimals is None else round(score, self.decimals)
        return abs(rounded - self.published) <= self.within


@dataclass(frozen=True)
class Finding:
    """A picture's verdict.

    Attributes
    ----------
    file, tensor, score : str
        "equal", "different", or "no record".
    reason : str
        Where something differs: which stage, by how much, and why that usually is; else "".
    """

    path: Path
    measured: Measured
    file: str
    tensor: str
    score: str
    reason: str

    @property
    def equal(self) -> bool:
        """Whether nothing that is recorded differs."""
        return "different" not in (self.file, self.tensor, self.score)


@dataclass(frozen=True)
class PortableFinding:
    """A portable engine's verdict.

    Attributes
    ----------
    engine : str
        Its name.
    verdict : str
        "equal", "different", or "not installed"; equal is within `TOLERANCE` of each of Caffe's recorded scores.
    reason : str
        What was found.
    """

    engine: str
    verdict: str
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
    """Return the pictures beside `path`, a JSON file of scores that other people published.

    The file holds ``{"scores": [{"file": ..., "sha256": ..., "nsfw": ..., "digits": ...}]}``; `digits` is
    "6 decimals", say, where a score was rounded, and ends with "within 1e-7" where the program was another one.

    Raises
    ------
    ModelError
        If the file is not of that form; a record is part of what a set-up is checked with.
    """
    try:
        return [
            Expected(path.parent / entry["file"], entry["sha256"], {}, {}, float(entry["nsfw"]), *_digits(entry))
            for entry in json.loads(path.read_text())["scores"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a file of published scores ({type(error).__name__}: {error})") from error


def _digits(entry: dict[str, str]) -> tuple[int | None, float]:
    """Return the number of decimals, where they are fewer than all, and what a score may be off."""
    digits = entry.get("digits", "")
    decimals, within = re.match(r"(\d+) decimals", digits), re.search(r"within (\d[\d.e-]*)$", digits)
    return int(decimals[1]) if decimals else None, float(within[1]) if within else 0.0


def check(expected: list[Expected], options: ScoringOptions) -> tuple[Environment, list[Finding]]:
    """Measure the pictures in a child process and compare.

    Raises
    ------
    EngineUnavailable
        If the set-up is not available here, or the child process died.
    ImageError
        If a picture is missing.
    """
    require_pictures(expected)
    environment, measured = measure([picture.path for picture in expected], options)
    return environment, [_compare(*pair, environment) for pair in zip(expected, measured, strict=True)]


def require_pictures(expected: list[Expected]) -> None:
    """Raise ImageError if a picture is missing."""
    for picture in expected:
        if not picture.path.is_file():
            raise ImageError(str(picture.path), "the picture is missing")


def check_portable(expected: list[Expected]) -> list[PortableFinding]:
    """Score the recorded ones of the pictures with each portable engine, in a child process, and compare with Caffe's.

    Parameters
    ----------
    expected : list of Expected
        The pictures; those without recorded scores are left out.
    """
    recorded = [picture for picture in expected if "pillow" in picture.scores]
    return [_check_engine(engine, recorded) for engine in PORTABLE_ENGINES]


def _check_engine(engine: EngineName, recorded: list[Expected]) -> PortableFinding:
    if importlib.util.find_spec(engine) is None:
        return PortableFinding(engine, "not installed", f"pip install '.[{engine}]' from the checkout")
    try:
        _, measured = measure([picture.path for picture in recorded], ScoringOptions(engine=engine))
    except EngineUnavailable as error:
        return PortableFinding(engine, "different", str(error))
    distances = [
        max(abs(score - here.score) for score in picture.scores["pillow"].values())
        for picture, here in zip(recorded, measured, strict=True)
    ]
    changed = [
        picture.path.name
        for picture, here in zip(recorded, measured, strict=True)
        if (here.sha256, here.tensor) != (picture.sha256, picture.tensors["pillow"])
    ]
    reason = f"at most {max(distances):.1e} from Caffe's recorded scores; {TOLERANCE:.0e} is allowed"
    if changed:
        reason += f"; the engine was given something else for {', '.join(changed)}: the file or the tensor differs"
    return PortableFinding(engine, "equal" if max(distances) <= TOLERANCE else "different", reason)


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
        causes.append(f"{environment.blas} instead of ATLAS, which moves the last digits")
    return "different", f"{where} to the published {published!r}: {' and '.join(causes) or 'the set-up is the same'}"


def units_in_last_place(a: float, b: float) -> int:
    """Return how many float32 values lie between two non-negative float32 scores."""
    bits = np.array([a, b], np.float32).view(np.int32).astype(int)
    return abs(int(bits[0] - bits[1]))
