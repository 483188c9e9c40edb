"""What the pages for newcomers say, held against the library: messages, commands, links, and the machine-read files."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nsfw_caffe import __version__, errors
from nsfw_caffe.cli.main import create_parser
from tests.support import REPOSITORY

DOCS = REPOSITORY / "docs"
OWN = ("README.md", *(f"docs/{name}.md" for name in ("faq", "index", "install", "migration", "quick-start", "scoring")))
"""The pages whose commands and programs are tried here; others have tests of their own."""


def texts() -> Iterator[str]:
    """Give every text in the library's source but docstrings; what is put into one stands as an ellipsis."""
    for path in (REPOSITORY / "nsfw_caffe").rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if id(node) in docstrings:
                continue
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_quoted_messages_are_in_the_source() -> None:
    """Those of the library: in the first cells of the tables before the part about the messages of others."""
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8").partition("\n## Messages of others")[0]
    first_cells = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    quoted = [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]
    assert len(quoted) > 100
    source = "\0".join(texts())
    pattern = {message: "[^\0]*?".join(map(re.escape, message.strip("…").split("…"))) for message in quoted}
    assert [message for message in quoted if not re.search(pattern[message], source)] == []


def test_every_error_is_explained() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    public = [name for name, value in vars(errors).items() if isinstance(value, type) and not name.startswith("_")]
    assert [name for name in public if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", OWN)
def test_commands_and_programs_are_understood(name: str) -> None:
    page = (REPOSITORY / name).read_text(encoding="utf-8")
    console = "".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL)).replace("\\\n", "")
    for command in re.findall(r"^\$ (?:.*\| )?(nsfw-caffe [^|\n]*)", console, re.MULTILINE):
        words = shlex.split(command, comments=True)[1:]
        if "--version" not in words:
            create_parser().parse_args([word for word in words if not word.startswith(">")])
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        compile(block, name, "exec")


def pages() -> list[Path]:
    return [*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    relative = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in relative if not (page.parent / link).exists()] == []


def test_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == __version__
    assert {"message", "title", "authors", "references"} <= citation.keys()


def test_issue_forms_are_forms() -> None:
    paths = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    forms = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths}
    assert forms.pop("config")["blank_issues_enabled"] is False
    assert len(forms) == 3
    for form in forms.values():
        assert {"name", "description", "body"} <= form.keys()
        assert "no offensive pictures" in str(form["body"]).lower()
