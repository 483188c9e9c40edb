"""The rooms of the library, as docs/architecture.md has them: what each may import, and who may print."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "nsfw_caffe"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / PACKAGE).rglob("*.py"))
}
PUBLIC = {PACKAGE, *(f"{PACKAGE}.{name}" for name in ("evaluate", "explain", "networks", "spark", "training"))}

PRINTING = {
    f"{PACKAGE}.fidelity.measure": "a program of its own, whose parent reads what it prints",
    f"{PACKAGE}.preprocessing.decoder_warnings": "keeps what C libraries print away from standard error",
    f"{PACKAGE}.training.solver_worker": "a program of its own, whose parent reads what it prints",
}


def room_of(module: str) -> str:
    """Return the room that a module is in; the program's first module is the command line's."""
    room = module.split(".")[1] if "." in module else PACKAGE
    return "cli" if room == "__main__" else room


@cache
def contract() -> dict[str, set[str]]:
    """Read the table of the rooms: what each may import."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition("\n## Rooms\n")[2].partition("\n## ")[0]
    rooms: dict[str, set[str]] = {}
    for room, may_import in re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", section, re.MULTILINE):
        rooms[room] = set(rooms) if may_import == "every room above" else set(re.findall(r"`(\w+)`", may_import))
        assert rooms[room] or may_import == "nothing"
    return rooms


def imports(module: str) -> Iterator[str]:
    """Yield the modules of the library that a module imports anywhere, in functions and for types too."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else str(node.module) for name in inner]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] == PACKAGE)


@cache
def arrows() -> dict[tuple[str, str], list[str]]:
    """Return which room imports which, with the modules that do."""
    found: dict[tuple[str, str], list[str]] = {}
    for module in MODULES:
        for name in imports(module):
            assert name in MODULES, f"{module} imports {name}, which is not there"
            arrow = room_of(module), room_of(name)
            if arrow[0] != arrow[1]:
                found.setdefault(arrow, []).append(f"{module} imports {name}")
    return found


def test_every_room_has_its_row() -> None:
    assert set(contract()) == {room_of(module) for module in MODULES}


def test_there_is_no_circle() -> None:
    rooms = list(contract())
    for index, room in enumerate(rooms):
        assert contract()[room] <= set(rooms[:index]), f"{room} may import what stands below it"


def test_the_contract_keeps_apart_what_is_to_be_apart() -> None:
    assert not {"preprocessing", "parallel"} & contract()["engines"]
    assert "report" not in contract()["evaluate"]
    assert "results" not in contract()["sources"]
    assert not [room for room, may_import in contract().items() if "cli" in may_import]


def test_rooms_import_what_they_may() -> None:
    assert [line for (room, other), lines in arrows().items() if other not in contract()[room] for line in lines] == []


def test_nothing_below_the_command_line_prints() -> None:
    printing = {
        module
        for module, path in MODULES.items()
        if room_of(module) != "cli" and re.search(r"\bprint\(|\bsys\.(__)?std(out|err)\b", _code(path))
    }
    assert printing == set(PRINTING)


def _code(path: Path) -> str:
    """Return a module's code without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = None
    return ast.unparse(tree)


def test_only_what_is_public_has_all() -> None:
    assert {
        name for name, path in MODULES.items() if re.search(r"^__all__ = ", path.read_text(), re.MULTILINE)
    } == PUBLIC
