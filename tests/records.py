"""Rows of results for tests."""

from __future__ import annotations

import dataclasses
from hashlib import sha256
from pathlib import Path

from nsfw_caffe.results.record import Record

PLAIN = Record(
    source="a.jpg",
    score=0.5,
    error=None,
    width=640,
    height=480,
    format="JPEG",
    bytes=1000,
    sha256="0" * 64,
    mtime=1.5e9,
    engine="onnxruntime",
    precision="float32",
    decode="exact",
    frames=1,
    model="ab" * 32,
    version="0.1.0",
    seconds=0.01,
    scored_at="2026-11-23T07:15:00Z",
)


def scored(source: str, score: float) -> Record:
    """Return the row of a scored source of which nothing else matters."""
    return dataclasses.replace(PLAIN, source=source, score=score)


def failed(source: str, error: str) -> Record:
    """Return the row of a source that could not be scored."""
    return dataclasses.replace(
        PLAIN, source=source, score=None, error=error, width=None, height=None, format=None, bytes=None, sha256=None
    )


def of_file(path: Path, score: float = 0.9) -> Record:
    """Return the row that fits a file as it is now."""
    return of_content(str(path), path.read_bytes(), path.stat().st_mtime, score)


def of_content(source: str, content: bytes, mtime: float | None = None, score: float = 0.9) -> Record:
    """Return the row that fits a source with this content."""
    digest = sha256(content).hexdigest()
    return dataclasses.replace(PLAIN, source=source, score=score, bytes=len(content), sha256=digest, mtime=mtime)
