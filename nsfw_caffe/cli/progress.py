"""How far a scan is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm

    from nsfw_caffe.results.record import Record


class Progress:
    """Counts what a scan does, and shows it where standard error is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        from tqdm import tqdm

        self.errors = 0
        self._scored = 0
        self._known = 0
        self._bar: tqdm[NoReturn] = tqdm(unit=" pictures", disable=quiet or not sys.stderr.isatty())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def count(self, count: Callable[[], int | None]) -> None:
        """Find out beside the scan how much there is, for the time left."""

        def run() -> None:
            self._bar.total = count()

        if not self._bar.disable:
            threading.Thread(target=run, daemon=True).start()

    def done(self, record: Record, new: bool) -> None:
        """Count a source."""
        if record.error is None:
            self._scored += 1
        else:
            self.errors += 1
            self._bar.set_postfix_str(f"{self.errors} errors", refresh=False)
        self._known += not new
        self._bar.update()

    @property
    def summary(self) -> str:
        """What there was, in a line."""
        known = f", {self._known} of them known before" if self._known else ""
        return f"{self._scored + self.errors} sources, {self._scored} scored, {self.errors} errors{known}"
