"""Log records carry the call and the trace they belong to."""

import asyncio
import json
import logging

import pytest

from telemetry import logs
from telemetry.tracing import extract_context

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


def line(formatter: logging.Formatter, message: str = "hello %s", *values: object) -> str:
    """Return a record as it is written."""
    return formatter.format(
        logging.LogRecord("offhook", logging.INFO, "x.py", 1, message, values or ("you",), None)
    )


async def test_each_task_has_its_own_call() -> None:
    """Two calls at once, and one task of each: every line has the right ids, and nothing is left of them outside."""
    formatter = logs.JsonFormatter()
    before = json.loads(line(formatter))

    async def call(name: str) -> dict:
        logs.bind(extract_context(HEADERS if name == "one" else {}), call_id=name)
        await asyncio.sleep(0)

        async def part() -> dict:
            return json.loads(line(formatter))

        return await asyncio.create_task(part())

    one, two = await asyncio.gather(*(asyncio.create_task(call(name)) for name in ("one", "two")))
    assert (one["call_id"], one["trace_id"]) == ("one", TRACE)
    assert two["call_id"] == "two"
    assert "trace_id" not in two
    after = json.loads(line(formatter))
    assert {key: after.get(key) for key in ("call_id", "trace_id")} == {
        key: before.get(key) for key in ("call_id", "trace_id")
    }


def test_json_is_one_line_whatever_is_logged() -> None:
    """Line breaks and quotes stay inside the object."""
    text = line(logs.JsonFormatter(), 'a\n"b" %s', "c")
    assert "\n" not in text
    fields = json.loads(text)
    assert (fields["level"], fields["logger"], fields["message"]) == ("INFO", "offhook", 'a\n"b" c')


async def test_text_has_the_ids_at_its_end() -> None:
    """A reader sees them too."""
    logs.bind(extract_context(HEADERS), call_id="CA1")
    assert line(logs.TextFormatter(logs.TEXT_FORMAT)).endswith(f"hello you call_id=CA1 trace_id={TRACE}")


@pytest.mark.parametrize("wanted", ["text", "json"])
def test_the_variable_chooses(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """OFFHOOK_LOG_FORMAT picks the formatter."""
    monkeypatch.setenv(logs.FORMAT_VARIABLE, wanted)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    logs.configure()
    (handler,) = root.handlers
    assert isinstance(handler.formatter, logs.JsonFormatter) == (wanted == "json")
