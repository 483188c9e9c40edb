"""What the Docker files have to agree on; docker/test_images.sh builds them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from nsfw_caffe import __version__
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.options import ServiceOptions
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


def compose() -> Any:
    return yaml.safe_load((REPOSITORY / "compose.yaml").read_text())


def dashboard_expressions() -> Iterator[str]:
    dashboard = json.loads((REPOSITORY / "docker" / "grafana" / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_what_compose_runs_is_confined() -> None:
    for name in ("classify", "serve"):
        service = compose()["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"] == service["memswap_limit"]
        assert service["pids_limit"]
        assert "tmpfs" not in service


def test_nothing_is_reached_from_other_machines() -> None:
    ports = [port for service in compose()["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_a_stop_waits_for_what_is_under_way() -> None:
    seconds = int(compose()["services"]["serve"]["stop_grace_period"].removesuffix("s"))
    assert seconds > ServiceOptions().drain_seconds


def test_the_port_is_the_services() -> None:
    port = ServiceOptions().port
    assert compose()["services"]["serve"]["ports"] == [f"127.0.0.1:${{PORT:-{port}}}:{port}"]
    assert f"EXPOSE {port}\n" in CPU
    assert f"'127.0.0.1', {port}," in CPU
    assert f'targets: ["serve:{port}"]' in (REPOSITORY / "docker" / "prometheus.yml").read_text()


def test_files_that_compose_names_are_there() -> None:
    for name, config in compose()["configs"].items():
        text = (REPOSITORY / config["file"]).read_text()
        assert json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    used = {config["source"] for service in compose()["services"].values() for config in service.get("configs", ())}
    assert used == set(compose()["configs"])


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    metrics: Any = Metrics(SimpleNamespace(waiting=0, busy=0, able=1, replaced=0))  # type: ignore[arg-type]
    metrics.count_request("/v1/score", 200)
    families = list(text_string_to_metric_families(metrics.to_text().decode()))
    names = {sample.name for family in families for sample in family.samples}
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    for expression in dashboard_expressions():
        asked = set(re.findall(r"\b(?:nsfw_caffe|process)_\w+", expression))
        assert asked
        assert asked <= names
        grouped = re.findall(r"by \(([^)]*)\)", expression) + re.findall(r"\{(\w+)=", expression)
        assert {label for group in grouped for label in re.findall(r"\w+", group)} <= labels
