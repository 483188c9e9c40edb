from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from PIL import Image

from nsfw_caffe import Classifier, __version__
from nsfw_caffe.cli.main import main
from nsfw_caffe.model.spec import OPEN_NSFW, ModelFiles
from tests.support import PHOTOS, REPOSITORY, heed_interrupts, nsfw_caffe

COFFEE, ROCKET = PHOTOS / "coffee.png", PHOTOS / "rocket.jpg"


def test_text(classifier: Classifier) -> None:
    child = nsfw_caffe("classify", COFFEE, ROCKET)
    scores = [classifier.classify(path) for path in (COFFEE, ROCKET)]
    assert child.stdout == f"{scores[0]!r}\t{COFFEE}\n{scores[1]!r}\t{ROCKET}\n"
    assert (child.returncode, child.stderr) == (0, "")


def test_limits() -> None:
    options = ("--engine", "onnxruntime", "--max-side", "599", "--max-pixels", "none")
    child = nsfw_caffe("classify", *options, COFFEE, ROCKET)
    limit = "the limit is 599 (Limits.side, --max-side)"
    assert child.stderr == (
        f"nsfw-caffe: {COFFEE}: 600 pixels a side: {limit}\nnsfw-caffe: {ROCKET}: 640 pixels a side: {limit}\n"
    )
    assert (child.returncode, child.stdout) == (1, "")
    raised = nsfw_caffe("classify", *options[:2], "--max-side", "640", "--max-size", "none", COFFEE)
    assert (raised.returncode, raised.stderr) == (0, "")
    for option in ("--max-side=0", "--max-steps=-1", "--max-size=no"):
        assert nsfw_caffe("classify", option, COFFEE).returncode == 2


def test_json(classifier: Classifier) -> None:
    child = nsfw_caffe("classify", "--json", "--threshold", "0.001", COFFEE, "/missing.jpg", ROCKET)
    error = "/missing.jpg: cannot be read (No such file or directory)"
    assert [json.loads(line) for line in child.stdout.splitlines()] == [
        {"source": str(COFFEE), "score": classifier.classify(COFFEE), "error": None, "verdict": "nsfw"},
        {"source": "/missing.jpg", "score": None, "error": error, "verdict": None},
        {"source": str(ROCKET), "score": classifier.classify(ROCKET), "error": None, "verdict": "sfw"},
    ]
    assert (child.returncode, child.stderr) == (1, f"nsfw-caffe: {error}\n")


def test_csv(classifier: Classifier, tmp_path: Path) -> None:
    odd = tmp_path / 'a, "b".png'
    odd.symlink_to(COFFEE)
    child = nsfw_caffe("classify", "--csv", "--threshold", "0", odd)
    rows = list(csv.DictReader(io.StringIO(child.stdout)))
    assert rows == [
        {"source": str(odd), "score": repr(classifier.classify(COFFEE)), "error": "", "verdict": "nsfw"}
    ]  # fmt: skip
    assert nsfw_caffe("classify", "--csv", COFFEE).stdout.startswith("source,score,error\n")


def test_threshold_is_reached_by_equality(classifier: Classifier) -> None:
    score = classifier.classify(COFFEE)
    child = nsfw_caffe("classify", "--threshold", repr(score), COFFEE)
    assert child.stdout == f"{score!r}\t{COFFEE}\tnsfw\n"


@pytest.mark.slow
def test_standard_input(classifier: Classifier) -> None:
    child = nsfw_caffe("classify", "-", stdin=COFFEE.read_bytes())
    assert child.stdout == f"{classifier.classify(COFFEE)!r}\t-\n"
    child = nsfw_caffe("classify", "-", stdin=b"no picture")
    assert (child.returncode, child.stdout) == (1, "")
    assert child.stderr == "nsfw-caffe: <stdin>: not in any picture format that Pillow knows\n"


def test_a_failed_picture_stops_nothing(classifier: Classifier) -> None:
    child = nsfw_caffe("classify", "/missing.jpg", COFFEE)
    assert child.returncode == 1
    assert child.stdout == f"{classifier.classify(COFFEE)!r}\t{COFFEE}\n"
    assert child.stderr == "nsfw-caffe: /missing.jpg: cannot be read (No such file or directory)\n"


def test_a_path_that_is_no_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(path)).symlink_to(COFFEE)
    child = subprocess.run([sys.executable, "-m", "nsfw_caffe", "classify", path], capture_output=True, check=True)
    assert child.stdout.endswith(b"/\\udcff.png\n")


def test_published_differs_from_the_default(classifier: Classifier) -> None:
    child = nsfw_caffe("classify", "--published", ROCKET)
    score = float(child.stdout.partition("\t")[0])
    assert score != classifier.classify(ROCKET)
    assert abs(score - classifier.classify(ROCKET)) < 0.03


