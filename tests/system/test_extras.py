"""What is said of an extra that is missing, wherever the library came from."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from nsfw_caffe.system import extras
from nsfw_caffe.system.extras import install_hint
from tests.support import REPOSITORY, run

METADATA = """\
Metadata-Version: 2.4
Name: nsfw-caffe
Version: 9
Requires-Dist: numpy>=1.26
Provides-Extra: published
Requires-Dist: jpeglib==1.0.2; (platform_machine == "x86_64" or sys_platform != "linux") and extra == "published"
Provides-Extra: evaluate
Requires-Dist: pyarrow>=14; extra == "evaluate"
Requires-Dist: scikit-learn>=1.4; extra == "evaluate"
Provides-Extra: train
Requires-Dist: nsfw-caffe[evaluate]; extra == "train"
Requires-Dist: imagehash>=4.3; extra == "train"
Provides-Extra: serve
Requires-Dist: granian<3,>=2.8; python_version >= "3.11" and extra == "serve"
"""
FILE = {"url": "file:///tmp/nsfw_caffe-9-cp311-abi3-linux_x86_64.whl", "archive_info": {}}
GIT = {"url": "https://example.com/nsfw-caffe", "vcs_info": {"vcs": "git", "commit_id": "0"}}


def installed(folder: Path, origin: object) -> str:
    """Lay the library there as an installer would, and return what it says of four extras there, a line each."""
    (folder / "nsfw_caffe/system").mkdir(parents=True)
    for name in ("__init__.py", "extras.py"):
        shutil.copy(REPOSITORY / "nsfw_caffe/system" / name, folder / "nsfw_caffe/system")
    (folder / "nsfw_caffe/__init__.py").touch()
    about = folder / "nsfw_caffe-9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(METADATA)
    if origin is not None:
        (about / "direct_url.json").write_text(json.dumps(origin))
    code = "from nsfw_caffe.system.extras import install_hint as say\nfor extra in sys.argv[2:]: print(say(extra))"
    start = "import sys; sys.path.insert(0, sys.argv[1])\n"
    child = run("-I", "-c", start + code, folder, "published", "evaluate", "train", "serve")
    assert child.returncode == 0, child.stderr
    return child.stdout


def test_in_a_checkout_it_is_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert installed(tmp_path, None).splitlines()[0] == f"pip install --editable '{tmp_path}[published]'"


def test_from_an_index_it_is_the_package(tmp_path: Path) -> None:
    assert installed(tmp_path, None).splitlines()[0] == "pip install 'nsfw-caffe[published]'"


@pytest.mark.parametrize("origin", [FILE, GIT], ids=["file", "git"])
def test_from_a_file_or_a_repository_it_is_what_the_extra_names(origin: object, tmp_path: Path) -> None:
    assert installed(tmp_path, origin).splitlines() == [
        """pip install 'jpeglib==1.0.2; (platform_machine == "x86_64" or sys_platform != "linux")'""",
        "pip install 'pyarrow>=14' 'scikit-learn>=1.4'",
        "pip install 'pyarrow>=14' 'scikit-learn>=1.4' 'imagehash>=4.3'",
        """pip install 'granian<3,>=2.8; python_version >= "3.11"'""",
    ]


def test_from_a_folder_it_is_that_folder_while_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    origin = {"url": folder.as_uri(), "dir_info": {}}
    assert installed(tmp_path / "one", origin).splitlines()[0] == f"pip install '{folder}[published]'"
    shutil.rmtree(folder)
    assert installed(tmp_path / "two", origin).splitlines()[1] == "pip install 'pyarrow>=14' 'scikit-learn>=1.4'"


def test_not_installed_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "nsfw_caffe/system/extras.py"))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert install_hint("spark") == "install what the extra 'spark' of nsfw-caffe names"
