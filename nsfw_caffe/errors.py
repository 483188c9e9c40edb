"""The errors that this library raises."""

from __future__ import annotations


class NsfwCaffeError(Exception):
    """Base class of every error that this library raises on purpose."""


class ModelError(NsfwCaffeError):
    """A model file is missing, damaged, or not a network that this library can run."""


class ScoreError(ModelError):
    """The network's output for a picture is no probability; the message names the source, which may be fine."""


class ImageError(NsfwCaffeError, ValueError):
    """A source could not be turned into a picture; the message names the source.

    Examples
    --------
    >>> import nsfw_caffe
    >>> try:
    ...     nsfw_caffe.classify("missing.jpg")
    ... except nsfw_caffe.ImageError as error:
    ...     print(error)
    missing.jpg: cannot be read (No such file or directory)
    """


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
