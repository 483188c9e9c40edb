"""docs/service.md, held against the service: options, reasons, metrics, and the table of addresses."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from nsfw_caffe.service import fetching
from nsfw_caffe.service.metrics import Metrics
from nsfw_caffe.service.options import ServiceOptions
from nsfw_caffe.service.refusals import STATUS
from nsfw_caffe.service.server import CONNECTIONS, HEADER_SECONDS
from nsfw_caffe.service.worker import VIDEO_PIXELS
from tests.support import REPOSITORY, nsfw_caffe

TEXT = (REPOSITORY / "docs" / "service.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize(("reason", "status"), STATUS.items())
def test_a_reason_stands_beside_its_status(reason: str, status: int) -> None:
    assert [row for row in ROWS if str(status) in re.findall(r"\d+", row[0]) and f"`{reason}`" in row[1]]


def test_an_option_stands_beside_its_default() -> None:
    defaults = {cells[0]: cells[1] for cells in ROWS if cells[0].startswith("`--")}
    options = ServiceOptions()
    assert defaults["`--host`, `--port`"] == f"{options.host}, {options.port}"
    assert defaults["`--queue N`"] == str(options.queue)
    assert defaults["`--seconds S`"] == f"{options.seconds:g}"
    assert defaults["`--body-seconds S`"] == f"{options.body_seconds:g}"
    assert defaults["`--max-size MIB`"] == str(options.body_bytes >> 20)
    assert defaults["`--items N`"] == str(options.items)
    assert defaults["`--video-frames N`"] == str(options.video_frames)
    assert defaults["`--video-seconds S`"] == f"{options.video_seconds:g}"
    assert defaults["`--fetch-seconds S`"] == f"{options.fetch_seconds:g}"
    assert defaults["`--drain-seconds S`"] == f"{options.drain_seconds:g}"


def test_every_option_of_the_services_own_is_there() -> None:
    own = nsfw_caffe("serve", "--help").stdout.partition("what scores:")[0]
    named = set(re.findall(r"--[a-z-]+", own)) - {"--help", "--verbose", "--quiet"}
    # The usage has those of scoring too, which other pages have.
    described = {option for option in named if re.search(rf"^  {option}\b", own, re.MULTILINE)}
    assert {"--queue", "--allow-url"} < described
    assert [option for option in described if f"`{option}" not in TEXT] == []


def test_every_metric_is_there() -> None:
    pool: Any = SimpleNamespace(waiting=0, busy=0, able=1, replaced=0)
    names = re.findall(r"^# TYPE (nsfw_caffe\w+)", Metrics(pool).to_text().decode(), re.MULTILINE)
    shown = [name for name in names if not name.endswith("_created")]
    assert len(shown) > 5
    assert [name for name in shown if f"`{name}" not in TEXT] == []


def test_limits_that_are_no_options() -> None:
    assert f"headers have {HEADER_SECONDS} s to arrive" in TEXT
    assert f"{VIDEO_PIXELS:,} pixels" in TEXT
    assert f"{CONNECTIONS} connections are open" in TEXT
    assert f"At most {fetching.REDIRECTS} redirects" in TEXT
    assert f"{fetching.HEADER_BYTES / 1024:.0f} kB for a header and {fetching.HEADERS} of them" in TEXT
