r"""Names of files as text: as every format can hold it, and as a terminal shows it.

A name on Linux is bytes. Where they are no UTF-8, `os.fsdecode` gives lone surrogates, U+DC80 to U+DCFF, one for each
such byte, and neither Parquet nor SQLite nor a text file in UTF-8 can hold those. So such a byte XX is written as the
six characters ``\udcXX``. A backslash of a name that would read like one of these is written as ``\udc5c``, and NUL,
which an error's text may hold and a reader of CSV may not, as ``\udc00``: what is decoded is what was encoded.

JSON and CSV hold names in this form, on standard output as in files, and `decode_name` gives the name again. What
people read, and lines with tabs between, have names by `visible`, which is for eyes alone.
"""

from __future__ import annotations

import re

_TO_ENCODE = re.compile(r"[\ud800-\udfff\0]|\\(?=udc[0-9a-f]{2})")
_ENCODED = re.compile(r"\\udc(00|5c|[89a-f][0-9a-f])")

# C0, DEL and C1: they would move the cursor, change the colours of a terminal, or begin a line or a column.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0))
# What turns the direction of writing makes gpj.exe of exe.jpg.
_TURNING = (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_LINE_ENDS = (0x2028, 0x2029)
_SURROGATES = range(0xD800, 0xE000)  # they reach a terminal as the bytes that they stand for, controls among them

_HIDDEN = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*_CONTROLS, *_TURNING, *_LINE_ENDS, *_SURROGATES)
}


def encode_name(name: str) -> str:
    """Write a name, or the text of an error, so that UTF-8 can hold it: most are written as they are.

    Lone surrogates that `os.fsdecode` does not return, and that no file's name can hold, become U+FFFD.
    """
    # Nearly every name is plain, and there may be millions.
    if name.isascii() and "\\udc" not in name and "\0" not in name:
        return name
    return _TO_ENCODE.sub(_encode, name)


def decode_name(text: str) -> str:
    """Return the name that `encode_name` wrote as this text."""
    return _ENCODED.sub(_decode, text) if "\\udc" in text else text


def visible(text: str) -> str:
    r"""Write what strangers gave so that it shows nothing but itself, in one line: its control characters as \x1b.

    What is written so stays as it is when it is written so again.
    """
    return text.translate(_HIDDEN)


def _encode(match: re.Match[str]) -> str:
    character = match[0]
    if character in "\\\0":
        return f"\\udc{ord(character):02x}"
    return f"\\u{ord(character):04x}" if "\udc80" <= character <= "\udcff" else "\ufffd"


def _decode(match: re.Match[str]) -> str:
    byte = int(match[1], 16)
    return chr(byte if byte < 0x80 else 0xDC00 + byte)
