"""Sources in, scores out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np

from nsfw_caffe.engines.base import create_engine, require_engine
from nsfw_caffe.engines.blas import loaded_blas
from nsfw_caffe.engines.loaded import LoadedEngines
from nsfw_caffe.errors import NsfwCaffeError
from nsfw_caffe.model.locate import resolve
from nsfw_caffe.model.spec import SCORE_CLASS, combined_sha256
from nsfw_caffe.options import BlasChoice, Decode, EngineChoice, Jpeg, Precision, ScoringOptions
from nsfw_caffe.parallel.outcome import Outcome
from nsfw_caffe.parallel.pipeline import Pipeline
from nsfw_caffe.preprocessing.jpeg import create_codec, describe_codec
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.preprocessing.steps import Source, describe
from nsfw_caffe.reloading import Pickled, blas_of, reload
from nsfw_caffe.system.forking import in_forked_child

if TYPE_CHECKING:
    from nsfw_caffe.explain.explainer import Explainer
    from nsfw_caffe.explain.explanation import Detail, Explanation
    from nsfw_caffe.video import Progress, VideoResult

_ONE_SOURCE = (str, bytes, bytearray, memoryview, os.PathLike, np.ndarray)


@dataclass(frozen=True)
class Result:
    """What a scan found out about one source.

    Attributes
    ----------
    source : Source
        The source, as it was given.
    score : float or None
        The network's output, 0 to 1; None if the source could not be scored.
    error : str or None
        Why not; None if it was scored.
    seconds : float
        How long it was worked on, waiting left out.
    warnings : tuple of str
        What Pillow and the libraries below it said of it, in the processes of the library's own that Caffe's workers
        are. What they say in this process goes to its `warnings` and its standard error, as ever. Of a video, what
        `VideoResult.warnings` has.
    reason : str or None
        The error without the name of the source, whose content others may have too.
    max_time : float or None
        Of a video or an animation, the seconds from its beginning at which the score is reached; None for a picture.

    Examples
    --------
    >>> import nsfw_caffe
    >>> found, missing = nsfw_caffe.Classifier().scan(["photo.jpg", "missing.jpg"])
    >>> found.source, round(found.score, 2), found.error
    ('photo.jpg', 0.03, None)
    >>> missing.score, missing.reason
    (None, 'cannot be read (No such file or directory)')
    """

    source: Source
    score: float | None
    error: str | None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    reason: str | None = None
    max_time: float | None = None

    @property
    def ok(self) -> bool:
        """Whether it has a score."""
        return self.score is not None


class Classifier:
    """The open_nsfw network, loaded, with everything that turns a picture into its score.

    It may be used from several threads, and in a child after `os.fork`, which loads the engine anew. Pickled it is its
    options, with the engine that "auto" has chosen: where it is unpickled, the model must lie at the same paths (the
    original is found, or downloaded) and hold the same, or that is an error.

    Parameters
    ----------
    engine : str, default "auto"
        "caffe" is the native engine, "onnxruntime" and "openvino" are portable ones for the same two files; "auto"
        takes the first of these that is installed, and logs which. One that is installed but broken is an error.
    device : str, default "cpu"
        "cpu", or "gpu:N" for the GPU of that number; "cuda:N" is taken for it.
    prototxt, caffemodel : str or os.PathLike, optional
        A model of your own with the same input and a two-way output, sfw and nsfw. Give both or neither: without them,
        and without `model`, it is the original model, downloaded on first use.
    model : str or os.PathLike, optional
        A model of your own as a folder with deploy.prototxt, a caffemodel and model.json, which names the classes.
    score_class : str, optional
        The class whose probability the score is; by default what model.json says: "nsfw", else the second of two.
    jpeg : str, default "pillow"
        The JPEG library of the preprocessing: "pillow" for the one inside Pillow, "ijg9d" for IJG libjpeg 9d.
    decode : str, default "exact"
        "fast" decodes large JPEG files at 1/2, 1/4 or 1/8 of their size, but to no less than 512 pixels a side; it is
        faster and gives other scores (docs/speed.md). It goes with jpeg="pillow" alone.
    precision : str, default "float32"
        "bfloat16" is twice as fast with engine="openvino" on a CPU that has units for it, and gives other scores
        (docs/engines.md).
    blas : str, default "system"
        "atlas" has Caffe compute with ATLAS. A process computes with one BLAS, so nothing else may have loaded Caffe.
    threads : int, optional
        How many threads compute; by default as many as there are cores.
    limits : Limits, optional
        What a picture may ask for in memory and time; one that asks for more is an error.

    Attributes
    ----------
    engine : str
        The name of the engine in use.
    options : ScoringOptions
        All of the above but the model, with the engine that "auto" has chosen.
    classes : tuple of str
        The model's classes, in the order of the network's outputs: ("sfw", "nsfw") for the original.
    score_class : str
        The class whose probability the score is.
    model_sha256 : str
        The model's hash: the SHA-256 of the two files' own, and of which output the score is, where it is not the
        second.

    Raises
    ------
    ValueError
        If an argument is none of the values above, or goes with no other.
    ModelError
        If the model cannot be found, downloaded or run, or is damaged.
    EngineUnavailable
        If the engine, the device, the precision or the JPEG library is not available here.

    Examples
    --------
    >>> import nsfw_caffe
    >>> classifier = nsfw_caffe.Classifier()
    >>> round(classifier.classify("photo.jpg"), 2)
    0.03
    >>> from skimage import data
    >>> [round(score, 2) for score in classifier.classify_batch([data.astronaut(), data.cat()])]
    [0.03, 0.0]
    """

    def __init__(
        self,
        *,
        engine: EngineChoice = "auto",
        device: str = "cpu",
        prototxt: str | os.PathLike[str] | None = None,
        caffemodel: str | os.PathLike[str] | None = None,
        model: str | os.PathLike[str] | None = None,
        score_class: str | None = None,
        jpeg: Jpeg = "pillow",
        decode: Decode = "exact",
        precision: Precision = "float32",
        blas: BlasChoice = "system",
        threads: int | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        asked = ScoringOptions(
            engine=engine,
            device=device,
            precision=precision,
            decode=decode,
            jpeg=jpeg,
            blas=blas,
            threads=threads,
            limits=limits,
        )
        self._codec = create_codec(jpeg, decode)
        self.engine = require_engine(asked)  # before a download
        self.options = dataclasses.replace(asked, engine=self.engine)
        files = resolve(prototxt, caffemodel, model, score_class)
        self._engines = LoadedEngines(create_engine(files, self.options), files, self.options)
        self._pipeline = Pipeline(self._engines, self._codec)
        self.classes = files.classes
        self.score_class = files.classes[files.scored]
        self.model_sha256 = combined_sha256(self._engines.hashes, files.scored)
        paths = {"prototxt": prototxt, "caffemodel": caffemodel, "model": model}
        self._model = {name: None if path is None else str(Path(path).absolute()) for name, path in paths.items()}
        self._model["score_class"] = self.score_class

    @classmethod
    def from_options(
        cls,
        options: ScoringOptions,
        *,
        prototxt: str | os.PathLike[str] | None = None,
        caffemodel: str | os.PathLike[str] | None = None,
        model: str | os.PathLike[str] | None = None,
        score_class: str | None = None,
    ) -> Classifier:
        """Create a Classifier from options that are made already, another one's for example."""
        return cls(**vars(options), prototxt=prototxt, caffemodel=caffemodel, model=model, score_class=score_class)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        blas = blas_of(self.engine)
        return reload, (
            Pickled(type(self).from_options, self.options, tuple(self._model.items()), self.model_sha256, blas),
        )

    def __repr__(self) -> str:
        shown: dict[str, object] = {"engine": self.engine}
        blas = loaded_blas() if self.engine == "caffe" and self.options.gpu is None else None
        if blas is not None:
            shown["blas"] = blas.title
        shown["jpeg"] = describe_codec(self.options.jpeg)
        shown["model"] = f"{self._engines.hashes[1][:8]}..."
        if self.score_class != SCORE_CLASS:
            shown["score_class"] = self.score_class
        for name in ("device", "precision", "decode", "threads", "limits"):
            value = getattr(self.options, name)
            if value != getattr(_DEFAULTS, name):
                shown[name] = value
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._engines.closed

    def close(self) -> None:
        """Let go of the network, its memory and its processes; scoring raises ValueError from then on.

        Scans that have begun go on to their end. Closing twice is no error.
        """
        self._pipeline.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @classmethod
    def published(
        cls,
        *,
        jpeg: Jpeg = "ijg9d",
        prototxt: str | os.PathLike[str] | None = None,
        caffemodel: str | os.PathLike[str] | None = None,
        model: str | os.PathLike[str] | None = None,
        score_class: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Classifier:
        """Create a Classifier whose scores are those that others published: Caffe on ATLAS, and their JPEG library.

        A process computes with one BLAS, so call this before anything else in the process loads Caffe. The published
        bits are x86-64's: on arm64 ATLAS's last digits are others, and jpeglib has no wheel for Linux.

        Parameters
        ----------
        jpeg : str, default "ijg9d"
            "ijg9d" for scores of the original script with pip's Pillow of before 2022, whose bits these are; "pillow"
            for those of a distribution's Pillow, or of one compiled where libjpeg-turbo was, the classic image
            `caffe:cpu` for example. They differ by up to 0.03; ``nsfw-caffe verify --against FILE`` tells which is it.
        prototxt, caffemodel, model, score_class, limits
            As for the class.

        Raises
        ------
        ModelError
            As for the class.
        EngineUnavailable
            If ATLAS, jpeglib or pycaffe is missing (the message says the command that installs it), or if the process
            computes with another BLAS already.
        """
        options = ScoringOptions.published(jpeg, limits)
        return cls.from_options(options, prototxt=prototxt, caffemodel=caffemodel, model=model, score_class=score_class)

    def classify(self, source: Source) -> float:
        """Score one picture.

        Parameters
        ----------
        source : str, os.PathLike, bytes, binary file object, PIL.Image.Image or numpy.ndarray
            The picture; an array is uint8, (height, width, 3), RGB.

        Returns
        -------
        float
            The network's output, 0 to 1: the float32 that the network gives, unrounded.

        Raises
        ------
        ImageError
            If the source is not a picture, or exceeds a limit; the message names it.
        ScoreError
            If the network's output for it is no probability, which only a model of your own does.
        EngineUnavailable
            If the engine fails, for want of memory for example.
        ValueError
            If the Classifier is closed.
        """
        ((_, (score, *_)),) = self._pipeline.score([source], workers=1)
        if isinstance(score, NsfwCaffeError):
            raise score
        return score

    def classify_batch(self, sources: Iterable[Source], *, workers: int | None = None) -> list[float]:
        """Score several pictures; on the CPU the bits are those of `classify`, one by one.

        Parameters
        ----------
        sources : iterable of sources
            As for `classify`.
        workers : int, optional
            As for `scan`.

        Returns
        -------
        list of float
            The scores, in the order of the sources.

        Raises
        ------
        ImageError
            If a source is not a picture; the message names it and its index. `scan` goes on instead.
        ScoreError, EngineUnavailable
            As for `classify`.
        """
        scores = []
        for index, (source, (score, *_)) in enumerate(self._score(sources, workers)):
            if isinstance(score, NsfwCaffeError):
                raise type(score)(describe(source), score.reason, index=index) from score
            scores.append(score)
        return scores

    def scan(
        self, sources: Iterable[Source], *, workers: int | None = None, every: float | None = None
    ) -> Generator[Result, None, None]:
        """Score many pictures, one result each, in order; a source that cannot be scored does not stop the scan.

        Nothing is kept: what scans folders and archives into a file, and goes on after a stop, is `nsfw_caffe.scan`.

        Parameters
        ----------
        sources : iterable of sources
            As for `classify`; it is read as the scan goes on and may be endless.
        workers : int, optional
            How many pictures are worked on at a time: by default as many as there are cores, or one where there are
            few pictures and the engine needs a process for each, which takes a second to start. The Classifier keeps
            such processes for its next calls, 215 MB each, until nothing was scored for a minute, or it is closed. The
            scores do not depend on it.
        every : float, optional
            Videos and animations too, by paths, contents or files that can be rewound: of each, the highest score of
            the frames that it shows every so many seconds, as `classify_video` gives it. By default a video is an
            error, and an animation is its first frame.

        Yields
        ------
        Result
            The source with its score, or with what is wrong with it.

        Raises
        ------
        ValueError
            If `workers` is less than 1, `every` makes no sense, or the Classifier is closed.
        EngineUnavailable
            If the engine fails, or the scan was begun before `os.fork` and goes on in the child; or if there is a
            video among the sources, and PyAV is not installed.
        """
        outcomes = self._score(sources, workers) if every is None else self._highest(sources, workers, every)
        return (
            Result(source, None, str(score), seconds, said, score.reason)
            if isinstance(score, NsfwCaffeError)
            else Result(source, score, None, seconds, said, max_time=max_time)
            for source, (score, seconds, said, max_time) in outcomes
        )

    def explain(self, source: Source, *, detail: Detail = "exact") -> Explanation:
        """Say which parts of a picture make its score, exactly: see `Explanation`, and `nsfw_caffe.explain.overlay`.

        The first call takes a moment more, in which "onnxruntime" and "openvino" load the network a second time.

        Parameters
        ----------
        source
            As for `classify`.
        detail : str, default "exact"
            "exact" for the map that the score is made of, at the price of a score; "fine" for one with smaller places,
            the mean of the maps of 25 crops, at the price of 25 scores. It comes with the range of these.

        Returns
        -------
        Explanation
            The score, the same bits as `classify`, and its heat map.

        Raises
        ------
        ImageError, ScoreError, EngineUnavailable, ValueError
            As for `classify`; EngineUnavailable too where an engine needs the package onnx, which is not installed.
        ModelError
            If a model of your own does not end in a global average pooling, an InnerProduct and a Softmax, and so has
            no such map.

        Examples
        --------
        >>> import nsfw_caffe
        >>> explanation = nsfw_caffe.Classifier().explain("photo.jpg")
        >>> round(explanation.score, 2), explanation.heat_map.shape
        (0.03, (7, 7))
        """
        return self._explainer.explain(source, detail)

    def classify_video(
        self,
        source: str | os.PathLike[str] | bytes | BinaryIO,
        every: float = 1.0,
        start: float | None = None,
        end: float | None = None,
        limit: int | None = None,
        *,
        threshold: float = 0.8,
        stop_at: float | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
        limits: Limits | None = None,
    ) -> VideoResult:
        """Score the frames of a video, or of an animated GIF, PNG, WebP or AVIF file, that are shown every so often.

        Memory does not grow with its length: a few frames are held at a time, and of all others their scores. What of a
        damaged file can be decoded is scored; `complete` and `warnings` say so. docs/video.md is the guide.

        Parameters
        ----------
        source : str, os.PathLike, bytes or binary file object
            The file. FFmpeg opens nothing else, whatever it names.
        every : float, default 1.0
            Seconds from one frame to the next, 0.001 or more; 0 for every frame. What is shorter may be missed.
        start, end : float, optional
            Seconds from the beginning of the video: the part of it to score, without its end.
        limit : int, optional
            How many times are looked at, at most; by default 100,000.
        threshold : float, default 0.8
            The score from which on a frame belongs to a segment.
        stop_at : float, optional
            The score that ends it: the first frame that reaches it is the last one.
        workers : int, optional
            As for `scan`; the scores do not depend on it. Decoding takes one thread.
        progress : callable, optional
            Is called with the seconds that are scored, and how many there are, or None where the file does not say.
        limits : Limits, optional
            What a frame may ask for, where that is not what a picture may: a decoder of videos takes much more memory.

        Returns
        -------
        VideoResult
            The scores by time, the highest one, the 95th percentile, the mean, and the segments.

        Raises
        ------
        VideoError
            If it is no video, or nothing of it can be decoded; the message names it. It is an ImageError.
        EngineUnavailable
            As for `classify`; or if it is a video, and PyAV is not installed: the message says how to.
        ScoreError
            As for `classify`.
        ValueError
            If a time, a limit or a number of workers makes no sense, or the Classifier is closed.

        Examples
        --------
        >>> import nsfw_caffe
        >>> result = nsfw_caffe.Classifier().classify_video("clip.gif", every=0.5)
        >>> result.scores.round(2).tolist()
        [0.0, 0.02, 0.02]
        """
        from nsfw_caffe.sources.frames import frames
        from nsfw_caffe.video import score_frames

        self._engines.require_open()
        opened = frames(source, every, start, end, limit, limits=limits or self.options.limits)
        with contextlib.closing(opened):
            return score_frames(
                opened,
                lambda pictures: self._score(pictures, workers),
                threshold=threshold,
                stop_at=stop_at,
                progress=progress,
            )

    @functools.cached_property
    def _explainer(self) -> Explainer:
        # With it comes what reads networks, which scoring does without.
        from nsfw_caffe.explain.explainer import Explainer

        return Explainer(self._engines, self._codec)

    def _highest(
        self, sources: Iterable[Source], workers: int | None, every: float
    ) -> Iterator[tuple[Source, Outcome]]:
        from nsfw_caffe.video import highest_scores

        self._check(sources, workers)
        score = functools.partial(self._score, workers=workers)
        return highest_scores(sources, score, every=every, limits=self.options.limits)

    def _score(self, sources: Iterable[Source], workers: int | None) -> Iterator[tuple[Source, Outcome]]:
        self._check(sources, workers)
        return self._pipeline.score(sources, workers)

    def _check(self, sources: Iterable[Source], workers: int | None) -> None:
        self._engines.require_open()
        if workers is not None and workers < 1:
            raise ValueError(f"workers={workers}: expected 1 or more")
        # A path is an iterable of characters, and an array one of rows: both are one source.
        if isinstance(sources, _ONE_SOURCE) or hasattr(sources, "read"):
            raise TypeError(f"{describe(sources)} is one source: expected several sources, in a list for example")


_DEFAULTS = ScoringOptions()


def classify(source: Source) -> float:
    """Score one picture with the default Classifier, which the first call creates; see `Classifier.classify`.

    Examples
    --------
    >>> import nsfw_caffe
    >>> round(nsfw_caffe.classify("photo.jpg"), 2)
    0.03
    """
    return default_classifier().classify(source)


def classify_batch(sources: Iterable[Source]) -> list[float]:
    """Score several pictures with the default Classifier; see `Classifier.classify_batch`.

    Examples
    --------
    >>> import nsfw_caffe
    >>> [round(score, 2) for score in nsfw_caffe.classify_batch(["photo.jpg", "photo.jpg"])]
    [0.03, 0.03]
    """
    return default_classifier().classify_batch(sources)


def default_classifier() -> Classifier:
    """Return the Classifier that functions use which are given none; it is created once in a process."""
    with _default_lock:
        return _create_default()


def _renew_lock() -> None:
    """Make a new lock in a forked child: a thread that the child lacks may have held the old one."""
    global _default_lock
    _default_lock = threading.Lock()


_default_lock = threading.Lock()
_create_default = functools.cache(Classifier)
in_forked_child(_renew_lock)
