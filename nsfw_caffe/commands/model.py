"""`nsfw-caffe model`: the original model's two files."""

from __future__ import annotations

import argparse

from nsfw_caffe import model
from nsfw_caffe.commands.common import OK, fetch_model
from nsfw_caffe.errors import ModelError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("model", help="fetch, verify or locate the original model's two files")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for action, run, text in (
        ("fetch", _run_fetch, "download the files unless they are here, and verify them"),
        ("verify", _run_verify, "verify size and SHA-256 of the files"),
        ("path", _run_path, "print the two files' paths, one a line"),
    ):
        actions.add_parser(action, help=text, description=text).set_defaults(run=run)


def _run_fetch(options: argparse.Namespace) -> int:
    fetch_model()
    return _run_path(options)


def _run_path(options: argparse.Namespace) -> int:  # noqa: ARG001
    files = model.find()
    if files is None:
        raise ModelError("the model is not here; get it with 'nsfw-caffe model fetch'")
    print(files.prototxt, files.caffemodel, sep="\n")
    return OK


def _run_verify(options: argparse.Namespace) -> int:
    status = _run_path(options)  # finding the files includes verifying them
    print("size and SHA-256 of both files are right")
    return status
