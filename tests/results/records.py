"""Records that the tests of results share."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from nsfw_caffe.results.formats import read_results, write_results
from nsfw_caffe.results.record import Record

ENDINGS = (".csv", ".jsonl", ".parquet", ".sqlite")

RECORD = Record(
    source="holiday/0001.jpg",
    score=0.031705040484666824,
    error=None,
    width=4000,
    height=3000,
    format="JPEG",
    bytes=2_345_678,
    sha256="0123456789abcdef" * 4,
    mtime=1795504500.1234567,
    engine="onnxruntime",
    precision="float32",
    decode="exact",
    frames=1,
    model="fedcba9876543210" * 4,
    version="1.2.0",
    seconds=0.0125,
    scored_at="2026-11-23T07:15:00Z",
)


def scored(source: str = RECORD.source, **others: Any) -> Record:
    """A record with a score."""
    return dataclasses.replace(RECORD, source=source, **others)


def failed(source: str, error: str = "cannot identify image file") -> Record:
    """A record with an error, and nothing else that could be missing."""
    missing: dict[str, Any] = dict.fromkeys(
        ("score", "width", "height", "format", "bytes", "sha256", "mtime", "seconds")
    )
    return dataclasses.replace(RECORD, source=source, error=error, **missing)


def names(folder: Path) -> list[str]:
    """The names of everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


def there_and_back(path: Path, records: list[Record]) -> list[Record]:
    """Write the records, and read what was written."""
    write_results(path, records)
    return list(read_results(path))
