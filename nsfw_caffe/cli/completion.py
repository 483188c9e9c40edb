"""Scripts with which shells complete the command line, made by shtab: no Python runs when Tab is pressed."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsfw_caffe.cli.arguments import all_parsers
from nsfw_caffe.errors import NsfwCaffeError

SHELLS = ("bash", "zsh", "tcsh")

_FILES = ("IMAGE", "SOURCE", "FILE", "FILE.json")
"""Metavars of files whose names are kept as text; what is a pathlib.Path is a file as well, but for DIR."""


def completion_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script.

    Raises
    ------
    NsfwCaffeError
        shtab is missing.
    """
    try:
        import shtab
    except ImportError as error:
        raise NsfwCaffeError("completion needs shtab: pip install 'nsfw-caffe[completion]'") from error

    for each in all_parsers(parser):
        for action in each._actions:
            if action.metavar == "DIR":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]  # where shtab looks
            elif action.type is Path or action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)
