"""The OpenAPI document as a page to read: no script, and nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from nsfw_caffe.service.answers import Json

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: the API</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs.css">
</head>
<body>
"""

_LONGEST_EXAMPLE = 400
"""Characters of a text in an example that are shown."""


def to_html(document: Json) -> str:
    """Return the page."""
    info = document["info"]
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    parts = [
        _HEAD.format(title=escape(info["title"])),
        f"<header><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
        _prose(info["summary"]),
        "</header>",
        "<nav aria-label='Contents'><ul>",
        *(_entry(*each) for each in operations),
        "</ul></nav><main>",
        f"<section>{_prose(info['description'])}",
        '<p>The same for programs: <a href="/openapi.json">openapi.json</a>. Pictures can be tried at '
        '<a href="/">the page</a>.</p></section>',
        *(_operation(document, *each) for each in operations),
        *_errors(document),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _entry(method: str, path: str, operation: Json) -> str:
    name = f"<code>{method.upper()} {escape(path)}</code>"
    return f'<li><a href="#{operation["operationId"]}">{name}</a> {_inline(operation["summary"])}</li>'


def _operation(document: Json, method: str, path: str, operation: Json) -> str:
    parts = [
        f'<section id="{operation["operationId"]}">',
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>",
        f"<p><strong>{_inline(operation['summary'])}.</strong></p>",
        _prose(operation.get("description", "")),
        *(_code(sample["source"]) for sample in operation.get("x-codeSamples", ())),
    ]
    if "parameters" in operation:
        rows = [_parameter(parameter) for parameter in operation["parameters"]]
        parts += ["<h3>Query</h3>", _table(("Name", "Value", ""), rows)]
    if "requestBody" in operation:
        parts += ["<h3>Body</h3>", *_contents(document, operation["requestBody"]["content"])]
    parts.append("<h3>Answers</h3>")
    refused = []
    for status, answer in operation["responses"].items():
        if "$ref" in answer:
            refused.append((status, _resolved(document, answer)["description"]))
            continue
        parts.append(f"<p><strong>{status}</strong> {_inline(answer['description'])}</p>")
        parts += _contents(document, answer["content"])
    parts.append(
        _table(("Status", ""), [(f'<a href="#{status}">{status}</a>', _inline(text)) for status, text in refused])
    )
    return "\n".join([*parts, "</section>"])


def _parameter(parameter: Json) -> tuple[str, ...]:
    values = parameter["schema"]["description"] + (", needed" if parameter.get("required") else "")
    return f"<code>{escape(parameter['name'])}</code>", escape(values), _inline(parameter["description"])


def _contents(document: Json, contents: Mapping[str, Json]) -> Iterator[str]:
    for kind, content in contents.items():
        yield f'<p class="kind"><code>{escape(kind)}</code></p>'
        schema = _resolved(document, content["schema"])
        yield _prose(schema.get("description", ""))
        rows = [
            (f"<code>{escape(name)}</code>", _inline(field["description"]))
            for name, field in schema.get("properties", {}).items()
            if "description" in field
        ]
        if rows:
            yield f"<details><summary>Fields</summary>{_table(('Name', ''), rows)}</details>"
        for example in _examples(content):
            yield _prose(example.get("summary", ""))
            yield _code(_text(example["value"]))


def _examples(content: Json) -> Iterator[Json]:
    if "example" in content:
        yield {"value": content["example"]}
    yield from content.get("examples", {}).values()


def _errors(document: Json) -> Iterator[str]:
    yield '<section id="errors"><h2>Errors</h2>'
    yield _prose(
        'All have one form, `{"error": {"reason": ..., "message": ...}}`. The reason is for programs; the message is '
        "for people, and may read otherwise."
    )
    rows = [row for answer in document["components"]["responses"].values() for row in _error_rows(answer)]
    yield _table(("Status", "Reason", "Message, for example"), rows)
    yield "</section>"


def _error_rows(answer: Json) -> Iterator[tuple[str, str, str]]:
    """Return a row for each reason of an answer; the first has the status, with the headers that come with it."""
    headers = "".join(f"<br><small>{escape(name)}</small>" for name in answer.get("headers", ()))
    status = f'<strong id="{answer["x-status"]}">{answer["x-status"]}</strong>{headers}'
    for example in _examples(answer["content"]["application/json"]):
        error = example["value"]["error"]
        yield status, f"<code>{escape(error['reason'])}</code>", escape(error["message"])
        status = ""


def _resolved(document: Json, part: Json) -> Json:
    """Return what a part is, or refers to."""
    if "$ref" not in part:
        return part
    found = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def _text(example: Json) -> str:
    """Return an example as JSON, a field a line, and a row of numbers on one."""
    text = json.dumps(_shortened(example), indent=2)
    return re.sub(r"\[[-\d.,\s]+\]", lambda found: re.sub(r"\s+", " ", found[0]), text)


def _shortened(value: Any) -> Any:  # noqa: ANN401 - what JSON may be
    if isinstance(value, str) and len(value) > _LONGEST_EXAMPLE:
        return value[:_LONGEST_EXAMPLE] + "..."
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in value.items()}
    return [_shortened(each) for each in value] if isinstance(value, list) else value


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = "".join(f"<th scope='col'>{escape(title)}</th>" for title in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _code(text: str) -> str:
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _prose(text: str) -> str:
    """Return paragraphs, which a blank line parts."""
    return "\n".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def _inline(text: str) -> str:
    """Return text in which what stands between backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
