"""That the tests without what macOS and Windows lack do without it: `tests/without_linux`, in a process of its own."""

from __future__ import annotations

import pytest

from tests.support import LINUX, REPOSITORY, run

CODE = """
import fcntl, os, pathlib, subprocess, sys
import nsfw_caffe.system.files as files
from nsfw_caffe.system import proc, processes

print(os.fork and not hasattr(files.os, "fork"), proc.ROOT.exists(), files._FOLDERS_OPEN)
for line in ("import fcntl", "import resource", "import caffe", "from os import O_NONBLOCK"):
    try:
        exec(line, {"__package__": "nsfw_caffe"})
    except ImportError as error:
        print(type(error).__name__, line)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    for change in ("unlink()", "replace(path)", "open(encoding=None)"):
        try:
            ours = {"__package__": "nsfw_caffe", "__name__": "nsfw_caffe.any", "path": pathlib.Path(sys.argv[1])}
            exec("path." + change, ours)
        except (PermissionError, EncodingWarning) as error:
            print(type(error).__name__, change)
child = [sys.executable, "-c", "import nsfw_caffe.system.files as files; print(hasattr(files.os, 'fork'))"]
print(subprocess.run(child, env=processes.environment(), capture_output=True, text=True, encoding="utf-8").stdout)
"""


@pytest.mark.skipif(not LINUX, reason="it is taken away already, or was never there")
def test_it_is_taken_from_the_library_alone_and_from_its_children(tmp_path: object) -> None:
    variables = {"PYTHONPATH": str(REPOSITORY / "tests" / "without_linux"), "PYTHONWARNDEFAULTENCODING": "1"}
    child = run("-c", CODE, f"{tmp_path}/file", environment=variables)
    assert child.stderr == ""
    assert child.stdout.split("\n") == [
        "True False False",
        "ModuleNotFoundError import fcntl",
        "ModuleNotFoundError import resource",
        "ModuleNotFoundError import caffe",
        "ImportError from os import O_NONBLOCK",
        "PermissionError unlink()",
        "PermissionError replace(path)",
        "EncodingWarning open(encoding=None)",
        "False",
        "",
        "",
    ]
