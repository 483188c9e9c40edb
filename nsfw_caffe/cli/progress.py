"""How far a scan is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from tqdm import tqdm

    from nsfw_caffe.results.record import Record


class Progress:
    """Shows what a scan does, where standard error is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        from tqdm import tqdm

        self._errors = 0
        self._bar: tqdm[NoReturn] = tqdm(unit=" pictures", disable=quiet or not sys.stderr.isatty())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    @property
    def shown(self) -> bool:
        """Whether there is anything to see: else nothing need be counted."""
        return not self._bar.disable

    def done(self, record: Record, total: int | None) -> None:
        """Count a source."""
        if record.error is not None:
            self._errors += 1
            self._bar.set_postfix_str(f"{self._errors} errors", refresh=False)
        self._bar.total = total
        self._bar.update()
