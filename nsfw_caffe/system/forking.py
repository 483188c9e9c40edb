"""Keeping `os.fork` away from foreign libraries at work: a lock that a thread holds stays locked in the child."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager


class _ForkGuard:
    def __init__(self) -> None:
        self._change = threading.Condition()
        self._at_work: list[int] = []  # threads; one may be there more than once
        self._forks = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._change:
            # A thread that is at work already goes on: the fork waits for it.
            self._change.wait_for(lambda: not self._forks or me in self._at_work)
            self._at_work.append(me)
        try:
            yield
        finally:
            with self._change:
                self._at_work.remove(me)
                self._change.notify_all()

    def before_fork(self) -> None:
        me = threading.get_ident()
        self._change.acquire()
        self._forks += 1
        self._change.wait_for(lambda: all(thread == me for thread in self._at_work))

    def after_fork(self) -> None:
        self._forks -= 1
        self._change.notify_all()
        self._change.release()


_guard = _ForkGuard()


def no_fork() -> AbstractContextManager[None]:
    """Have other threads' `os.fork` wait meanwhile, which `subprocess` does not call."""
    return _guard.at_work()


def _in_child() -> None:
    """Begin anew, without the threads that the child lacks."""
    global _guard
    _guard = _ForkGuard()


def in_forked_child(call: Callable[[], object]) -> None:
    """Have a function called in each child after `os.fork`; Windows has none."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lambda: _guard.before_fork(), after_in_parent=lambda: _guard.after_fork())
in_forked_child(_in_child)
