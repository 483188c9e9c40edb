"""A model folder is whole or an error, when it is read and when it is written."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nsfw_caffe import ModelError
from nsfw_caffe.model import folder as module
from nsfw_caffe.model.folder import default_score_class, read_model_folder, write_model_folder
from nsfw_caffe.model.spec import ModelFiles
from tests.cli.test_scan import small_disk
from tests.engines.test_caffe import SMALL, write
from tests.model.folders import of_original
from tests.support import run

CLASSES = ("cats", "dogs", "Vögel")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a caffemodel, in a folder of its own."""
    source = tmp_path / "source"
    source.mkdir()
    return write(source, SMALL).caffemodel


@pytest.fixture
def mine(tmp_path: Path, weights: Path) -> Path:
    """Return a model folder."""
    return write_model_folder(tmp_path / "mine", SMALL, weights, CLASSES, details={"seed": 1}).path


def names_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_what_is_written_is_read(tmp_path: Path, weights: Path) -> None:
    details = {"options": {"layers": "last"}, "auc": 0.97}
    path = tmp_path / "new" / "mine"
    written = write_model_folder(path, SMALL, weights, CLASSES, score_class="Vögel", details=details,
                                 others={"README.md": b"# mine\n"})  # fmt: skip
    assert read_model_folder(str(path)) == written
    assert (written.path, written.classes, written.score_class, written.details) == (path, CLASSES, "Vögel", details)
    assert names_in(path) == ["README.md", "deploy.prototxt", "mine.caffemodel", "model.json"]
    assert (path / "deploy.prototxt").read_text() == SMALL
    assert (path / "mine.caffemodel").read_bytes() == weights.read_bytes()
    assert names_in(path.parent) == ["mine"]  # and nothing is left beside it
    files = ModelFiles(path / "deploy.prototxt", path / "mine.caffemodel", original=False, classes=CLASSES, scored=2)
    assert written.files() == files
    assert written.files("cats").scored == 0


def test_the_originals_files_are_known(tmp_path: Path, model_files: ModelFiles) -> None:
    folder = of_original(tmp_path / "original", model_files)
    assert folder.files().original
    assert folder.files().sha256() == model_files.sha256() != folder.files("sfw").sha256()
    with pytest.raises(ModelError, match="there are 3 classes; the original network has 2"):
        of_original(tmp_path / "three", model_files, *CLASSES)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (("sfw", "nsfw"), "nsfw"),
        (("nsfw", "sfw"), "nsfw"),
        (("animals", "things"), "things"),
        (("a", "nsfw", "b"), "nsfw"),
        (CLASSES, None),
    ],
)
def test_the_class_that_the_score_is_of(
    classes: tuple[str, ...], expected: str | None, tmp_path: Path, weights: Path
) -> None:
    assert default_score_class(classes) == expected
    folder = write_model_folder(tmp_path / "mine", SMALL, weights, classes)
    assert folder.score_class == expected
    if expected is None:
        with pytest.raises(ModelError, match="has the classes cats, dogs, Vögel: say which one"):
            folder.files()
    else:
        assert folder.files().scored == classes.index(expected)
    with pytest.raises(ModelError, match="there is no class 'birds'; the classes are "):
        folder.files("birds")


def changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda described: described | changes


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda described: {other: value for other, value in described.items() if other != name}


