"""Running one subcommand in this process."""

from __future__ import annotations

from types import ModuleType

from nsfw_caffe.cli.main import create_parser


def run(command: ModuleType, *arguments: object) -> int:
    """Run a module of nsfw_caffe.cli with these arguments and return its exit status."""
    options = create_parser().parse_args([command.__name__.rpartition(".")[2], *map(str, arguments)])
    status: int = options.run(options)
    return status
