"""What the Docker files have to agree on; docker/test_images.sh builds them."""

from __future__ import annotations

import pytest

from nsfw_caffe import __version__
from tests.support import REPOSITORY

CPU, GPU = ((REPOSITORY / "docker" / name).read_text() for name in ("Dockerfile", "Dockerfile.gpu"))


def instructions(dockerfile: str, first: str, last: str) -> list[str]:
    """Return the lines from one that starts with `first` to the next that starts with `last`, without comments."""
    lines = [line for line in dockerfile.splitlines() if line and not line.startswith("#")]
    start = next(number for number, line in enumerate(lines) if line.startswith(first))
    end = next(number for number, line in enumerate(lines) if number > start and line.startswith(last))
    return lines[start : end + 1]


@pytest.mark.parametrize(("first", "last"), [("FROM caffe AS install", "FROM"), ("COPY --from=install", "CMD")])
def test_both_install_and_run_alike(first: str, last: str) -> None:
    ours, theirs = (instructions(dockerfile, first, last) for dockerfile in (CPU, GPU))
    assert ours[:-1] == theirs[:-1]
    assert len(ours) > 5


@pytest.mark.parametrize("dockerfile", [CPU, GPU])
def test_label_has_the_version(dockerfile: str) -> None:
    assert f'org.opencontainers.image.version="{__version__}"' in dockerfile


def test_a_plain_build_gives_runtime() -> None:
    assert CPU.endswith("\nFROM runtime\n")


def test_the_build_context_is_denied_by_default() -> None:
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[0] == "*"
