"""Rows of results for tests."""

from __future__ import annotations

import dataclasses
from hashlib import sha256
from pathlib import Path
from typing import Any

from nsfw_caffe.results.record import Record

RECORD = Record(
    source="holiday/0001.jpg",
    score=0.031705040484666824,
    error=None,
    width=4000,
    height=3000,
    format="JPEG",
    bytes=1000,
    sha256="0123456789abcdef" * 4,
    mtime=1795504500.1234567,
    engine="onnxruntime",
    precision="float32",
    decode="exact",
    frames=1,
    model="ab" * 32,
    device="cpu",
    jpeg="pillow",
    blas="system",
    every=None,
    max_time=None,
    warning=None,
    version="0.1.0",
    seconds=0.01,
    scored_at="2026-11-23T07:15:00Z",
)


def scored(source: str = RECORD.source, score: float = 0.5, **others: Any) -> Record:
    """Return the row of a scored source of which nothing else matters."""
    return dataclasses.replace(RECORD, source=source, score=score, **others)


def failed(source: str, error: str = "cannot identify image file") -> Record:
    """Return the row of a source that could not be read."""
    missing: dict[str, Any] = dict.fromkeys(
        ("score", "width", "height", "format", "bytes", "sha256", "mtime", "seconds")
    )
    return dataclasses.replace(RECORD, source=source, error=error, **missing)


def of_file(path: Path, score: float = 0.9) -> Record:
    """Return the row that fits a file as it is now."""
    return of_content(str(path), path.read_bytes(), path.stat().st_mtime, score)


def of_content(source: str, content: bytes, mtime: float | None = None, score: float = 0.9) -> Record:
    """Return the row that fits a source with this content."""
    digest = sha256(content).hexdigest()
    return dataclasses.replace(RECORD, source=source, score=score, bytes=len(content), sha256=digest, mtime=mtime)