@pytest.mark.slow
def test_fast_decode(classifier: Classifier, tmp_path: Path) -> None:
    large, small = tmp_path / "large.jpg", tmp_path / "small.jpg"
    with Image.open(COFFEE) as photo:
        photo.resize((2400, 1600)).save(large)
        photo.save(small)
    child = nsfw_caffe("classify", "--decode", "fast", large, small)
    scores = [float(line.partition("\t")[0]) for line in child.stdout.splitlines()]
    assert scores[0] != classifier.classify(large)
    assert abs(scores[0] - classifier.classify(large)) < 0.02
    assert scores[1] == classifier.classify(small)
    assert nsfw_caffe("classify", "--decode", "exact", large).stdout == nsfw_caffe("classify", large).stdout


def test_own_model(classifier: Classifier, model_files: ModelFiles) -> None:
    files = ["--prototxt", str(model_files.prototxt), "--caffemodel", str(model_files.caffemodel)]
    child = nsfw_caffe("classify", *files, COFFEE)
    assert child.stdout == f"{classifier.classify(COFFEE)!r}\t{COFFEE}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["frobnicate"],
        ["classify"],
        ["classify", "--json", "--csv", "a.jpg"],
        ["classify", "--threshold", "1.5", "a.jpg"],
        ["classify", "--threshold", "nan", "a.jpg"],
        ["classify", "--threshold", "many", "a.jpg"],
        ["classify", "--engine", "tensorflow", "a.jpg"],
        ["classify", "--device", "cuda", "a.jpg"],
        ["classify", "--prototxt", "my.prototxt", "a.jpg"],
        ["classify", "--published", "--device", "gpu:0", "a.jpg"],
        ["classify", "--published", "--decode", "fast", "a.jpg"],
        ["classify", "--decode", "faster", "a.jpg"],
        ["model"],
        ["model", "frobnicate"],
        ["model", "export"],
        ["model", "export", "--prototxt", "my.prototxt", "out.onnx"],
        ["classify", "--precision", "int8", "a.jpg"],
        ["classify", "--threads", "0", "a.jpg"],
        ["classify", "--published", "--precision", "bfloat16", "a.jpg"],
        ["classify", "--published", "--threads", "1", "a.jpg"],
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: nsfw-caffe" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"nsfw-caffe {__version__}\n"


def test_missing_engine() -> None:
    child = nsfw_caffe("classify", "--engine", "caffe", "--device", "gpu:0", COFFEE)
    assert (child.returncode, child.stdout) == (3, "")
    assert child.stderr == "nsfw-caffe: device 'gpu:0': this pycaffe is built for the CPU; use device 'cpu'\n"


def test_missing_model() -> None:
    child = nsfw_caffe("classify", "--prototxt", "/missing", "--caffemodel", "/missing", COFFEE)
    assert (child.returncode, child.stdout) == (3, "")
    assert child.stderr == "nsfw-caffe: there is no file /missing\n"


