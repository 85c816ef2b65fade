"""Log records of one process: one line each, with the call and the trace they belong to.

``OFFHOOK_LOG_FORMAT`` is ``text`` or ``json`` (one object a line), ``OFFHOOK_LOG_LEVEL`` a level's name. What is
said in a call is never logged.
"""

import json
import logging
import os
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.context import Context

FORMAT_VARIABLE = "OFFHOOK_LOG_FORMAT"
LEVEL_VARIABLE = "OFFHOOK_LOG_LEVEL"
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s%(ids)s"
#: Loggers whose INFO is noise.
NOISY = ("httpx", "httpx2", "uvicorn.error")
#: uvicorn says so, as an error, of every websocket refused with a proper response (Kludex/uvicorn#3138).
SPURIOUS = "ASGI callable returned without completing handshake."

_ids: ContextVar[dict[str, str]] = ContextVar("offhook_log_ids", default={})  # noqa: B039 - never mutated


def bind(context: Context, *, call_id: str = "") -> None:
    """Let what this task, and those it starts, log from here on carry the trace in ``context`` and ``call_id``."""
    span = trace.get_current_span(context).get_span_context()
    ids = {"call_id": call_id} if call_id else {}
    if span.is_valid:
        ids["trace_id"] = trace.format_trace_id(span.trace_id)
    _ids.set(ids)


def configure() -> None:
    """Send log records to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = os.environ.get(FORMAT_VARIABLE) == "json"
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter(TEXT_FORMAT))
    logging.basicConfig(level=os.environ.get(LEVEL_VARIABLE, "INFO"), handlers=[handler])
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg != SPURIOUS)


class TextFormatter(logging.Formatter):
    """A line for a reader; ids at its end."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        record.ids = "".join(f" {name}={value}" for name, value in _ids.get().items())
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_ids.get(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)
