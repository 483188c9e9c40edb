"""The blocks of code in README.md and the documentation: found, split into steps, and compared with what they show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

from tests.support import REPOSITORY

PAGES = {
    str(path.relative_to(REPOSITORY)): path
    for pattern in ("*.md", ".github/**/*.md", "benchmarks/*.md", "docs/**/*.md", "models/**/*.md")
    for path in sorted(REPOSITORY.glob(pattern))
}
"""Every page, by its path in the repository."""

_NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block, and the line that it begins on."""

    language: str
    content: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command, and what the page shows beneath it; or a statement, and the number that its comment begins with."""

    text: str
    line: int
    shown: str | None
    statement: ast.stmt | None = None


def blocks(page: str) -> list[Block]:
    """Return a page's fenced blocks."""
    tokens = MarkdownIt("commonmark").parse(PAGES[page].read_text(encoding="utf-8"))
    fences = [(token, token.map) for token in tokens if token.type == "fence"]
    return [Block(token.info.partition(" ")[0], token.content, at[0] + 1) for token, at in fences if at is not None]


def steps(page: str, language: str) -> list[Step]:
    """Return what a page's blocks in `console` or `python` have to run, in order."""
    split = {"console": _commands, "python": _statements}[language]
    return [step for block in blocks(page) if block.language == language for step in split(block)]


def _commands(block: Block) -> Iterator[Step]:
    """Yield each command, which begins with a prompt, with the lines in which it goes on."""
    command: list[str] = []
    shown: list[str] = []
    begun, here_end = 0, None
    for number, line in enumerate([*block.content.splitlines(), "$ "], start=block.line + 1):
        if here_end is not None or (command and not shown and command[-1].endswith("\\")):
            command.append(line)
            here_end = None if line == here_end else here_end
        elif re.match("[$#] ", line):
            if command:
                yield Step("\n".join(command), begun, "\n".join(shown) or None)
            command, shown, begun = [line[2:]], [], number
            here = re.search(r"<<'?(\w+)", line)
            here_end = here[1] if here else None
        else:
            assert command, f"line {number}: a console block begins with a prompt"
            shown.append(line)


def _statements(block: Block) -> Iterator[Step]:
    lines = block.content.splitlines()
    for statement in ast.parse(block.content).body:
        text = ast.get_source_segment(block.content, statement)
        assert text is not None
        assert statement.end_lineno is not None
        after = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].decode()
        number = re.match(r"  # (\d[\w.]*)(?=;|$)", after) if isinstance(statement, ast.Expr) else None
        ast.increment_lineno(statement, block.line)
        yield Step(text, statement.lineno, number[1] if number else None, statement)


def run_statement(page: str, step: Step, names: dict[str, object]) -> object:
    """Run a statement and return its value, None where it is no expression."""
    if isinstance(step.statement, ast.Expr):
        return eval(compile(ast.Expression(step.statement.value), page, "eval"), names)
    assert step.statement is not None
    exec(compile(ast.Module([step.statement], []), page, "exec"), names)
    return None


def difference(shown: str, came: str, *, figures: bool = True) -> str | None:
    """Say how what came differs from what a page shows: text, and numbers in digits that are shown; None if it is so.

    An ellipsis stands for anything, and the last digit that is shown may be another one by one. Without `figures` any
    number stands for any other.
    """
    pattern, end = "", 0
    numbers = list(_NUMBER.finditer(shown))
    for number in numbers:
        pattern += _literally(shown[end : number.start()]) + r"([+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?)"
        end = number.end()
    match = re.fullmatch(pattern + _literally(shown[end:]), came.strip(), re.DOTALL)
    if match is None:
        return f"shown: {shown}\ncame:  {came}"
    for expected, found in zip((number[0] for number in numbers), match.groups(), strict=True):
        decimals = len(expected.partition("e")[0].partition(".")[2])
        bearable = max(1.001 * 10.0**-decimals, 1e-6) if decimals else 0
        if figures and abs(_value(expected) - _value(found)) > bearable:
            return f"shown: {expected}\ncame:  {found}"
    return None


def _literally(text: str) -> str:
    """Make a pattern of a text, in which ellipses stand for anything and columns may be wider or narrower."""
    return ".*".join(re.sub(r"(\\ |\\\t)+", r"[ \\t]+", re.escape(part)) for part in text.split("..."))


def _value(text: str) -> float:
    return float(text.replace(",", ""))
