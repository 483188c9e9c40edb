"""Running subcommands in this process, and on a terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from types import ModuleType

import pytest

from nsfw_caffe.cli.main import create_parser, main
from tests.support import Child


def run(command: ModuleType, *arguments: object) -> int:
    """Run a module of nsfw_caffe.cli with these arguments and return its exit status."""
    options = create_parser().parse_args([command.__name__.rpartition(".")[2], *map(str, arguments)])
    status: int = options.run(options)
    return status


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Child:
    """Run the command line in this process, which has imported all; nothing is checked."""
    words = [*map(str, arguments)]
    capsys.readouterr()  # what was written before
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = main(words)
    except SystemExit as end:  # argparse's
        status = int(end.code or 0)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # a command's would stay, as its process does not end
    return Child(words, status, *capsys.readouterr())


def run_on_terminal(*arguments: object, output: int | None = subprocess.DEVNULL) -> tuple[int, bytes]:
    """Run the command line with standard error on a terminal, standard output too if None; return status and text."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 25, 120, 0, 0))
    command = [sys.executable, "-m", "nsfw_caffe", *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs if output is None else output, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal's end
            while data := os.read(ours, 4096):
                shown += data
    os.close(ours)
    return child.returncode, shown
