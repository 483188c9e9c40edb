"""The service's log: one JSON object a line, on standard error.

It has no picture, no query, no URL, no file's name, and no error's text, which could have any of them.
"""

from __future__ import annotations

import datetime
import json
import logging
import traceback
from collections.abc import Mapping

LOGGER = logging.getLogger("nsfw_caffe.service")

_QUIET_ROUTES = ("/livez", "/readyz", "/metrics")
"""What is asked every few seconds; an answer that all is well is logged at level DEBUG."""


class JsonLines(logging.Formatter):
    """Writes a record as one line; its message is what happened, its `fields` are the rest."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _where(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True)


def to_standard_error() -> None:
    """Have all that this process logs written so."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.getLogger().handlers = [handler]
    logging.getLogger("nsfw_caffe").handlers = []
    LOGGER.setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # its warnings have what clients send


def log_request(route: str, status: int, fields: Mapping[str, object]) -> None:
    """Log a request that has its answer."""
    quiet = route in _QUIET_ROUTES and status < 400
    level = logging.DEBUG if quiet else logging.ERROR if status == 500 else logging.INFO
    LOGGER.log(level, "request", extra={"fields": {"route": route, "status": status} | dict(fields)})


def log_fault(error: BaseException) -> None:
    """Log an error that nobody expected."""
    LOGGER.error("fault", exc_info=(type(error), error, error.__traceback__))


def _where(error: BaseException) -> list[str]:
    """Return an error's kind and where it was raised, with those that led to it; not its text."""
    lines = []
    for each in _chain(error):
        places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(each.__traceback__)]
        lines.append(": ".join([type(each).__qualname__, " > ".join(places)]))
    return lines


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain
