"""Where spans go, by the environment; trace context across processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from telemetry.store import SpanStore
from telemetry.tracing import extract_context, inject_context
from tests.telemetry.conftest import REPOSITORY
from tests.telemetry.test_exporting import running_collector

SCRIPT = """
from telemetry import tracing
tracing.start("test")
with tracing.tracer.start_as_current_span("call"):
    pass
tracing.flush()
"""


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Write one span in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {
        "OFFHOOK_TRACE_STORE": str(folder / "calls.sqlite"),
        "PYTHONPATH": str(REPOSITORY),
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )


def stored(folder: Path) -> int:
    """Return how many calls the store has."""
    return len(SpanStore(folder / "calls.sqlite").calls(10))


def test_without_a_collector_spans_are_stored(tmp_path: Path) -> None:
    """Nothing set: the local store."""
    run(tmp_path)
    assert stored(tmp_path) == 1


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_a_collector_gets_them_as_well(tmp_path: Path, variable: str) -> None:
    """The standard variables name a collector; the local pages go on working."""
    with running_collector() as collector:
        endpoint = collector.endpoint
        run(tmp_path, **{variable: endpoint if "TRACES" in variable else endpoint.removesuffix("/v1/traces")})
        assert collector.span_names() == ["call"]
    assert stored(tmp_path) == 1


def test_everything_can_be_turned_off(tmp_path: Path) -> None:
    """OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER=none and OFFHOOK_TRACE_STORE=none do what they say."""
    run(tmp_path, OTEL_SDK_DISABLED="true")
    assert stored(tmp_path) == 0
    with running_collector() as collector:
        run(
            tmp_path, OTEL_TRACES_EXPORTER="none", OFFHOOK_TRACE_STORE="none",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector.endpoint,
        )  # fmt: skip
        assert collector.span_names() == []
    assert stored(tmp_path) == 0
    assert not (tmp_path / "none").exists()


def test_the_console_is_an_exporter(tmp_path: Path) -> None:
    """OTEL_TRACES_EXPORTER=console prints spans as JSON."""
    result = run(tmp_path, OTEL_TRACES_EXPORTER="console")
    assert json.loads(result.stdout)["name"] == "call"


def test_context_survives_a_hop() -> None:
    """traceparent in, the same traceparent out; garbage is no context."""
    header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    context = extract_context({"traceparent": header})
    assert inject_context(context) == {"traceparent": header}
    assert not get_current_span(extract_context({"traceparent": "garbage"})).get_span_context().is_valid
    assert inject_context(Context()) == {}
