"""The OpenAPI document: whole, true, and readable."""

from __future__ import annotations

import base64
import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import schemathesis

from nsfw_caffe import Classifier
from nsfw_caffe.service.openapi import EXAMPLE_PICTURE
from nsfw_caffe.service.refusals import STATUS
from nsfw_caffe.video import THRESHOLD
from tests.service.running import Service

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method"
)
"""All but whether every body that the document allows is accepted: most bytes are no picture."""


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return service.get("/openapi.json").json


def test_it_is_a_document(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()


def test_every_reason_is_in_it(document: dict[str, Any]) -> None:
    found: dict[str, int] = {}
    for name, answer in document["components"]["responses"].items():
        content = answer["content"]["application/json"]
        reasons = content["schema"]["properties"]["error"]["properties"]["reason"]["enum"]
        assert list(content["examples"]) == reasons
        found |= dict.fromkeys(reasons, int(name.removeprefix("Error")))
    assert found == STATUS


@pytest.mark.parametrize("path", ["/v1/score", "/v1/explain", "/v1/gate?block=0.9&review=0.5", "/v1/video"])
def test_examples_are_what_the_service_answers(service: Service, document: dict[str, Any], path: str) -> None:
    operation = document["paths"][path.partition("?")[0]]["post"]
    content = operation["responses"]["200"]["content"]["application/json"]
    example = content["example"] if "example" in content else content["examples"]["pass"]["value"]
    request = operation["requestBody"]["content"]["application/json"]["examples"]["base64"]["value"]
    answer = service.post_json(path, request).json
    assert answer.keys() == example.keys()
    for name, value in example.items():
        if name == "heat_map":
            assert [row == pytest.approx(other, abs=0.006) for row, other in zip(answer[name], value, strict=True)]
        elif name == "scores":
            assert [round(score, 4) for score in answer[name]] == value
        elif isinstance(value, float):
            assert round(answer[name], 4) == value
        else:
            assert answer[name] == value


@pytest.mark.parametrize("verdict", ["pass", "review", "block"])
def test_verdicts_are_those_of_their_queries(service: Service, document: dict[str, Any], verdict: str) -> None:
    for status, answer in document["paths"]["/v1/gate"]["post"]["responses"].items():
        for name, example in answer.get("content", {}).get("application/json", {}).get("examples", {}).items():
            if name == verdict:
                query = example["summary"].removeprefix("With ")
                reply = service.post(f"/v1/gate{query}", base64.b64decode(EXAMPLE_PICTURE))
                assert (str(reply.status), reply.json["verdict"]) == (status, example["value"]["verdict"])
                return
    raise AssertionError("there is no such example")


def test_the_example_of_many(service: Service, document: dict[str, Any]) -> None:
    operation = document["paths"]["/v1/scores"]["post"]
    example = operation["responses"]["200"]["content"]["application/json"]["example"]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    answer = service.post_json("/v1/scores", request).json
    answer["results"][0]["score"] = round(answer["results"][0]["score"], 4)
    assert answer == example


def test_what_the_query_of_a_video_leaves_out_is_what_the_library_takes(document: dict[str, Any]) -> None:
    taken = inspect.signature(Classifier.classify_video).parameters
    parameters = document["paths"]["/v1/video"]["post"]["parameters"]
    said = {each["name"]: each["schema"].get("default") for each in parameters}
    assert said == {name: taken[name].default for name in said} | {"start": 0}
    assert said["threshold"] == THRESHOLD


@pytest.mark.slow
def test_what_it_promises_holds(service: Service, tmp_path: Path) -> None:
    """schemathesis makes requests of the document, and others that it forbids: no 500, no answer that is not in it."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json", "--no-color"]
    options = ["--seed", "1", "--max-examples", "15", "--generation-deterministic", "--checks", CHECKS]
    child = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stdout + child.stderr
    tested = re.search(r"Tested: (\d+)", child.stdout)
    assert tested, child.stdout
    assert int(tested[1]) >= 8


class _Loads(HTMLParser):
    """What a page loads, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        assert not [name for name in values if name.startswith("on") or name == "style"]
        if "id" in values:
            self.anchors.add(f"#{values['id']}")
        if tag in ("link", "img", "script", "iframe"):
            self.loads.append(str(values.get("href") or values.get("src")))
        elif tag == "a":
            self.targets.add(str(values["href"]))


@pytest.fixture(scope="module")
def text(service: Service) -> str:
    return service.get("/docs").content.decode()


@pytest.fixture(scope="module")
def page(text: str) -> _Loads:
    parser = _Loads()
    parser.feed(text)
    return parser


class TestPage:
    def test_it_has_no_script_and_loads_nothing_from_outside(self, page: _Loads) -> None:
        assert not {"script", "style", "iframe", "form"} & set(page.tags)
        assert page.loads == ["/favicon.svg", "/docs.css"]

    def test_its_links_lead_somewhere(self, page: _Loads, service: Service) -> None:
        assert page.targets == {target for target in page.targets if target.startswith(("#", "/"))}
        assert {target for target in page.targets if target.startswith("#")} <= page.anchors
        assert all(service.get(target).status == 200 for target in page.targets if target.startswith("/"))

    def test_it_has_all_of_the_document(self, text: str, document: dict[str, Any]) -> None:
        for path in document["paths"]:
            assert path in text
        for reason in STATUS:
            assert reason in text

    def test_its_style_has_light_and_dark(self, service: Service) -> None:
        style = service.get("/docs.css").content.decode()
        assert "prefers-color-scheme: dark" in style
        assert "url(" not in style
        assert "@import" not in style
