"""Spans to store, and tools of Prometheus's project."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from telemetry import names
from telemetry.store import SpanStore, StoredSpan

REPOSITORY = Path(__file__).parents[2]


def tool(name: str) -> str:
    """Return the path of a program, or fail saying how to get it."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is not here: apt-get install prometheus prometheus-alertmanager")
    return path


@pytest.fixture
def store(tmp_path: Path) -> SpanStore:
    """An empty store."""
    return SpanStore(tmp_path / "calls.sqlite")


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    """A tracer provider without any exporter."""
    provider = TracerProvider(resource=Resource.create({"service.name": "offhook-test"}))
    yield provider
    provider.shutdown()


def span(
    trace: str = "a" * 32,
    number: int = 0,
    *,
    name: str = names.SPAN_CALL,
    parent: str | None = None,
    start: float = 100.0,
    seconds: float = 1.0,
    events: list | None = None,
    **attributes: object,
) -> StoredSpan:
    """Return a span as it is stored."""
    return StoredSpan(
        trace, f"{number:016x}", parent, "offhook-gateway", name, start, start + seconds,
        {key.replace("__", "."): value for key, value in attributes.items()}, events or [], [],
    )  # fmt: skip
