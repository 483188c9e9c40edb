"""Where a scan begins: at its journal, if one was broken off, else at RESULTS, else with nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from nsfw_caffe.errors import ResultsError
from nsfw_caffe.results.formats import read_results, sidecar, write_results
from nsfw_caffe.results.record import SetUp
from nsfw_caffe.scanning.journal import Journal, delete_journal

_SET_UP, _STAMP, _RESCORING = "set-up", "stamp", "rescoring"
_PUBLISHING = "(being written)"


class Ledger:
    """RESULTS and the journal behind it, for the one process that holds the lock.

    Parameters
    ----------
    results : pathlib.Path
        The file that people read.
    set_up : SetUp
        What the scan scores with.
    rescore : bool
        Begin anew, whatever is there; RESULTS stays as it is until all is scored.

    Attributes
    ----------
    journal : Journal
        What is known.
    is_published : bool
        Whether RESULTS has all that the journal had when it was opened or RESULTS was written last.

    Raises
    ------
    ResultsError
        What is there was made with another set-up, cannot be read, or is not what the journal belongs to.
    OSError
        The journal cannot be written.
    """

    def __init__(self, results: Path, set_up: SetUp, *, rescore: bool) -> None:
        self._results = results
        self._path = sidecar(results, "journal")
        # A scan that was broken off may have got everything into its journal, and nothing of it into RESULTS.
        self.is_published = False
        self.journal = self._continued(set_up, rescore=rescore) or self._begun(set_up, rescore=rescore)

    @property
    def is_rescoring(self) -> bool:
        """Whether RESULTS holds older scores, to be kept until the scan has come to its end."""
        return self.journal.note(_RESCORING) is not None

    def publish(self) -> None:
        """Write RESULTS.

        Raises
        ------
        OSError
            It cannot be written; then it is what it was before.
        """
        self._note_stamp(_PUBLISHING)
        write_results(self._results, self.journal.records())
        self._note_stamp(_stamp(self._results))
        self.is_published = True

    def _note_stamp(self, stamp: str) -> None:
        self.journal.put_note(_STAMP, stamp)
        self.journal.commit()

    def _continued(self, set_up: SetUp, *, rescore: bool) -> Journal | None:
        if not self._path.exists():
            return None
        journal = Journal(self._path)
        note = journal.note(_SET_UP)
        if note is not None:  # else it was broken off before it began
            there = SetUp.of_row(dict(zip(SetUp._fields, json.loads(note), strict=False)))
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

    def _begun(self, set_up: SetUp, *, rescore: bool) -> Journal:
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

    def _take_over(self, journal: Journal, set_up: SetUp) -> None:
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


def _difference(what: str, there: SetUp, wanted: SetUp) -> str:
    both = zip(SetUp._fields, there, wanted, strict=True)
    pairs = [(name, old, new) for name, old, new in both if old not in (new, "")]
    old, new = (", ".join(f"{name}={pair[side]}" for name, *pair in pairs) for side in (0, 1))
    return f"{what} was made with {old}, and this scan is with {new}: give it another file, or --rescore to begin anew"
