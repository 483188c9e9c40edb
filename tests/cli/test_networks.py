from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from google.protobuf import text_format

from nsfw_caffe.cli import networks
from nsfw_caffe.errors import ModelError, ResultsUnreadable
from nsfw_caffe.model.schema.caffe_pb2 import NetParameter
from nsfw_caffe.networks import NETWORKS, build, cost
from nsfw_caffe.networks.catalogue import COMPARED
from nsfw_caffe.options import ENGINES
from nsfw_caffe.report.networks import compare_networks, comparison_report, cost_report, list_report
from nsfw_caffe.system.extras import install_hint
from tests.cli.running import run, run_on_terminal
from tests.cli.test_extras import BLOCK
from tests.support import nsfw_caffe

SMALL = "squeezenet1_1"


def complaint(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return what a command says whose usage is wrong."""
    with pytest.raises(SystemExit) as stop:
        run(networks, *arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.partition("error: ")[2]


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(networks, "list") == 0
    assert capsys.readouterr().out == list_report().to_text()
    assert run(networks, "list", "--json") == 0
    assert [network["name"] for network in json.loads(capsys.readouterr().out)] == list(NETWORKS)


def test_build_writes_the_form_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "net"
    assert run(networks, "build", SMALL, "-o", folder) == 0
    assert (folder / "deploy.prototxt").read_text() == build(SMALL)
    shape = ("--classes", 2, "--width", 0.5)
    assert run(networks, "build", "resnet50", "-o", folder, "--form", "train", *shape) == 0
    assert (folder / "train_val.prototxt").read_text() == build("resnet50", classes=2, width=0.5, form="train")
    assert capsys.readouterr().out == f"{folder / 'deploy.prototxt'}\n{folder / 'train_val.prototxt'}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["deploy.prototxt", "train_val.prototxt"]


def test_what_is_there_is_replaced_with_force_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deploy.prototxt"
    path.write_text("mine")
    said = complaint(capsys, "build", SMALL, "-o", tmp_path)
    assert said == f"{path} is there already; --force replaces it\n"
    assert path.read_text() == "mine"
    assert run(networks, "build", SMALL, "-o", tmp_path, "--force") == 0
    assert path.read_text() == build(SMALL)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["resnet5"], "there is no network 'resnet5'; there are: ms_ctc, squeezenet1_0,"),
        ([SMALL, "--classes", 1], "classes has to be a whole number of 2 or more, not 1"),
        ([SMALL, "--width", 0.001], "width 0.001 leaves no filters"),
        ([SMALL, "--width", "nan"], "width has to be a number above 0"),
        ([SMALL, "--width", "-1"], "width has to be a number above 0"),
        ([SMALL, "--form", "test"], "argument --form: invalid choice: 'test'"),
    ],
)
def test_what_cannot_be_built(
    arguments: list[object], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert complaint(capsys, "build", *arguments, "-o", tmp_path / "new").startswith(says)
    assert not (tmp_path / "new").exists()


@pytest.mark.linux
def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    said = complaint(capsys, "build", SMALL, "-o", tmp_path / "file")
    assert re.fullmatch(r".*/file/deploy\.prototxt cannot be written: (Not a directory|File exists)\n", said)
    said = complaint(capsys, "build", SMALL, "-o", "/proc/nothing")
    assert said == "/proc/nothing/deploy.prototxt cannot be written: No such file or directory\n"
    (tmp_path / "deploy.prototxt").mkdir()
    said = complaint(capsys, "build", SMALL, "-o", tmp_path, "--force")
    assert said.endswith("deploy.prototxt cannot be written: Is a directory\n")


def test_cost_of_a_name_and_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(networks, "cost", "resnet50_thin", "--classes", 2) == 0
    assert capsys.readouterr().out == cost_report(cost("resnet50_thin", classes=2)).to_text()
    path = tmp_path / "deploy.prototxt"
    path.write_text(build("resnet50_thin", classes=2))
    assert run(networks, "cost", path, "--by-layer") == 0
    assert capsys.readouterr().out == cost_report(cost(path), by_layer=True).to_text()
    page = tmp_path / "page.html"
    assert run(networks, "cost", path, "--json", "--html", page) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["parameters"], found["multiply_adds"]) == (5_917_890, 1_068_550_144)
    assert b"5,917,890" in page.read_bytes()


def test_what_cannot_be_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'resnet5' is neither a file nor a network; there are: ms_ctc" in complaint(capsys, "cost", "resnet5")
    path = tmp_path / "net.prototxt"
    network = text_format.Parse(build(SMALL), NetParameter())
    network.layer[1].convolution_param.ClearField("num_output")
    path.write_text(text_format.MessageToString(network))
    said = complaint(capsys, "cost", path, "--width", 0.5)
    assert said.startswith("--classes and --width go with the networks that there are: ms_ctc,")
    for action in ("cost", "compare"):
        with pytest.raises(ModelError, match=r"net\.prototxt: layer 'conv1'"):
            run(networks, action, path)
        child = nsfw_caffe("networks", action, path)
        assert (child.returncode, child.stdout) == (3, "")
        assert child.stderr.startswith(f"nsfw-caffe: {path}: layer 'conv1'")


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--html", tmp_path / "page.html", "--plots", tmp_path / "plots")
    assert run(networks, "compare", *options) == 0
    assert capsys.readouterr().out == comparison_report(compare_networks(COMPARED)).to_text()
    assert b"<svg" in (tmp_path / "page.html").read_bytes()
    assert (tmp_path / "plots" / "imagenet.png").stat().st_size < 100_000
    assert run(networks, "compare", "vgg16", "resnet18", "vgg16", "--json") == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["networks"]] == ["vgg16", "resnet18"]


def test_compare_with_what_evaluate_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{number}.jpg,{int(number % 3 == 0)},{(number * 7 % 40) / 40}" for number in range(40)]
    (tmp_path / "labels.csv").write_text("\n".join(["source,label,score", *rows, ""]))
    evaluation = tmp_path / "own=1.json"
    child = nsfw_caffe("evaluate", tmp_path / "labels.csv", "--json", evaluation, "--max-fpr", "0.5")
    assert child.returncode == 0, child.stderr
    written = json.loads(evaluation.read_text())
    assert run(networks, "compare", "--json", "--evaluation", f"vgg16={evaluation}") == 0
    found = {each["name"]: each["evaluation"] for each in json.loads(capsys.readouterr().out)["networks"]}
    own = found.pop("vgg16")
    assert set(found.values()) == {None}
    assert (own["auc"], own["nsfw"], own["sfw"]) == (written["roc"]["auc"], 14, 26)
    assert own["threshold"] == written["choice"]["threshold"]
    assert own["accuracy"] == written["choice"]["confusion"]["accuracy"]["value"]
    assert run(networks, "compare", "--evaluation", f"vgg16={evaluation}") == 0
    assert "Your own evaluations" in capsys.readouterr().out


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.json").write_text("{}")
    file = tmp_path / "e.json"
    assert "'x' is neither a file nor a network; there are: " in complaint(capsys, "compare", "vgg16", "x")
    assert complaint(capsys, "compare", "--evaluation", file).endswith("expected NAME=FILE\n")
    said = complaint(capsys, "compare", "vgg16", "--evaluation", f"googlenet={file}")
    assert said.endswith("googlenet is not compared; compared are vgg16\n")
    assert complaint(capsys, "compare", "--rounds", 3) == "--rounds goes with --measure\n"
    assert "has to end in .html" in complaint(capsys, "compare", "--html", tmp_path / "page.txt")
    with pytest.raises(ResultsUnreadable, match=r"e\.json"):
        run(networks, "compare", "--evaluation", f"vgg16={file}")


@pytest.mark.linux
@pytest.mark.slow
def test_compare_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(networks, "compare", SMALL, "--measure", "--rounds", 2, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    measured = found["networks"][0]["measured"]
    assert list(dict.fromkeys(each["engine"] for each in measured)) == list(ENGINES)
    assert {len(each["times"]) for each in measured} == {2}
    assert {"CPU", "cores", *ENGINES} <= set(found["measured_with"])
    assert captured.err == ""  # which is no terminal


@pytest.mark.linux
@pytest.mark.slow
def test_measuring_says_on_a_terminal_what_it_does() -> None:
    status, shown = run_on_terminal("networks", "compare", SMALL, "--measure", "--rounds", 2)
    assert status == 0
    for said in (b"weights", b"caffe, 1 thread", b"round 1 of 2"):
        assert said in shown
    status, shown = run_on_terminal("networks", "compare", SMALL, "--measure", "--rounds", 1, "--quiet")
    assert (status, shown) == (0, b"")


def blocked(tmp_path: Path, *names: str) -> dict[str, str]:
    """Return an environment in which these packages cannot be imported."""
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "sitecustomize.py").write_text(BLOCK)
    path = os.pathsep.join([str(tmp_path / "block"), os.environ.get("PYTHONPATH", "")])
    return {"BLOCKED": ",".join(names), "PYTHONPATH": path}


def test_without_any_engine_networks_are_built_and_counted(tmp_path: Path) -> None:
    others = ("onnx", "onnxruntime", "openvino", "matplotlib", "pyarrow", "sklearn", "scipy")
    environment = blocked(tmp_path, "caffe", *others)
    child = nsfw_caffe("networks", "build", "resnet50_thin", "-o", tmp_path / "net", environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    child = nsfw_caffe("networks", "cost", tmp_path / "net" / "deploy.prototxt", "--json", environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert json.loads(child.stdout)["multiply_adds"] == 1_069_572_096
    child = nsfw_caffe("networks", "compare", environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout == comparison_report(compare_networks(COMPARED)).to_text()
    child = nsfw_caffe("networks", "compare", SMALL, "--measure", environment=environment)
    assert (child.returncode, child.stdout) == (3, "")
    assert all(f"{name}: " in child.stderr for name in ("Caffe", "onnxruntime", "openvino"))


def test_a_page_without_matplotlib(tmp_path: Path) -> None:
    environment = blocked(tmp_path, "matplotlib")
    page = tmp_path / "page.html"
    child = nsfw_caffe("networks", "compare", "--html", page, environment=environment)
    assert (child.returncode, child.stdout) == (2, "")
    assert install_hint("report") in child.stderr
    child = nsfw_caffe("networks", "cost", SMALL, "--html", page, environment=environment)
    assert (child.returncode, child.stderr) == (0, "")
    assert page.exists()


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.prototxt"))
    path.write_text(build(SMALL))
    for options in ((), ("--json",), ("--html", tmp_path / "page.html")):
        child = nsfw_caffe("networks", "cost", path, *options)
        assert (child.returncode, child.stderr) == (0, "")
        assert r"\udcff.prototxt" in child.stdout
