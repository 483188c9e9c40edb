from __future__ import annotations

import itertools
import os
import random

import pytest

from nsfw_caffe.results.names import decode_name, encode_name, visible


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("holiday/0001.jpg", "holiday/0001.jpg"),
        ("naïve 😀\n\"',\t.jpg", "naïve 😀\n\"',\t.jpg"),
        (os.fsdecode(b"\xff\x80.jpg"), r"\udcff\udc80.jpg"),
        (r"\udcff.jpg", r"\udc5cudcff.jpg"),
        (r"\udc5c", r"\udc5cudc5c"),
        (r"C:\udcards", r"C:\udcards"),
        (r"\udcFF", r"\udcFF"),
        ("no\0name", r"no\udc00name"),
    ],
)
def test_a_name_becomes_text_and_text_the_name(name: str, text: str) -> None:
    assert encode_name(name) == text
    assert decode_name(text) == name


def test_no_two_names_have_the_same_text() -> None:
    pieces = ("\\", "u", "\\udc", "5c", "80", "8", "0", "\udc80", "\udc5c", "\0")
    names = {"".join(chosen) for length in range(5) for chosen in itertools.product(pieces, repeat=length)}
    # U+DC5C is no byte of a name.
    names = {name for name in names if "\udc5c" not in name}
    texts = {encode_name(name) for name in names}
    assert len(texts) == len(names) > 5000
    assert {decode_name(text) for text in texts} == names
    assert {decode_name(encode_name(name)) == name for name in names} == {True}


def test_any_bytes_survive_in_utf_8() -> None:
    choices = random.Random(7)
    for _ in range(3000):
        name = os.fsdecode(choices.randbytes(choices.randrange(40)))
        assert decode_name(encode_name(name).encode().decode()) == name


def test_what_is_no_byte_of_a_name_is_replaced() -> None:
    assert encode_name("\ud83d\udc00\udc7f\udfff.jpg") == "\ufffd\ufffd\ufffd\ufffd.jpg"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain ünïcödé 名.jpg", "plain ünïcödé 名.jpg"),
        ("\x1b[31mred\n.jpg", r"\x1b[31mred\x0a.jpg"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\u2028b\u2066c", r"a\u2028b\u2066c"),
        ("\udcff\udc9b.jpg", r"\udcff\udc9b.jpg"),
        ("a\tb\u061cc", r"a\x09b\u061cc"),
    ],
)
def test_names_show_nothing_but_themselves(name: str, shown: str) -> None:
    assert visible(name) == shown
    assert visible(shown) == shown
