"""A scan from its sources to RESULTS, which may be broken off anywhere and gone on with."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nsfw_caffe.errors import ScanStopped
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.results.formats import check_path
from nsfw_caffe.results.record import Record, SetUp
from nsfw_caffe.scanning.locking import Reserve, locked
from nsfw_caffe.scanning.score import ItemScorer, Score, Warned
from nsfw_caffe.scanning.state import Ledger
from nsfw_caffe.sources.item import Item

_COMMIT_EVERY = 1.0
"""Seconds of work that a kill may undo."""

_PUBLISH_EVERY = 600.0
"""Seconds after which a long scan writes RESULTS anew for those who want to look, and..."""

_PUBLISH_SHARE = 0.02
"""... the share of its time that it spends on this, at most."""

_MARGIN = 1 << 20
"""Bytes held back beyond the size of RESULTS: for the journal's last commit."""

Find = Callable[[Callable[[Item], bool]], Iterable[Item]]
"""Finds items; it is given what tells whether an item is known, and need not be read."""


def scan(
    results: Path,
    find: Find,
    score: Score,
    set_up: SetUp,
    *,
    rescore: bool = False,
    retry: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    done: Callable[[Record, bool], None] = lambda record, new: None,  # noqa: ARG005 - tells nobody
    warned: Warned | None = None,
) -> None:
    """Score what is found, and keep the results in a file; what the file or a broken-off scan has is left out.

    However the scan ends, no work but the last second's is lost, and RESULTS is whole: it is written when the scan ends
    or is stopped, and every ten minutes or more between.

    Parameters
    ----------
    results : pathlib.Path
        RESULTS: a .csv, .jsonl, .parquet or .sqlite file.
    find : Find
        Finds the items.
    score : Score
        Scores them: `Classifier.scan`.
    set_up : SetUp
        What `score` scores with.
    rescore : bool, default False
        Score everything anew, also where RESULTS was made with another set-up; it is replaced at the end.
    retry : bool, default False
        Score again what is an error in RESULTS, whether it has changed or not.
    limits : Limits, optional
        What a picture and an animation may ask for; `score` has them too.
    done : callable, optional
        Told of each item's record, and whether it is a new one.
    warned : callable, optional
        Told of what was said of an item while it was scored: see `Result.warnings`.

    Raises
    ------
    ResultsError
        RESULTS cannot be used: see `check_path`, or it was made with another set-up.
    ScanStopped
        Another scan is at work on RESULTS, or the disk is full or failing.
    ModelError, EngineUnavailable
        The engine cannot go on.
    """
    check_path(results)
    try:
        with locked(results), Reserve(results) as reserve:
            _Scan(Ledger(results, set_up, rescore=rescore), reserve, done).run(
                find, score, set_up, retry=retry, limits=limits, warned=warned
            )
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = f"the disk of {results} is full" if full else f"the scan into {results} cannot go on ({error})"
        remedy = "make room" if full else "mend that"
        raise ScanStopped(f"{reason}; what was scored is kept: {remedy} and run the same command again") from error


class _Scan:
    def __init__(self, ledger: Ledger, reserve: Reserve, done: Callable[[Record, bool], None]) -> None:
        self._ledger = ledger
        self._journal = ledger.journal
        self._reserve = reserve
        self._tell = done
        self._changed = not ledger.is_published
        self._committed = self._published = time.monotonic()
        self._pause = _PUBLISH_EVERY

    def run(
        self, find: Find, score: Score, set_up: SetUp, *, retry: bool, limits: Limits, warned: Warned | None
    ) -> None:
        try:
            self._reserve.hold(self._journal.results_size + _MARGIN)
            scorer = ItemScorer(self._journal, set_up, score, self._done, retry=retry, limits=limits, warned=warned)
            scorer.run(find(scorer.is_known))
            self._journal.commit()
            if self._changed:
                self._reserve.release()
                self._ledger.publish()
        except BaseException:
            self._save()
            raise
        self._journal.delete()

    def _done(self, record: Record, new: bool) -> None:
        self._changed |= new
        self._tell(record, new)
        now = time.monotonic()
        if now - self._committed < _COMMIT_EVERY:
            return
        self._reserve.hold(self._journal.results_size + _MARGIN)
        self._journal.commit()
        if self._changed and not self._ledger.is_rescoring and now - self._published > self._pause:
            self._ledger.publish()
            self._published = time.monotonic()
            self._pause = max(_PUBLISH_EVERY, (self._published - now) / _PUBLISH_SHARE)
        self._committed = time.monotonic()

    def _save(self) -> None:
        """Keep what there is when the scan cannot go on: in the journal, and where possible in RESULTS."""
        self._reserve.release()
        # An error that stopped the scan comes again here, and has been told.
        with contextlib.closing(self._journal), contextlib.suppress(OSError):
            try:
                self._journal.commit()
            except OSError:
                self._journal.roll_back()
                raise
            finally:
                if self._changed and not self._ledger.is_rescoring:
                    self._ledger.publish()
