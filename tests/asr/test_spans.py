"""The ear's spans hang under what the client says the turn is."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asr import spans
from asr.events import EventType, TurnEvent
from asr.spans import TurnSpans
from telemetry.tracing import extract_context

TRACE = "0af7651916cd43dd8448eb211c80319c"


def traceparent(span: str) -> str:
    """Return the header of a span."""
    return f"00-{TRACE}-{span}-01"


CALL, FIRST, SECOND = (traceparent(f"{number:016x}") for number in (1, 2, 3))


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What the ear exports."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def event(kind: EventType, turn: int = 0) -> TurnEvent:
    """Return an event of a turn."""
    return TurnEvent(
        kind, turn_index=turn, start=0.5, end=2.0, transcript="", end_confidence=0.9, last_speech=1.0
    )


def parents(exporter: InMemorySpanExporter) -> list[int]:
    """Return the ids of the spans' parents."""

    def parent(span: ReadableSpan) -> int:
        assert span.parent is not None
        return span.parent.span_id

    return [parent(span) for span in exporter.get_finished_spans()]


def test_each_turn_hangs_under_its_own(exported: InMemorySpanExporter) -> None:
    """The client says which span it is once the turn has begun; one of which it says nothing is the call's."""
    ear = TurnSpans(extract_context({"traceparent": CALL}))
    ear.heard(event(EventType.START), 1.0, "")
    ear.heard(event(EventType.EAGER_END), 2.0, FIRST)
    ear.heard(event(EventType.END), 2.2, FIRST)
    ear.heard(event(EventType.START, 1), 3.0, FIRST)
    ear.heard(event(EventType.END, 1), 4.0, FIRST)
    ear.heard(event(EventType.START, 2), 5.0, FIRST)
    ear.heard(event(EventType.END, 2), 6.0, SECOND)
    assert parents(exported) == [2, 1, 3]


def test_a_stream_that_ends_leaves_its_turn(exported: InMemorySpanExporter) -> None:
    """Nothing that was begun is lost; garbage of a client is no parent."""
    ear = TurnSpans(extract_context({"traceparent": CALL}))
    ear.heard(event(EventType.START), 1.0, "")
    ear.heard(event(EventType.EAGER_END), 2.0, "garbage")
    ear.close()
    ear.close()
    assert parents(exported) == [1]
