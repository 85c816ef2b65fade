"""Export: real OTLP over HTTP, and collectors that hang, die or were never there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY

from telemetry.exporting import BoundedProcessor


class Collector(ThreadingHTTPServer):
    """Decodes what OTLP sends; hangs where it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[ExportTraceServiceRequest] = []
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    @property
    def endpoint(self) -> str:
        """Where traces go."""
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def span_names(self) -> list[str]:
        """Return the names of the spans received."""
        return [
            span.name
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        self.server.asked.set()
        self.server.go_on.wait()
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Run a collector."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, daemon=True)
        thread.start()
        yield collector
        collector.go_on.set()
        collector.shutdown()


def dropped(destination: str, reason: str) -> float:
    """Return the drop counter."""
    labels = {"destination": destination, "reason": reason}
    return REGISTRY.get_sample_value("telemetry_spans_dropped_total", labels) or 0.0


def make_spans(provider: TracerProvider, count: int) -> None:
    """Start and end spans."""
    tracer = provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(f"span-{number}").end()


def test_a_real_collector_gets_every_span(provider: TracerProvider) -> None:
    """Spans arrive as OTLP protobuf, with the service's name."""
    with running_collector() as collector:
        processor = BoundedProcessor(OTLPSpanExporter(collector.endpoint), "whole")
        provider.add_span_processor(processor)
        make_spans(provider, 20)
        provider.force_flush()
        assert collector.span_names() == [f"span-{number}" for number in range(20)]
        (resource,) = [r.resource for request in collector.requests for r in request.resource_spans][:1]
        attributes = {item.key: item.value.string_value for item in resource.attributes}
        assert attributes["service.name"] == "offhook-test"
    assert dropped("whole", "queue full") == dropped("whole", "export failed") == 0


def test_a_collector_that_hangs_costs_nothing(provider: TracerProvider) -> None:
    """While an export hangs, spans are taken without waiting, up to the bound; the rest is dropped and counted."""
    with running_collector() as collector:
        collector.go_on.clear()
        processor = BoundedProcessor(
            OTLPSpanExporter(collector.endpoint), "hanging", max_queued=50, interval_milliseconds=1
        )
        provider.add_span_processor(processor)
        make_spans(provider, 1)
        assert collector.asked.wait(30)
        make_spans(provider, 200)  # returns although the collector answers nobody
        assert dropped("hanging", "queue full") == 150
        assert collector.span_names() == []
        collector.go_on.set()
        provider.force_flush()
        assert len(collector.span_names()) == 51


def test_a_process_ends_although_its_collector_hangs(provider: TracerProvider) -> None:
    """Shutdown waits for a bounded time only."""
    with running_collector() as collector:
        collector.go_on.clear()
        processor = BoundedProcessor(
            OTLPSpanExporter(collector.endpoint, timeout=3600), "ending", shutdown_seconds=0.1
        )
        provider.add_span_processor(processor)
        make_spans(provider, 1)
        processor.shutdown()  # would wait for an hour otherwise
        assert collector.span_names() == []


def test_a_dead_collector_is_counted(provider: TracerProvider) -> None:
    """Nobody listens: the spans are counted as lost."""
    exporter = OTLPSpanExporter("http://127.0.0.1:9/v1/traces", timeout=0.1)
    provider.add_span_processor(BoundedProcessor(exporter, "dead"))
    make_spans(provider, 3)
    provider.force_flush()
    assert dropped("dead", "export failed") == 3


@pytest.mark.parametrize("queued", [1, 10])
def test_a_small_queue_still_exports(provider: TracerProvider, queued: int) -> None:
    """The bound holds for what waits, not for what is exported in all."""
    with running_collector() as collector:
        processor = BoundedProcessor(
            OTLPSpanExporter(collector.endpoint), f"small-{queued}", max_queued=queued
        )
        provider.add_span_processor(processor)
        for _ in range(5):
            make_spans(provider, 1)
            provider.force_flush()
        assert len(collector.span_names()) == 5
