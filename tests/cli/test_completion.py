from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import nsfw_caffe

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
