"""Scanning in one call: paths in, a file of results out."""

from __future__ import annotations

import errno
import functools
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nsfw_caffe.classifier import Classifier, default_classifier
from nsfw_caffe.errors import ScanStopped
from nsfw_caffe.results.formats import check_path, read_results
from nsfw_caffe.results.record import Provenance, Record
from nsfw_caffe.scanning.locking import own_files
from nsfw_caffe.scanning.score import Warned
from nsfw_caffe.scanning.state import scan_items
from nsfw_caffe.sources.find import check_sources, count_items, find_items
from nsfw_caffe.sources.selection import Selection
from nsfw_caffe.sources.timeline import Grid
from nsfw_caffe.sources.video_file import require_av
from nsfw_caffe.system.reading import short_path, why_unreadable

Progress = Callable[[Record, int | None], None]
"""Told of each source's record, and how many sources there will be, None as long as that is not known."""


@dataclass(frozen=True)
class ScanResult:
    """What a scan did, in numbers; what it found is in the file.

    Attributes
    ----------
    output : pathlib.Path
        RESULTS.
    sources : int
        How many pictures, members of archives and bad sources were found.
    scored : int
        How many of them have a score.
    errors : int
        How many have an error in its place.
    known : int
        How many of them had been scored, or been an error, before the scan.
    """

    output: Path
    sources: int
    scored: int
    errors: int
    known: int

    def records(self) -> Iterator[Record]:
        """Read the file: every source that it has, those of earlier scans too; see `read_results`."""
        return read_results(self.output)

    def __str__(self) -> str:
        known = f", {self.known} of them known before" if self.known else ""
        return f"{self.sources} sources, {self.scored} scored, {self.errors} errors{known}"


