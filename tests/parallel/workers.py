"""Pictures for worker processes, and which of these there are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import TypeAlias

from tests.support import PHOTOS

Mine: TypeAlias = Callable[[], list[int]]

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "text.png")
PATHS = [str(PHOTOS / name) for name in NAMES]


def children() -> list[int]:
    """Return the worker processes of this one, dead ones too that nobody has waited for."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "caffe_worker" in line or "defunct" in line]
