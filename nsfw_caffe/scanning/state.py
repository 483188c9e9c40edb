"""A scan that may be broken off anywhere: it begins at its journal if there is one, else at RESULTS, else at nothing.

What it finds is in the journal within a second, and in RESULTS when it ends or is stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nsfw_caffe.errors import ResultsError, ScanStopped
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS, Limits
from nsfw_caffe.results.formats import check_path, read_results, sidecar, write_results
from nsfw_caffe.results.record import Provenance, Record
from nsfw_caffe.scanning.journal import Journal, delete_journal
from nsfw_caffe.scanning.locking import Reserve, locked
from nsfw_caffe.scanning.score import ItemScorer, Score, Warned
from nsfw_caffe.sources.item import Item

_COMMIT_EVERY = 1.0  # seconds of work that a kill may undo
_PUBLISH_EVERY = 600.0  # seconds after which a long scan writes RESULTS anew for those who want to look, and...
_PUBLISH_SHARE = 0.02  # ... the share of its time that it spends on this, at most
_MARGIN = 1 << 20  # bytes held back beyond the size of RESULTS: for the journal's last commit

_SET_UP, _STAMP, _RESCORING = "set-up", "stamp", "rescoring"
_PUBLISHING = "(being written)"


def scan_items(
    results: Path,
    items: Iterable[Item],
    score: Score,
    set_up: Provenance,
    *,
    rescore: bool = False,
    retry: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    done: Callable[[Record, bool], None] = lambda record, new: None,  # noqa: ARG005 - tells nobody
    warned: Warned | None = None,
) -> None:
    """Score what is found, but for what RESULTS or a broken-off scan has: RESULTS is whole, however the scan ends.

    At most the last second's work is lost. With `rescore` all is scored anew, also where another set-up made RESULTS:
    else a ResultsError. ScanStopped if another scan is at work on it, or the disk is full or failing.
    """
    check_path(results)
    try:
        with locked(results), Reserve(results) as reserve:
            scan = _Scan(State(results, set_up, rescore=rescore), reserve, done)
            with scan.saved() as journal:
                ItemScorer(journal, set_up, score, scan.done, retry=retry, limits=limits, warned=warned).run(items)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = f"the disk of {results} is full" if full else f"the scan into {results} cannot go on ({error})"
        remedy = "make room" if full else "mend that"
        raise ScanStopped(f"{reason}; what was scored is kept: {remedy} and run the same command again") from error


class _Scan:
    """Keeps safe what a scan finds, in the journal and in RESULTS."""

    def __init__(self, state: State, reserve: Reserve, done: Callable[[Record, bool], None]) -> None:
        self._state = state
        self._journal = state.journal
        self._reserve = reserve
        self._tell = done
        self._changed = not state.is_published
        self._committed = self._published = time.monotonic()
        self._pause = _PUBLISH_EVERY

    @contextlib.contextmanager
    def saved(self) -> Iterator[Journal]:
        """Give the journal that is to be filled, and write RESULTS at the end, whichever it is."""
        try:
            self._reserve.hold(self._journal.results_size + _MARGIN)
            yield self._journal
            self._journal.commit()
            if self._changed:
                self._reserve.release()
                self._state.publish()
        except BaseException:
            self._save()
            raise
        self._journal.delete()

    def done(self, record: Record, new: bool) -> None:
        """Tell of a record, and make safe what there is when it is time to."""
        self._changed |= new
        self._tell(record, new)
        now = time.monotonic()
        if now - self._committed < _COMMIT_EVERY:
            return
        self._reserve.hold(self._journal.results_size + _MARGIN)
        self._journal.commit()
        if self._changed and not self._state.is_rescoring and now - self._published > self._pause:
            with contextlib.suppress(PermissionError):  # Windows replaces no file that somebody has open: later, then
                self._state.publish()
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
                if self._changed and not self._state.is_rescoring:
                    self._state.publish()


class State:
    """RESULTS and the journal behind it, for the one process that holds the lock.

    With `rescore` it begins anew, and RESULTS stays as it is until all is scored. ResultsError if what is there was
    made with another set-up, cannot be read, or is not what the journal belongs to.
    """

    def __init__(self, results: Path, set_up: Provenance, *, rescore: bool) -> None:
        self._results = results
        self._path = sidecar(results, "journal")
        # Whether RESULTS has all that the journal had when it was opened or RESULTS was written last: a scan that was
        # broken off may have got everything into its journal, and nothing of it into RESULTS.
        self.is_published = False
        self.journal = self._continued(set_up, rescore=rescore) or self._begun(set_up, rescore=rescore)

    @property
    def is_rescoring(self) -> bool:
        """Whether RESULTS holds older scores, to be kept until the scan has come to its end."""
        return self.journal.note(_RESCORING) is not None

    def publish(self) -> None:
        """Write RESULTS; after an OSError it is what it was before."""
        self._note_stamp(_PUBLISHING)
        write_results(self._results, self.journal.records())
        self._note_stamp(_stamp(self._results))
        self.is_published = True

    def _note_stamp(self, stamp: str) -> None:
        self.journal.put_note(_STAMP, stamp)
        self.journal.commit()

    def _continued(self, set_up: Provenance, *, rescore: bool) -> Journal | None:
        if not self._path.exists():
            return None
        journal = Journal(self._path)
        note = journal.note(_SET_UP)
        if note is not None:  # else it was broken off before it began
            there = Provenance.of_row(dict(zip(Provenance._fields, json.loads(note), strict=False)))
            if there.fits(set_up) and (not rescore or journal.note(_RESCORING) is not None):
                self._check_unchanged(journal)
                return journal
            if not rescore:
                journal.close()
                raise ResultsError(_difference(f"{self._results}: the scan of it that was broken off", there, set_up))
        journal.delete()
        return None

    def _check_unchanged(self, journal: Journal) -> None:
        stamp = journal.note(_STAMP)
        # Where RESULTS has been deleted, the journal still has everything.
        if stamp != _PUBLISHING and self._results.exists() and stamp != _stamp(self._results):
            journal.close()
            raise ResultsError(
                f"{self._results} has been changed since a scan of it was broken off: "
                f"delete {self._path} to go on from the file as it is"
            )

    def _begun(self, set_up: Provenance, *, rescore: bool) -> Journal:
        journal = Journal(self._path)
        try:
            if rescore:
                journal.put_note(_RESCORING, "yes")
            elif self._results.exists():
                self._take_over(journal, set_up)
            journal.put_note(_STAMP, _stamp(self._results))
            journal.put_note(_SET_UP, json.dumps(set_up))
            journal.commit()
        except BaseException:
            journal.close()
            delete_journal(self._path)
            raise
        return journal

    def _take_over(self, journal: Journal, set_up: Provenance) -> None:
        for record in read_results(self._results):
            if not record.set_up.fits(set_up):
                raise ResultsError(_difference(str(self._results), record.set_up, set_up))
            journal.put(record if record.device else dataclasses.replace(record, device=set_up.device))
        self.is_published = True


def _stamp(path: Path) -> str:
    """Tell a state of a file from others; empty where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _difference(what: str, there: Provenance, wanted: Provenance) -> str:
    both = zip(Provenance._fields, there, wanted, strict=True)
    pairs = [(name, old, new) for name, old, new in both if old not in (new, "")]
    old, new = (", ".join(f"{name}={pair[side]}" for name, *pair in pairs) for side in (0, 1))
    return (
        f"{what} was made with {old}, and this scan is with {new}: give it another file, or begin anew "
        "(--rescore, resume=False)"
    )
