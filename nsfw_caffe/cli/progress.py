"""How far a scan or a download is, on terminals alone."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from nsfw_caffe.cli.streams import complain
from nsfw_caffe.results.names import visible

if TYPE_CHECKING:
    from tqdm import tqdm

    from nsfw_caffe.results.record import Record


class Progress:
    """Shows what a scan does, where standard error is a terminal."""

    def __init__(self, *, quiet: bool, total: int | None = None) -> None:
        from tqdm import tqdm

        self.errors = 0
        self._bar: tqdm[NoReturn] = tqdm(total=total, unit=" pictures", disable=quiet or not sys.stderr.isatty())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    @property
    def shown(self) -> bool:
        """Whether there is anything to see: else nothing need be counted."""
        return not self._bar.disable

    def done(self, record: Record, total: int | None) -> None:
        """Count a source of a scan."""
        self._bar.total = total
        self.add(failed=record.error is not None)

    def add(self, *, failed: bool) -> None:
        """Count a source."""
        if failed:
            self.errors += 1
            self._bar.set_postfix_str(f"{self.errors} errors", refresh=False)
        self._bar.update()


class Steps:
    """Shows which step of how many a piece of work is at, where standard error is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        from tqdm import tqdm

        form = "{desc}: {n_fmt} of {total_fmt} steps, {elapsed}"
        self._bar: tqdm[NoReturn] = tqdm(bar_format=form, total=0, disable=quiet or not sys.stderr.isatty())

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, what: str, done: int, total: int) -> None:
        """Say what is being done, after so many of all steps."""
        self._bar.total = total
        self._bar.n = done
        self._bar.set_description_str(what)


class Seconds:
    """Shows how far a video is, where standard error is a terminal."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        from tqdm import tqdm

        form = "{desc}: {n:.0f} of {total:.0f} s of the video, {elapsed}"
        disable = quiet or not sys.stderr.isatty()
        self._bar: tqdm[NoReturn] = tqdm(bar_format=form, total=0, desc=visible(name), disable=disable, leave=False)

    def __enter__(self) -> Seconds:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, done: float, total: float | None) -> None:
        """Say how many seconds are scored, and of how many; where that is not known, of so many."""
        known = self._bar.total
        self._bar.total = max(total or 0, done)
        self._bar.update(done - self._bar.n)
        if not known:
            self._bar.refresh()  # of a short video it may be all that is seen


def fetch_model(look: Callable[[], object] = lambda: None, *, quiet: bool = False) -> None:
    """Fetch the original model unless it is here; `look` raises, before a download, the error of what it is for."""
    from nsfw_caffe.model import locate as model

    if model.is_here():
        return  # whether it is whole, too, is checked where it is loaded
    look()
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        model.fetch()
        return
    from tqdm import tqdm

    with contextlib.ExitStack() as bars:
        shown: dict[str, tqdm[NoReturn]] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if total is None:  # a line of pip's
                complain(what)
                return
            if what not in shown:
                shown[what] = bars.enter_context(tqdm(desc=what, total=total, unit="B", unit_scale=True))
            shown[what].update(done - shown[what].n)

        model.fetch(show)
