"""What the workflows of .github/ call is there; they themselves run where they are hosted, and nowhere else."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support import REPOSITORY

FILES = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
INSTALLED = {"build", "cibuildwheel", "pip", "pytest"}
"""Modules that Python, the extra or the step before has."""


def jobs(name: str) -> dict[str, Any]:
    """Return the jobs of a workflow."""
    found: dict[str, Any] = yaml.safe_load((REPOSITORY / ".github" / "workflows" / name).read_text(encoding="utf-8"))
    return dict(found["jobs"])


def steps() -> Iterator[dict[str, Any]]:
    for file in FILES:
        for job in jobs(file.name).values():
            yield from job.get("steps", ())


def commands() -> Iterator[list[str]]:
    for step in steps():
        for line in step.get("run", "").splitlines():
            for command in line.split("&&"):
                yield shlex.split(command)


def test_there_are_workflows() -> None:
    assert [file.name for file in FILES] == ["release.yml", "tests.yml"]
    assert len(list(commands())) > 5


def test_what_make_is_asked_for_is_in_the_makefile() -> None:
    asked = [target for program, *targets in commands() if program == "make" for target in targets]
    assert "test" in asked
    assert [target for target in asked if not re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE)] == []


def test_extras_that_are_installed_are_in_the_project() -> None:
    words = [word for command in commands() for word in command]
    asked = {extra for word in words if word.startswith(".[") for extra in word[2:-1].split(",")}
    assert asked == {"test-portable"}
    assert asked <= set(PROJECT["project"]["optional-dependencies"])


def test_modules_that_are_run_are_known() -> None:
    run = {command[2] for command in commands() if command[:2] == ["python", "-m"]}
    assert run == INSTALLED


def test_folders_of_the_repository_are_there() -> None:
    named = re.findall(r"\$GITHUB_WORKSPACE/([\w/]+)", "\n".join(step.get("run", "") for step in steps()))
    assert named == ["tests/without_linux"]
    assert (REPOSITORY / named[0]).is_dir()


def test_every_action_has_a_major_version() -> None:
    used = [step["uses"] for step in steps() if "uses" in step]
    assert used
    assert [name for name in used if not re.fullmatch(r"[\w./-]+@(v\d+|release/v\d+)", name)] == []


def test_portable_tests_run_on_every_system_with_every_python() -> None:
    matrix = jobs("tests.yml")["portable"]["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["os"]] == ["ubuntu", "macos", "windows"]
    assert matrix["python"] == [f"3.{minor}" for minor in range(11, 15)]


@pytest.mark.parametrize("needed", ["tests", "sdist", "wheels"])
def test_what_is_published_was_tested_and_needs_no_password(needed: str) -> None:
    publish = jobs("release.yml")["publish"]
    assert needed in publish["needs"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert "secrets." not in "\n".join(file.read_text(encoding="utf-8") for file in FILES)
