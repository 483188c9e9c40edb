"""Starting modules of this library as programs of their own."""

from __future__ import annotations

import os
import sys


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs `python -m nsfw_caffe.MODULE` with this interpreter."""
    return [sys.executable, "-m", f"nsfw_caffe.{module}", *arguments]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment in which a child imports what this process can, and nothing from its working folder."""
    path = os.pathsep.join(entry or str(os.getcwd()) for entry in sys.path)  # noqa: PTH109 - as import does it
    return os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"} | variables
