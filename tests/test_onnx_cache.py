from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nsfw_caffe import EngineUnavailable, ModelError
from nsfw_caffe.caffe_to_onnx import cache
from nsfw_caffe.caffe_to_onnx.cache import onnx_model
from nsfw_caffe.model import ModelFiles
from tests.support import run


@pytest.fixture
def files(tmp_path: Path, model_files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> ModelFiles:
    """Give a copy of the model, in a folder of its own, and an empty cache of the user's beside that folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (model_files.prototxt, model_files.caffemodel):
        shutil.copy(path, folder)
    return ModelFiles(folder / model_files.prototxt.name, folder / model_files.caffemodel.name, original=True)


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix not in (".prototxt", ".caffemodel"))


def test_second_time_from_the_cache(files: ModelFiles) -> None:
    first = onnx_model(files)
    (path,) = kept(files.caffemodel.parent)
    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(files.prototxt.stat().st_mode)
    files.caffemodel.unlink()  # nothing can be converted any more
    assert onnx_model(files) == first


def test_cached_file_needs_neither_protobuf_nor_onnx(files: ModelFiles) -> None:
    onnx_model(files)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nsfw_caffe.caffe_to_onnx.cache import onnx_model\n"
        "from nsfw_caffe.model import ModelFiles\n"
        "onnx_model(ModelFiles(Path(sys.argv[1]), Path(sys.argv[2]), original=True))\n"
        "print(sorted({'google', 'onnx', 'tqdm'} & set(sys.modules)))"
    )
    assert run("-c", code, files.prototxt, files.caffemodel).stdout == "[]\n"


@pytest.mark.parametrize("damage", ["truncated", "empty", "one bit", "foreign"])
def test_damaged_file_is_made_again(damage: str, files: ModelFiles) -> None:
    first = onnx_model(files)
    (path,) = kept(files.caffemodel.parent)
    content = bytearray(first)
    content[len(content) // 2] ^= 1
    path.write_bytes({"truncated": first[:-1], "empty": b"", "one bit": bytes(content), "foreign": b"GIF89a"}[damage])
    assert onnx_model(files) == first
    assert path.read_bytes() == first
    assert kept(files.caffemodel.parent) == [path]


def test_other_inputs_and_other_versions_have_other_names(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnx_model(files)
    monkeypatch.setattr(cache, "VERSION", "other")
    onnx_model(files)
    tuned = tmp_path / "tuned.prototxt"
    tuned.write_text(files.prototxt.read_text() + "\n# another file\n")
    onnx_model(ModelFiles(tuned, files.caffemodel, original=False))
    assert len({path.name.split("-")[1] for path in kept(files.caffemodel.parent)}) == 3


def test_folder_that_cannot_be_written(files: ModelFiles, tmp_path: Path) -> None:
    """Then the user's cache; where that cannot be either, memory."""
    first = onnx_model(files)
    (path,) = kept(files.caffemodel.parent)
    # Root may write into any folder, but not over a folder.
    path.unlink()
    path.mkdir()
    user_cache = tmp_path / "cache"
    user_cache.write_bytes(b"")
    assert onnx_model(files) == first
    user_cache.unlink()
    assert onnx_model(files) == first
    assert (user_cache / "nsfw_caffe" / path.name).read_bytes() == first
    assert kept(files.caffemodel.parent) == [path]
    files.caffemodel.unlink()  # nothing can be converted any more
    assert onnx_model(files) == first


def test_two_processes_at_once(files: ModelFiles) -> None:
    code = (
        "import hashlib, sys\n"
        "from pathlib import Path\n"
        "from nsfw_caffe.caffe_to_onnx.cache import onnx_model\n"
        "from nsfw_caffe.model import ModelFiles\n"
        "files = ModelFiles(Path(sys.argv[1]), Path(sys.argv[2]), original=True)\n"
        "print(hashlib.sha256(onnx_model(files)).hexdigest())"
    )
    command = [sys.executable, "-c", code, str(files.prototxt), str(files.caffemodel)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = {child.communicate(timeout=120)[0] for child in children}
    assert len(outputs) == 1
    (path,) = kept(files.caffemodel.parent)
    assert outputs.pop().strip() in path.name


def test_own_model_is_checked_before_it_is_converted(files: ModelFiles, tmp_path: Path) -> None:
    small = tmp_path / "small.prototxt"
    small.write_text(files.prototxt.read_text().replace("dim: 224", "dim: 192", 1))
    with pytest.raises(ModelError, match="it has to be 1x3x224x224"):
        onnx_model(ModelFiles(small, files.caffemodel, original=False))


def test_missing_onnx_says_how_to_get_it(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("nsfw_caffe.caffe_to_onnx.write")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineUnavailable, match=r"pip install '\.\[onnxruntime\]'"):
        onnx_model(files)
    assert kept(files.caffemodel.parent) == []
