"""Running one subcommand in this process."""

from __future__ import annotations

import argparse
from types import ModuleType


def run(command: ModuleType, *arguments: object) -> int:
    """Run a module of nsfw_caffe.cli with these arguments and return its exit status."""
    parser = argparse.ArgumentParser(prog="nsfw-caffe")
    command.add(parser.add_subparsers())
    options = parser.parse_args([command.__name__.rpartition(".")[2], *map(str, arguments)])
    status: int = options.run(options)
    return status
