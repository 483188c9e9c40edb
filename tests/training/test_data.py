from __future__ import annotations

import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nsfw_caffe.errors import TrainingError
from nsfw_caffe.preprocessing.jpeg import create_codec
from nsfw_caffe.preprocessing.limits import DEFAULT_LIMITS
from nsfw_caffe.system.extras import install_hint
from nsfw_caffe.training import data as module
from nsfw_caffe.training.data import LEAST, Data, Dataset, class_names, draw, gather, groups_alike, labelled_sources
from tests.training import pictures
from tests.training.pictures import labelled


def found(data: Data, **asked: Any) -> Dataset:
    codec = create_codec("pillow", "exact")
    usual: dict[str, Any] = {"holdout": 0.25, "seed": 1, "codec": codec, "limits": DEFAULT_LIMITS}
    return gather(labelled_sources(data), **(usual | asked))


def held_names(dataset: Dataset) -> set[str]:
    return {picture.source for picture, held in zip(dataset.pictures, dataset.held, strict=True) if held}


def test_folders_are_classes(tmp_path: Path) -> None:
    dataset = found(labelled(tmp_path / "data"))
    assert dataset.classes == ("blue", "red")
    assert dataset.counts(held=True) == {"blue": 4, "red": 4}
    assert dataset.counts(held=False) == {"blue": 12, "red": 12}


def test_sfw_and_nsfw_have_the_originals_order() -> None:
    assert class_names([module.LabelledSource("a", name, None) for name in ("nsfw", "sfw")]) == ("sfw", "nsfw")