def test_model_path_and_verify(model_files: ModelFiles, tmp_path: Path) -> None:
    for path in (model_files.prototxt, model_files.caffemodel):
        (tmp_path / path.name).symlink_to(path)
    environment = {"NSFW_CAFFE_MODEL_DIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    paths = f"{tmp_path / model_files.prototxt.name}\n{tmp_path / model_files.caffemodel.name}\n"
    assert nsfw_caffe("model", "path", environment=environment).stdout == paths
    assert nsfw_caffe("model", "fetch", environment=environment).stdout == paths
    whole = paths + "size and SHA-256 of both files are right\n"
    child = nsfw_caffe("model", "verify", environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout == whole + "there is no conversion for onnxruntime and openvino yet; their first use makes it\n"
    assert nsfw_caffe("classify", "--engine", "onnxruntime", COFFEE, environment=environment).returncode == 0
    (kept,) = tmp_path.glob("*.onnx")
    child = nsfw_caffe("model", "verify", environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout == f"{whole}{kept}\nits SHA-256 is that of the conversion for onnxruntime and openvino\n"
    planted = kept.with_name(kept.name.rpartition("-")[0] + f"-{hashlib.sha256(b'').hexdigest()}.onnx")
    planted.touch()
    child = nsfw_caffe("model", "verify", environment=environment)
    assert child.returncode == 1
    assert child.stderr == f"nsfw-caffe: {planted} is not the original's conversion; it is never loaded: delete it\n"


def test_model_export(tmp_path: Path, model_files: ModelFiles) -> None:
    output = tmp_path / "out.onnx"
    child = nsfw_caffe("model", "export", output)
    assert (child.returncode, child.stdout, child.stderr) == (0, f"{output}\n", "")
    onnx.checker.check_model(str(output), full_check=True)
    first = output.read_bytes()
    child = nsfw_caffe("model", "export", output)
    assert child.returncode == 2
    assert "--force" in child.stderr
    output.write_bytes(b"")
    own = ["--prototxt", str(model_files.prototxt), "--caffemodel", str(model_files.caffemodel)]
    assert nsfw_caffe("model", "export", "--force", *own, output).returncode == 0
    assert output.read_bytes() == first
    assert list(tmp_path.iterdir()) == [output]


def test_model_export_that_cannot_be(tmp_path: Path, model_files: ModelFiles) -> None:
    child = nsfw_caffe("model", "export", tmp_path / "missing" / "out.onnx")
    assert (child.returncode, child.stdout) == (2, "")
    assert "out.onnx cannot be written: No such file or directory" in child.stderr
    other = tmp_path / "other.prototxt"
    other.write_text(model_files.prototxt.read_text().replace('type: "Eltwise"', 'type: "Sum"', 1))
    own = ["--prototxt", str(other), "--caffemodel", str(model_files.caffemodel)]
    child = nsfw_caffe("model", "export", *own, tmp_path / "out.onnx")
    assert (child.returncode, child.stdout) == (3, "")
    assert "of type Sum: this type is not supported" in child.stderr
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("action", ["path", "verify", "fetch"])
def test_damaged_model(action: str, tmp_path: Path, model_files: ModelFiles) -> None:
    (tmp_path / OPEN_NSFW.prototxt.name).write_bytes(model_files.prototxt.read_bytes())
    weights = bytearray(model_files.caffemodel.read_bytes())
    weights[len(weights) // 2] ^= 1
    (tmp_path / OPEN_NSFW.caffemodel.name).write_bytes(weights)
    child = nsfw_caffe("model", action, environment={"NSFW_CAFFE_MODEL_DIR": str(tmp_path)})
    assert (child.returncode, child.stdout) == (3, "")
    assert "is damaged" in child.stderr


def test_reader_that_goes_away(classifier: Classifier) -> None:
    command = [sys.executable, "-m", "nsfw_caffe", "classify", *[str(COFFEE)] * 3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        line = child.stdout.readline()
        child.stdout.close()
        errors = child.stderr.read()
    assert line == f"{classifier.classify(COFFEE)!r}\t{COFFEE}\n"
    assert errors == ""


def test_interrupt() -> None:
    command = [sys.executable, "-m", "nsfw_caffe", "classify", *[str(COFFEE)] * 1000]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert errors == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photo.jpg"], "there is no command photo.jpg; to score a picture: nsfw-caffe classify photo.jpg"),
        (["."], "there is no command .; to score a folder: nsfw-caffe scan . -o results.csv"),
        (["classify", "-", "-"], "- is standard input, which gives one picture, once"),
        (["scan", "-o", "r.csv", "-"], "to scan what it lists: --list -"),
        (["scan", "-o", "r.csv", "--list", "-", "--list", "-"], "standard input can be read once"),
        (["scan", "-o", "r.csv", "https://example.org/a.jpg"], "expected a path, found a URL: download it first"),
        (["scan", "-o", "r.csv", "~/a.jpg"], "expected a path, found ~"),
        (["scan", "-o", "r.csv", "file:///a.jpg"], "expected a path, found a file: URL"),
        (["scan", "-o", "r.csv", "data:image/png;base64,AA=="], "expected a path, found a data: URL"),
        (["scan", "-o", "r.csv", ""], "expected a path, found an empty text"),
    ],
    ids=" ".join,
)
def test_what_was_meant(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_no_command_at_all_gets_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "score folders, lists and archives into a file" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", str(COFFEE), "-o", "/proc/r.csv"]) == 2
    assert capsys.readouterr().err.startswith("nsfw-caffe: /proc/r.csv: the folder /proc cannot be written (")


def test_classify_names_scan_for_a_folder(tmp_path: Path) -> None:
    child = nsfw_caffe("classify", "--engine", "onnxruntime", tmp_path)
    assert child.returncode == 1
    assert child.stderr.endswith(f"; to score a folder: nsfw-caffe scan {tmp_path} -o results.csv\n")


@pytest.mark.skipif(shutil.which("make") is None or shutil.which("dash") is None, reason="needs make and dash")
def test_make_finds_a_python_by_another_name(tmp_path: Path) -> None:
    for name in ("make", "dash"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "python3").symlink_to(sys.executable)
    show = ["--eval=.PHONY: show", "--eval=show: ; $(info $(PYTHON))", f"SHELL={shutil.which('dash')}", "show"]
    child = subprocess.run(
        [tmp_path / "make", "-f", REPOSITORY / "Makefile", *show],
        cwd=REPOSITORY,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert child.stdout.splitlines()[0] == f"{tmp_path}/python3", child.stderr


def test_version_and_what_scores_here() -> None:
    child = nsfw_caffe("--version", "--verbose")
    assert child.returncode == 0, child.stderr
    said = [line.split(maxsplit=1) for line in child.stdout.splitlines()]
    assert [name for name, _ in said] == [
        "nsfw-caffe", "caffe", "onnxruntime", "openvino", "engine", "BLAS", "JPEG", "JPEG", "model"
    ]  # fmt: skip
    values = dict(said)
    assert values["engine"] == "caffe, where none is named"
    assert values["BLAS"].startswith("OpenBLAS ")
    assert said[6][1].startswith("pillow ")
    assert said[7][1] == "jpeglib 1.0.2 (IJG libjpeg 9d)"
