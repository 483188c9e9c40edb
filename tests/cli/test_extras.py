"""Commands where an extra is not installed: they say which, and end without a traceback."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from nsfw_caffe.results.formats import write_results
from nsfw_caffe.system.extras import install_hint
from tests.records import scored
from tests.support import PHOTOS, nsfw_caffe

BLOCK = """\
import os, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["BLOCKED"].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""

CASES = [
    ("pyarrow", "evaluate --nsfw a.png --sfw b.jpg --engine onnxruntime", 2, install_hint("evaluate")),
    ("pyarrow", "evaluate d.csv", 2, install_hint("evaluate")),
    ("pyarrow", "compare r.csv r.csv --labels d.csv", 2, install_hint("evaluate")),
    ("pyarrow", "scan a.png -o r.parquet", 2, install_hint("scan")),
    ("pyarrow", "rank r.csv", 0, ""),
    ("sklearn,scipy", "evaluate --nsfw a.png --sfw b.jpg --engine onnxruntime", 2, install_hint("evaluate")),
    ("sklearn,scipy", "compare r.csv r.csv --labels d.csv", 2, install_hint("evaluate")),
    ("matplotlib", "evaluate d.csv --html page.html", 2, install_hint("evaluate")),
    ("matplotlib", "report r.csv --html page.html", 2, install_hint("report")),
    ("matplotlib,pyarrow,sklearn,scipy", "report r.csv", 0, ""),
    ("warcio", "scan a.warc -o s.csv --engine onnxruntime", 2, install_hint("scan")),
    ("onnxruntime", "classify a.png --engine onnxruntime", 3, install_hint("onnxruntime")),
    ("openvino", "classify a.png --engine openvino", 3, install_hint("openvino")),
    ("caffe", "classify a.png --engine caffe", 3, "make caffe"),
    ("caffe,onnxruntime,openvino", "classify a.png", 3, "\n  onnxruntime: "),
    ("jpeglib", "classify a.png --published", 3, install_hint("published")),
    ("shtab", "--print-completion bash", 2, install_hint("completion")),
    ("jpeglib", "verify --published", 3, install_hint("published")),
    ("uvloop", "serve", 2, install_hint("serve")),
    ("granian", "serve", 2, f"serving needs granian: {install_hint('serve')}"),
    ("starlette", "serve", 2, install_hint("serve")),
    ("aiohttp", "serve", 2, install_hint("serve")),
    ("prometheus_client", "serve", 2, install_hint("serve")),
    ("python_multipart", "serve", 2, install_hint("serve")),
    ("av", "video a.mkv --engine onnxruntime", 3, install_hint("video")),
    ("av", "video a.png --engine onnxruntime", 0, ""),
    ("matplotlib", "video a.mkv --html page.html", 2, install_hint("report")),
]


@pytest.mark.parametrize(("blocked", "command", "status", "names"), CASES)
def test_a_missing_extra_is_named(
    blocked: str, command: str, status: int, names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "sitecustomize.py").write_text(BLOCK)
    shutil.copy(PHOTOS / "coffee.png", "a.png")
    shutil.copy(PHOTOS / "rocket.jpg", "b.jpg")
    Path("a.warc").write_bytes(b"WARC/1.0\r\n")
    Path("a.mkv").write_bytes(b"\x1aE\xdf\xa3")
    write_results(Path("r.csv"), [scored(f"{number}", number / 10) for number in range(10)])
    lines = [f"{number},{int(number > 4)},{number / 10}" for number in range(10)]
    Path("d.csv").write_text("\n".join(["source,label,score", *lines, ""]))
    path = os.pathsep.join([str(tmp_path / "block"), os.environ.get("PYTHONPATH", "")])
    child = nsfw_caffe(*command.split(), environment={"BLOCKED": blocked, "PYTHONPATH": path})
    assert child.returncode == status, child.stderr
    assert names in child.stderr
    assert "Traceback" not in child.stderr
