from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nsfw_caffe import Classifier, EngineUnavailable, ModelError
from nsfw_caffe.caffe_to_onnx import ORIGINAL_SHA256, ORIGINAL_SIZE, cache, convert
from nsfw_caffe.caffe_to_onnx.cache import onnx_model
from nsfw_caffe.model.spec import ModelFiles
from nsfw_caffe.options import EngineName
from nsfw_caffe.system.extras import install_hint
from tests.engines.test_caffe import SMALL, write
from tests.support import PHOTOS, run


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
        "from nsfw_caffe.model.spec import ModelFiles\n"
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
    files.caffemodel.parent.chmod(0o755)
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
        "from nsfw_caffe.model.spec import ModelFiles\n"
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
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineUnavailable, match=re.escape(install_hint("onnxruntime"))):
        onnx_model(files)
    assert kept(files.caffemodel.parent) == []


def plant(folder: Path, prefix: str, content: bytes) -> Path:
    """Put a file there under the name that fits its content."""
    path = folder / cache._name(prefix, hashlib.sha256(content).hexdigest())
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Give another network, as ONNX."""
    folder = tmp_path_factory.mktemp("foreign")
    small = write(folder, SMALL)
    return onnx_model(small)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_planted_file_is_never_the_original(
    name: EngineName, files: ModelFiles, foreign: bytes, tmp_path: Path, classifier: Classifier
) -> None:
    (tmp_path / "cache" / "nsfw_caffe").mkdir(parents=True)
    for folder in (files.caffemodel.parent, tmp_path / "cache" / "nsfw_caffe"):
        path = plant(folder, cache._prefix(files), foreign)
        assert not cache.kept_conversions(files)[path]
    planted = Classifier(engine=name, prototxt=files.prototxt, caffemodel=files.caffemodel)
    photo = PHOTOS / "coffee.png"
    assert abs(planted.classify(photo) - classifier.classify(photo)) <= 5e-6
    assert hashlib.sha256(onnx_model(files)).hexdigest() == ORIGINAL_SHA256
    assert sorted(cache.kept_conversions(files).values()) == [False, False, True]


def test_planted_file_under_the_original_conversions_name(files: ModelFiles, foreign: bytes) -> None:
    path = files.caffemodel.parent / cache._name(cache._prefix(files), ORIGINAL_SHA256)
    path.write_bytes(foreign)
    assert cache.kept_conversions(files) == {path: False}
    first = onnx_model(files)
    assert hashlib.sha256(first).hexdigest() == ORIGINAL_SHA256
    assert path.read_bytes() == first


@pytest.mark.parametrize(("implementation", "seed"), [("upb", "0"), ("upb", "1"), ("python", "1")])
def test_conversion_has_the_known_bytes(implementation: str, seed: str, files: ModelFiles) -> None:
    code = (
        "import hashlib, sys\n"
        "from pathlib import Path\n"
        "from nsfw_caffe.caffe_to_onnx.convert import convert\n"
        "content = convert(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(len(content), hashlib.sha256(content).hexdigest())"
    )
    environment = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation, "PYTHONHASHSEED": seed}
    child = run("-c", code, files.prototxt, files.caffemodel, environment=environment)
    assert child.stdout == f"{ORIGINAL_SIZE} {ORIGINAL_SHA256}\n", child.stderr


def test_bytes_that_are_not_the_known_ones_are_not_kept(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version of onnx may write one day: made from known files, but not to be found again."""
    monkeypatch.setattr(cache, "ORIGINAL_SHA256", "0" * 64)
    assert len(onnx_model(files)) == ORIGINAL_SIZE
    assert kept(files.caffemodel.parent) == []


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFiles:
    """Give a model of one's own, in a folder of its own, and no cache of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    folder = tmp_path / "own"
    folder.mkdir(mode=0o755)
    return write(folder, SMALL)


def test_own_model_is_kept(own: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    umask = os.umask(0o002)
    try:
        first = onnx_model(own)
    finally:
        os.umask(umask)
    (path,) = kept(own.caffemodel.parent)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    monkeypatch.setattr(convert, "convert", None)  # nothing can be converted any more
    assert onnx_model(own) == first


def link(path: Path) -> None:
    path.symlink_to(path.rename(path.parent.parent / "elsewhere.onnx"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def of_another(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 54321, 54321)


MISTRUSTED: dict[str, Callable[[Path], None]] = {
    "link": link,
    "pipe": pipe,
    "of another user": of_another,
    "its group can write": lambda path: path.chmod(0o664),
    "all can write": lambda path: path.chmod(0o646),
    "in a folder of another user": lambda path: of_another(path.parent),
    "in a folder that its group can write": lambda path: path.parent.chmod(0o775),
    "in a folder that all can write": lambda path: path.parent.chmod(0o1777),
}


@pytest.mark.linux
@pytest.mark.parametrize("make", MISTRUSTED.values(), ids=MISTRUSTED)
def test_planted_file_is_not_the_own_model(
    make: Callable[[Path], None], own: ModelFiles, foreign: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = foreign + b"\x42\x00"  # another file, as good as any here: the lie is in its name alone
    path = plant(own.caffemodel.parent, cache._prefix(own), other)
    path.chmod(0o644)
    assert onnx_model(own) == other  # this user's own file is believed
    make(path)
    monkeypatch.setattr(cache, "_store", lambda *_, **__: False)
    assert onnx_model(own) != other


def test_own_model_is_not_kept_where_it_would_not_be_believed(own: ModelFiles) -> None:
    own.caffemodel.parent.chmod(0o777)
    onnx_model(own)
    assert kept(own.caffemodel.parent) == []