def scan(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    classifier: Classifier | None = None,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    hidden: bool = False,
    frames: int = 1,
    every: float | None = None,
    resume: bool = True,
    retry: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    warned: Warned | None = None,
) -> ScanResult:
    """Score the pictures in files, folders and archives into a file, or go on with that where it was broken off.

    The same call again scores only what is new, has changed, or could not be read. However it ends, what was scored is
    kept, but for the last second's work. It is what ``nsfw-caffe scan`` does; docs/scanning.md has the rules and the
    columns. For pictures in memory, and for results that need no file, there is `Classifier.scan`.

    Parameters
    ----------
    sources : path, or iterable of paths
        Pictures, folders and archives. An iterable is read as the scan goes on and may be endless; what of it is not
        there gets a row with an error.
    output : path
        RESULTS: a .csv, .jsonl, .parquet or .sqlite file, whose folder exists. It is no source of the scan itself.
    classifier : Classifier, optional
        What scores; the one that `classify` uses by default.
    include, exclude : str or iterable of str, optional
        Globs: only such, and no such, files of folders and members of archives; see docs/scanning.md.
    hidden : bool, default False
        Hidden files and folders too.
    frames : int, default 1
        Of an animated picture, the highest score of so many frames, wherever they stand.
    every : float, optional
        Videos too, and animated pictures by time: of each the highest score of the frames that it shows every so many
        seconds, with the time at which it is reached (`Record.max_time`). By default a video is an error.
    resume : bool, default True
        Go on from what `output` has. With False everything is scored anew, and `output` is replaced at the end.
    retry : bool, default False
        Score again what is an error in `output`, whether it has changed or not.
    workers : int, optional
        As for `Classifier.scan`.
    progress : callable, optional
        Called after each source, with its `Record` and with how many sources there will be: None as long as that is not
        known, as where an archive has to be read to know.
    warned : callable, optional
        Called with a source's name and what was said of it while it was scored, see `Result.warnings`.

    Returns
    -------
    ScanResult
        Numbers, and `records()` to read the file.

    Raises
    ------
    ValueError, TypeError
        An argument is none of its kind.
    ResultsError
        `output` cannot be used, or was made with another model, engine or the like; or a package that a source needs is
        not installed.
    ScanStopped
        `sources` is one path that is not there, another scan is at work on `output`, or the disk is full or failing.
    ModelError, EngineUnavailable
        The engine cannot go on, or videos are wanted and PyAV is not installed.

    Examples
    --------
    >>> import nsfw_caffe
    >>> result = nsfw_caffe.scan("photos", "results.csv")
    >>> print(result)
    3 sources, 2 scored, 1 errors
    >>> [record.source for record in result.records() if record.error]
    ['photos/text.jpg']
    >>> print(nsfw_caffe.scan("photos", "results.csv"))
    3 sources, 2 scored, 1 errors, 3 of them known before
    """
    if frames < 1 or (workers is not None and workers < 1):
        raise ValueError(f"frames={frames}, workers={workers}: expected 1 or more")
    if every is not None:
        if frames > 1:
            raise ValueError(f"frames={frames}, every={every}: expected one of them, as frames goes by their number")
        Grid(every)
    results = Path(output)
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
        if (error := not_there(_path(sources[0]))) is not None:
            raise ScanStopped(error)
    paths = [_path(source) for source in sources] if isinstance(sources, Sequence) else map(_path, sources)
    check_scan(paths, results, videos=every is not None)
    classifier = classifier or default_classifier()
    limits = classifier.options.limits
    selection = Selection(
        include=_globs(include),
        exclude=_globs(exclude),
        hidden=hidden,
        max_bytes=limits.bytes or sys.maxsize,
        leave_out=frozenset(own_files(results)),
        videos=every is not None,
    )
    counts: Counter[str] = Counter()
    total = _Total(paths, selection) if progress is not None and isinstance(paths, list) else None

    def done(record: Record, new: bool) -> None:
        counts["scored" if record.error is None else "errors"] += 1
        counts["known"] += not new
        if progress is not None:
            progress(record, None if total is None else total.value)

    scan_items(
        results,
        find_items(paths, selection),
        functools.partial(classifier.scan, workers=workers, every=every),
        set_up_of(classifier, frames, every),
        rescore=not resume,
        retry=retry,
        limits=limits,
        done=done,
        warned=warned,
    )
    return ScanResult(results, counts["scored"] + counts["errors"], counts["scored"], counts["errors"], counts["known"])


def check_scan(sources: Iterable[str], results: Path, *, videos: bool = False) -> None:
    """Find out before a scan, and before a model is loaded for it, whether it could begin.

    ResultsError if not; EngineUnavailable where videos are wanted, and PyAV is missing.
    """
    check_path(results)
    check_sources(sources)
    if videos:
        require_av()


def not_there(path: str) -> str | None:
    """Say that a source that was named is not there; None where it is."""
    if os.path.lexists(path):
        return None
    return f"{short_path(path)}: {why_unreadable(path, FileNotFoundError(errno.ENOENT, 'no such file or folder'))}"


def set_up_of(classifier: Classifier, frames: int = 1, every: float | None = None) -> Provenance:
    """Say what a scan with a Classifier scores with."""
    return Provenance.of(classifier.options, classifier.model_sha256, frames, every)


class _Total:
    """How many sources there are, counted beside the scan: `value` is None until it is known."""

    def __init__(self, paths: list[str], selection: Selection) -> None:
        self.value: int | None = None
        threading.Thread(target=self._count, args=(paths, selection), daemon=True).start()

    def _count(self, paths: list[str], selection: Selection) -> None:
        self.value = count_items(paths, selection)


def _path(source: str | os.PathLike[str]) -> str:
    path = os.fspath(source)
    if not isinstance(path, str):
        raise TypeError(f"expected paths, found {type(source).__name__}: Classifier.scan scores pictures in memory")
    return path


def _globs(globs: str | Iterable[str]) -> tuple[str, ...]:
    return (globs,) if isinstance(globs, str) else tuple(globs)
