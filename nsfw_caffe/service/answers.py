"""What the service answers with: JSON of one form, and what says which model and options a score is of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from nsfw_caffe._version import __version__
from nsfw_caffe.results.record import Provenance
from nsfw_caffe.service.refusals import Refused
from nsfw_caffe.service.set_up import Description

Json = Mapping[str, Any]


def provenance(description: Description) -> dict[str, Any]:
    """Return what is said with every score, under the names that the columns of RESULTS have."""
    made_by = Provenance.of(description.options, description.model_sha256)._asdict()
    del made_by["every"]  # a picture has none, and what is said of a video has its own
    return {"score_class": description.score_class, **made_by, "version": __version__}


def json_answer(value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer; all but ASCII is escaped, so that no name of a file can be more than text to a reader."""
    return Response(json.dumps(value), status, headers, "application/json")


def error_answer(refused: Refused) -> Response:
    """Return the answer to what is refused."""
    return json_answer({"error": refused.to_json()}, refused.status, refused.headers)
