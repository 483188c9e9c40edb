"""`nsfw-caffe model`: the original model's two files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from nsfw_caffe.cli import OK, SOME_FAILED
from nsfw_caffe.cli.arguments import add_json_option, add_model_options, check_model_options, is_original
from nsfw_caffe.cli.progress import fetch_model
from nsfw_caffe.cli.streams import complain, say
from nsfw_caffe.errors import ModelError
from nsfw_caffe.model import locate as model
from nsfw_caffe.model.folder import read_model_folder
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.results.names import encode_name, visible
from nsfw_caffe.system.files import write_file


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("model", help="fetch, verify, locate or export the model's files")
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for action, run, text in (
        ("fetch", _run_fetch, "download the files unless they are here, and verify them"),
        ("verify", _run_verify, "verify size and SHA-256 of the files"),
        ("path", _run_path, "print the two files' paths, one a line"),
    ):
        parser = actions.add_parser(action, help=text, description=text)
        parser.set_defaults(run=run)
        add_json_option(parser, "a JSON object")
    text = "write the model, or your own, as an ONNX file"
    export = actions.add_parser("export", help=text, description=text)
    export.set_defaults(run=lambda options: _run_export(options, export))
    export.add_argument("output", type=Path, metavar="OUT.onnx", help="file to write")
    export.add_argument("--force", action="store_true", help="replace the file that is there")
    add_model_options(export)


def _run_fetch(options: argparse.Namespace) -> int:
    fetch_model(quiet=options.quiet)
    return _run_path(options)


def _run_path(options: argparse.Namespace) -> int:
    files = _find()
    if options.json:
        say(json.dumps(_paths(files)))
    else:
        say(_lines(files))
    return OK


def _lines(files: ModelFiles) -> str:
    return f"{visible(str(files.prototxt))}\n{visible(str(files.caffemodel))}"


def _find() -> ModelFiles:
    files = model.find()
    if files is None:
        raise ModelError("the model is not here; get it with 'nsfw-caffe model fetch'")
    return files


def _paths(files: ModelFiles) -> dict[str, str]:
    return {"prototxt": encode_name(str(files.prototxt)), "caffemodel": encode_name(str(files.caffemodel))}


def _run_verify(options: argparse.Namespace) -> int:
    from nsfw_caffe.caffe_to_onnx.cache import kept_conversions

    files = _find()  # which includes verifying them
    kept = kept_conversions(files)
    for path, right in kept.items():
        if not right:
            complain(f"{path} is not the original's conversion; it is never loaded: delete it")
    if options.json:
        conversions = [{"path": encode_name(str(path)), "right": right} for path, right in kept.items()]
        say(json.dumps({**_paths(files), "conversions": conversions}))
    else:
        say(f"{_lines(files)}\nsize and SHA-256 of both files are right")
        for path, right in kept.items():
            if right:
                say(f"{visible(str(path))}\nits SHA-256 is that of the conversion for onnxruntime and openvino")
        if not any(kept.values()):
            say("there is no conversion for onnxruntime and openvino yet; their first use makes it")
    return OK if all(kept.values()) else SOME_FAILED


def _run_export(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    check_model_options(options, parser)
    if options.output.exists() and not options.force:
        parser.error(f"{options.output} is there already; --force replaces it")
    from nsfw_caffe.caffe_to_onnx.cache import onnx_model
    from nsfw_caffe.caffe_to_onnx.convert import require_onnx

    if is_original(options):
        fetch_model(require_onnx, quiet=options.quiet)
    content = onnx_model(_files(options))
    try:
        write_file(options.output, content)
    except OSError as error:
        parser.error(f"{options.output} cannot be written: {error.strerror}")
    say(visible(str(options.output)))
    return OK


def _files(options: argparse.Namespace) -> ModelFiles:
    if options.model is None:
        return model.resolve(options.prototxt, options.caffemodel)
    folder = read_model_folder(options.model)
    return folder.files(folder.classes[0])  # any: a converted network has the outputs of all
