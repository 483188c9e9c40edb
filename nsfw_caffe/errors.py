"""The errors that this library raises."""

from __future__ import annotations


class NsfwCaffeError(Exception):
    """Base class of every error that this library raises on purpose."""


class ModelError(NsfwCaffeError):
    """A model file is missing, damaged, or not a network that this library can run."""


class _SourceError(NsfwCaffeError):
    """What is wrong with one source; the message is made of the attributes.

    Parameters
    ----------
    source : str
        The source's name; or the whole message, where there is no `reason`.
    reason : str, optional
        What is wrong.
    index : int, optional
        Which of several sources it is.

    Attributes
    ----------
    source : str or None
        The source's name: its path, or what it is.
    reason : str
        What is wrong, without the name.
    index : int or None
        Where the source stands among those that `classify_batch` was given.
    """

    def __init__(self, source: str, reason: str | None = None, *, index: int | None = None) -> None:
        self.source = None if reason is None else source
        self.reason = source if reason is None else reason
        self.index = index
        number = None if index is None else f"source {index}"
        super().__init__(": ".join(part for part in (number, self.source, self.reason) if part is not None))


class ScoreError(_SourceError, ModelError):
    """The network's output for a picture is no probability; the `source` that the message names may be fine."""


class ImageError(_SourceError, ValueError):
    """A source could not be turned into a picture: the message is its `source` and the `reason`.

    Examples
    --------
    >>> import nsfw_caffe
    >>> try:
    ...     nsfw_caffe.classify("missing.jpg")
    ... except nsfw_caffe.ImageError as error:
    ...     print(error)
    ...     print(error.source)
    missing.jpg: cannot be read (No such file or directory)
    missing.jpg
    """


class VideoError(ImageError):
    """A source is no video or animation, or no frame of it can be decoded; the message is `source` and `reason`."""


class EngineUnavailable(NsfwCaffeError):  # noqa: N818 - a state, named as one
    """The engine, device or set-up asked for cannot be used here; the message says what would make it available."""


class ResultsError(NsfwCaffeError):
    """A file of results cannot be read or written, or does not fit what is asked of it; the message names the file."""


class ResultsUnreadable(ResultsError):  # noqa: N818 - a state, named as one
    """A file of results is missing, damaged, or none; the message names the file."""


class ScanStopped(NsfwCaffeError):  # noqa: N818 - a state, named as one
    """A scan could not begin or go on; what it had found is kept, and the message says how to go on."""


class EvaluationError(NsfwCaffeError, ValueError):
    """Labelled data cannot be evaluated, or not as asked; the message says what to do."""


class LabelsUnreadable(EvaluationError, ResultsUnreadable):  # noqa: N818 - a state, named as one
    """A table of labels or of scores is missing, damaged, or none; the message names the file."""


class TrainingError(NsfwCaffeError):
    """Training cannot start, or go on."""


class SolverLost(TrainingError):  # noqa: N818 - a state, named as one
    """A solver was killed, or one of several that train together has gone: going on from the last snapshot may help."""