def file_with(which: str, **changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda described: described | {which: described[which] | changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("format"), "format is missing; expected a whole number"),
        (changed(format=True), "format is True; expected a whole number"),
        (changed(format=2), "has format 2; this version of nsfw_caffe reads format 1: upgrade it"),
        (without("classes"), "classes is missing; expected a list"),
        (changed(classes="sfw"), "classes is 'sfw'; expected a list"),
        (changed(classes=[]), "expected two classes or more, found 0"),
        (changed(classes=["a"]), "expected two classes or more, found 1"),
        (changed(classes=["a", "b", "a"]), "a class stands twice among a, b, a"),
        (changed(classes=["a", 1]), "1 is no name of a class"),
        (changed(classes=["a", ""]), "'' is no name of a class"),
        (changed(classes=["a", "b\n"]), r"'b\\n' is no name of a class"),
        (changed(classes=["a", "\ud800"]), r"'\\ud800' is no name of a class"),
        (changed(score_class="birds"), "score_class is 'birds', which is none of the classes cats, dogs, Vögel"),
        (changed(score_class=[]), r"score_class is \[\], which is none"),
        (changed(input={"shape": [3, 299, 299]}), "299]}; it has to be {'shape': "),
        (without("prototxt"), "prototxt is missing; expected an object"),
        (file_with("caffemodel", sha256=None), "model.json: caffemodel: sha256 is missing; expected text"),
        (file_with("caffemodel", size="1"), "caffemodel: size is '1'; expected a whole number"),
        (file_with("caffemodel", name="../source/my.caffemodel"), "expected that of a file in the folder"),
        (file_with("caffemodel", name="/etc/passwd"), "expected that of a file in the folder"),
        (file_with("caffemodel", name=".."), "expected that of a file in the folder"),
        (file_with("caffemodel", name="model.json"), "expected that of a file in the folder"),
        (file_with("caffemodel", name="other.caffemodel"), "there is no file .*/mine/other.caffemodel"),
        (file_with("caffemodel", size=7), "mine.caffemodel is not what model.json says: expected 7 bytes"),
        (file_with("prototxt", sha256="0" * 64), "deploy.prototxt is not what model.json says: .* sha256 0000"),
    ],
)  # fmt: skip
def test_what_is_no_description(change: Callable[[Any], Any], message: str, mine: Path) -> None:
    described = json.loads((mine / "model.json").read_text())
    (mine / "model.json").write_text(json.dumps(change(described)))
    with pytest.raises(ModelError, match=message) as caught:
        read_model_folder(mine)
    assert str(mine) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as JSON"),
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"9" * 100_000, "cannot be read as JSON"),
        (b"[]", "expected a JSON object"),
        (b'{"format": NaN}', "NaN is no number of JSON"),
        (b'{"format": 1, "format": 1}', "a name stands twice"),
    ],
)
def test_what_is_no_json(content: bytes, message: str, mine: Path) -> None:
    (mine / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        read_model_folder(mine)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("name", ["deploy.prototxt", "mine.caffemodel"])
@pytest.mark.parametrize(
    ("damage", "message"), [(flip_a_byte, "is not what"), (empty, "found 0 bytes"), (Path.unlink, "there is no file")]
)
def test_damaged_files(name: str, damage: Callable[[Path], None], message: str, mine: Path) -> None:
    damage(mine / name)
    with pytest.raises(ModelError, match=rf"{name}.*{message}|{message}.*{name}"):
        read_model_folder(mine)


def test_what_is_no_folder(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing: no such folder"):
        read_model_folder(tmp_path / "missing")
    with pytest.raises(ModelError, match="is a file; a model folder has"):
        read_model_folder(mine / "deploy.prototxt")
    with pytest.raises(ModelError, match=r"is no model folder: it has no model\.json; .* --prototxt and --caffemodel"):
        read_model_folder(tmp_path / "source")
    (mine / "model.json").unlink()
    (mine / "model.json").mkdir()
    with pytest.raises(ModelError, match=r"model\.json cannot be read: Is a directory"):
        read_model_folder(mine)


@pytest.mark.parametrize("content", ["file", "folder with a file"])
def test_what_is_there_is_not_replaced(content: str, tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "mine"
    if content == "file":
        path.write_text("precious")
    else:
        path.mkdir()
        (path / "precious").touch()
    with pytest.raises(ModelError, match="is there already"):
        write_model_folder(path, SMALL, weights, CLASSES)
    assert path.read_text() == "precious" if content == "file" else names_in(path) == ["precious"]


def test_into_a_folder_with_a_state(tmp_path: Path, weights: Path) -> None:
    path = tmp_path / "mine"
    (path / ".state").mkdir(parents=True)
    first = write_model_folder(path, SMALL, weights, CLASSES)
    with pytest.raises(ModelError, match=r"is there already, and holds deploy\.prototxt"):
        write_model_folder(path, SMALL, weights, CLASSES)
    again = write_model_folder(path, SMALL + "# again", weights, CLASSES, overwrite=True)
    assert read_model_folder(path) == again != first
    assert names_in(path) == [".state", "deploy.prototxt", "mine.caffemodel", "model.json"]


@pytest.mark.parametrize("there", [False, True])
def test_a_write_that_fails_leaves_nothing(
    there: bool, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine"
    if there:
        path.mkdir()

    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "force_to_disk", fail)
    with pytest.raises(ModelError, match="mine cannot be written: Input/output error"):
        write_model_folder(path, SMALL, weights, CLASSES)
    assert names_in(tmp_path) == ["mine", "source"][not there :]
    assert not there or names_in(path) == []


KILL = """
import os, signal, sys
from pathlib import Path
from nsfw_caffe.model import folder

def killing(real, last):
    calls = iter(range(1, 100))
    return lambda *given: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == last else real(*given)

if sys.argv[4] == "force":
    folder.force_to_disk = killing(folder.force_to_disk, int(sys.argv[5]))
else:
    Path.replace = killing(Path.replace, int(sys.argv[5]))
folder.write_model_folder(sys.argv[1], sys.argv[3], Path(sys.argv[2]), ("a", "b"))
"""


@pytest.mark.linux
@pytest.mark.parametrize(
    ("there", "call", "count"),
    [
        *((there, "force", count) for there in (False, True) for count in (1, 2, 3, 4)),
        *((True, "rename", count) for count in (1, 2, 3)),
    ],
)
def test_killed_while_it_is_written(there: bool, call: str, count: int, tmp_path: Path, weights: Path) -> None:
    """A kill before a file is on the disk, or before it gets its name, leaves no model folder, and nothing for ever."""
    path = tmp_path / "mine"
    if there:
        path.mkdir()
    assert run("-c", KILL, path, weights, SMALL, call, str(count)).returncode == -signal.SIGKILL
    with pytest.raises(ModelError, match=r"no such folder|has no model\.json"):
        read_model_folder(path)
    assert write_model_folder(path, SMALL, weights, CLASSES, overwrite=True).path == path
    assert names_in(path) == ["deploy.prototxt", "mine.caffemodel", "model.json"]
    assert names_in(tmp_path) == ["mine", "source"]


@pytest.mark.slow
@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk(there: bool, tmp_path: Path, model_files: ModelFiles) -> None:
    with small_disk(tmp_path / "disk", 4096):
        path = tmp_path / "disk" / "mine"
        if there:
            path.mkdir()
        with pytest.raises(ModelError, match="mine cannot be written: No space left on device"):
            of_original(path, model_files)
        assert [entry for entry in path.parent.rglob("*") if entry != path] == []


@pytest.mark.parametrize("classes", [("a",), ("a", "a"), ("a", "b\0"), ("a", 1)])
def test_classes_that_are_none(classes: Any, tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ModelError, match="class"):
        write_model_folder(tmp_path / "mine", SMALL, weights, classes)
    assert not (tmp_path / "mine").exists()


def test_details_that_say_something_else(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ValueError, match="details: classes is said already"):
        write_model_folder(tmp_path / "mine", SMALL, weights, CLASSES, details={"classes": 3})
    with pytest.raises(ValueError, match="Out of range float values"):
        write_model_folder(tmp_path / "mine", SMALL, weights, CLASSES, details={"loss": float("nan")})
    assert names_in(tmp_path) == ["source"]


def test_a_folder_that_was_moved(mine: Path, tmp_path: Path) -> None:
    before = read_model_folder(mine)
    shutil.move(mine, tmp_path / "elsewhere")
    moved = read_model_folder(tmp_path / "elsewhere")
    assert moved.caffemodel == before.caffemodel
    assert moved.files("dogs").caffemodel == tmp_path / "elsewhere" / "mine.caffemodel"
