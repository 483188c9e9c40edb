"""What Linux tells in /proc, which other systems lack."""

from __future__ import annotations

from pathlib import Path

from nsfw_caffe.errors import EngineUnavailable

ROOT = Path("/proc")


def lines(name: str) -> list[str]:
    """Return the lines of a file of /proc: none where the system has none of it."""
    try:
        return (ROOT / name).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []


def require_linux(what: str) -> None:
    """Refuse what needs more of Linux than other systems have: EngineUnavailable."""
    if not (ROOT / "self" / "status").exists():
        raise EngineUnavailable(f"{what} works on Linux alone: elsewhere use the Docker image, docs/docker.md")