def test_the_same_seed_holds_the_same_out_wherever_it_lies(tmp_path: Path) -> None:
    labelled(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    one, two, other = found(tmp_path / "one"), found(tmp_path / "two"), found(tmp_path / "one", seed=2)
    assert one.held.tolist() == two.held.tolist()
    assert one.held.tolist() != other.held.tolist()


def test_an_archive_is_a_class_too(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    with zipfile.ZipFile(folder / "red.zip", "w") as archive:
        for path in sorted((folder / "red").iterdir()):
            archive.write(path, path.name)
    shutil.rmtree(folder / "red")
    dataset = found(folder)
    assert dataset.classes == ("blue", "red")
    assert len(dataset.pictures) == 32


def test_tables_label_and_split(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    rows = ["source,label,split"]
    for name, label in (("blue", "0"), ("red", "1")):
        for index, path in enumerate(sorted((folder / name).iterdir())):
            rows.append(f"{path},{label},{'test' if index < 3 else 'train'}")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(rows))
    dataset = found(table)
    assert dataset.classes == ("sfw", "nsfw")
    assert held_names(dataset) == {str(folder / name / f"00{n}.png") for name in ("blue", "red") for n in range(3)}


def test_identical_pictures_count_once(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    shutil.copy(folder / "red" / "000.png", folder / "red" / "again.png")
    dataset = found(folder)
    assert dataset.repeats == 1
    assert len(dataset.pictures) == 32


def test_pictures_that_look_the_same_are_never_on_both_sides(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    for path in sorted((folder / "red").iterdir()):
        Image.open(path).resize((64, 64)).save(path.with_name(f"small-{path.stem}.jpg"), quality=80)
    for seed in range(5):
        held = {
            Path(name).stem.removeprefix("small-") for name in held_names(found(folder, seed=seed)) if "red" in name
        }
        sides = found(folder, seed=seed)
        rest = {Path(p.source).stem.removeprefix("small-") for p in sides.pictures if "red" in p.source} - held
        trained = {
            Path(p.source).stem.removeprefix("small-")
            for p, side in zip(sides.pictures, sides.held, strict=True)
            if not side and "red" in p.source
        }
        assert held
        assert trained == rest


def test_what_a_table_holds_out_is_not_trained_on_under_another_look(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    Image.open(folder / "red" / "000.png").save(tmp_path / "copy.jpg", quality=90)
    rows = [f"{path},{path.parent.name},{'test' if path.stem < '004' else 'train'}" for path in folder.glob("*/*.png")]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["source,label,split", *rows, f"{tmp_path / 'copy.jpg'},red,train"]))
    dataset = found(table)
    assert dataset.too_near == 1
    assert str(tmp_path / "copy.jpg") not in {picture.source for picture in dataset.pictures}


def test_unreadable_pictures_are_named_and_left_out(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    (folder / "red" / "broken.png").write_bytes(b"no picture")
    dataset = found(folder)
    ((source, reason),) = dataset.failures
    assert source == str(folder / "red" / "broken.png")
    assert reason == "not in any picture format that Pillow knows"
    assert len(dataset.pictures) == 32


def test_conflicting_labels_are_refused(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    shutil.copy(folder / "red" / "000.png", folder / "blue" / "same.png")
    with pytest.raises(TrainingError, match=r"is labelled \w+, and .*, which is the same picture, \w+: decide for one"):
        found(folder)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"there is one class \(red\)"):
        found({"red": labelled(tmp_path / "data") / "red"})


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    for path in sorted((folder / "red").iterdir())[LEAST - 1 :]:
        path.write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=rf"class red has {LEAST - 1} .* needs {LEAST} or more; left out is .*png"):
        found(folder)


def test_a_class_whose_pictures_look_the_same_cannot_be_measured(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    original = Image.open(folder / "red" / "000.png")
    for number, path in enumerate(sorted((folder / "red").iterdir())):
        original.save(path.with_suffix(".jpg"), quality=80 + number)
        path.unlink()
    with pytest.raises(TrainingError, match="class red has no picture"):
        found(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source,kind\na.png,red\n", "there is no column label"),
        ("source,label\na.png,red\nb.png,\n", "row 2 has no label"),
        ("source,label,split\na.png,red,sometimes\n", "'sometimes' is no split"),
        ("source,label\na.png,red\n", "there is one class"),
    ],
)
def test_bad_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(text)
    with pytest.raises(TrainingError, match=message):
        found(table)


@pytest.mark.parametrize(
    ("name", "message"), [("missing", "there is no such folder"), ("file.txt", "expected a folder")]
)
def test_what_is_no_data_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(TrainingError, match=message):
        labelled_sources(tmp_path / name)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="there is no folder in it"):
        labelled_sources(tmp_path)


def test_near_hashes_are_grouped_as_all_pairs_say() -> None:
    generator = np.random.default_rng(5)
    looks: list[int | None] = [int(value) for value in generator.integers(0, 2**63, 200)]
    for look in looks[:100]:
        assert look is not None
        for bit in generator.choice(64, int(generator.integers(1, 8)), replace=False):
            look ^= 1 << int(bit)
        looks.append(look)
    groups = groups_alike([*looks, None, None])
    for one in range(100):
        other = looks[200 + one]
        first = looks[one]
        assert first is not None
        assert other is not None
        assert (groups[one] == groups[200 + one]) == (bin(first ^ other).count("1") <= module.NEAR)
    assert groups[-1] != groups[-2]


def test_groups_are_held_out_whole() -> None:
    generator = np.random.default_rng(3)
    labels, alike = generator.integers(0, 2, 300), generator.integers(0, 150, 300)
    held = draw(labels, alike, 0.2, 1)
    assert not set(alike[held]) & set(alike[~held])
    assert 40 <= held.sum() <= 62


def test_missing_libraries_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imagehash", None)
    with pytest.raises(TrainingError, match=re.escape(f"training needs imagehash: {install_hint('train')}")):
        found(labelled(tmp_path / "data"))


def test_bytes_of_a_name_that_are_no_utf8_do_no_harm(tmp_path: Path) -> None:
    folder = labelled(tmp_path / "data")
    pictures.draw(folder / "red" / os.fsdecode(b"odd-\xff.png"), 0, 99)
    assert len(found(folder).pictures) == 33
