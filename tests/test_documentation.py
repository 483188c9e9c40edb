"""What the pages for newcomers say, held against the library: messages, and the machine-read files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import yaml

from nsfw_caffe import __version__, errors
from tests.support import REPOSITORY

DOCS = REPOSITORY / "docs"


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
