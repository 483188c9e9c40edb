"""`nsfw-caffe model`: the original model's two files."""

from __future__ import annotations

import argparse
from pathlib import Path

from nsfw_caffe.cli.common import OK, SOME_FAILED, fetch_model
from nsfw_caffe.cli.streams import complain, say
from nsfw_caffe.errors import ModelError
from nsfw_caffe.model import locate as model
from nsfw_caffe.results.names import visible
from nsfw_caffe.system.files import write_file


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
    text = "write the model, or your own, as an ONNX file"
    export = actions.add_parser("export", help=text, description=text)
    export.set_defaults(run=lambda options: _run_export(options, export))
    export.add_argument("output", type=Path, metavar="OUT.onnx", help="where to")
    export.add_argument("--force", action="store_true", help="replace the file that is there")
    export.add_argument("--prototxt", metavar="FILE", help="the network of your own model")
    export.add_argument("--caffemodel", metavar="FILE", help="the weights of your own model")


def _run_fetch(options: argparse.Namespace) -> int:
    fetch_model()
    return _run_path(options)


def _run_path(options: argparse.Namespace) -> int:  # noqa: ARG001
    files = model.find()
    if files is None:
        raise ModelError("the model is not here; get it with 'nsfw-caffe model fetch'")
    for path in (files.prototxt, files.caffemodel):
        say(visible(str(path)))
    return OK


def _run_verify(options: argparse.Namespace) -> int:
    from nsfw_caffe.caffe_to_onnx.cache import kept_conversions

    status = _run_path(options)  # finding the files includes verifying them
    say("size and SHA-256 of both files are right")
    kept = kept_conversions(model.fetch())
    for path, right in kept.items():
        if right:
            say(f"{visible(str(path))}\nits SHA-256 is that of the conversion for onnxruntime and openvino")
        else:
            complain(f"{path} is not the original's conversion; it is never loaded: delete it")
            status = SOME_FAILED
    if not any(kept.values()):
        say("there is no conversion for onnxruntime and openvino yet; their first use makes it")
    return status


def _run_export(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if (options.prototxt is None) != (options.caffemodel is None):
        parser.error("--prototxt and --caffemodel go together")
    if options.output.exists() and not options.force:
        parser.error(f"{options.output} is there already; --force replaces it")
    from nsfw_caffe.caffe_to_onnx.cache import onnx_model
    from nsfw_caffe.caffe_to_onnx.convert import require_onnx

    if options.prototxt is None:
        fetch_model(require_onnx)
    content = onnx_model(model.resolve(options.prototxt, options.caffemodel))
    try:
        write_file(options.output, content)
    except OSError as error:
        parser.error(f"{options.output} cannot be written: {error.strerror}")
    say(visible(str(options.output)))
    return OK
