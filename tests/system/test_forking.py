from __future__ import annotations

import os
import threading
import time

from nsfw_caffe.system.forking import no_fork


def forked() -> int:
    """Fork a child that ends at once, where it can have what the guard holds; return its status."""
    process = os.fork()
    if process == 0:
        with no_fork():
            os._exit(0)
    return os.waitpid(process, 0)[1]


def test_a_fork_waits_for_other_threads_and_they_for_it() -> None:
    begun, finish, log = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        with no_fork():
            begun.set()
            finish.wait()
            with no_fork():  # within a pass another one goes on, though the fork waits
                log.append("pass")

    def fork() -> None:
        assert forked() == 0
        log.append("fork")

    worker, forker = threading.Thread(target=work), threading.Thread(target=fork)
    worker.start()
    begun.wait()
    forker.start()
    time.sleep(0.2)
    assert log == []
    finish.set()
    worker.join()
    forker.join()
    assert log == ["pass", "fork"]


def test_a_thread_may_fork_in_its_own_pass() -> None:
    with no_fork():
        assert forked() == 0
    assert forked() == 0
