"""OpenTelemetry tracing of one process.

Spans go to a local store, ``$OFFHOOK_TRACE_STORE`` or ``.offhook/calls.sqlite`` (``none`` turns it off), which
``offhook trace``, ``offhook calls`` and the gateway's pages read; and, where the standard ``OTEL_*`` variables
name a collector, to it as well (OTLP over HTTP). ``OTEL_SDK_DISABLED=true`` turns tracing off.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry.content import RedactingExporter
from telemetry.exporting import EXPORT_INTERVAL_MILLISECONDS, MAX_QUEUED_SPANS, BoundedProcessor
from telemetry.redaction import Redact
from telemetry.store import SpanStore, SpanStoreExporter

STORE_VARIABLE = "OFFHOOK_TRACE_STORE"
DEFAULT_STORE = ".offhook/calls.sqlite"
NO_STORE = "none"
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
SPOKEN_PROTOCOL = "http/protobuf"

logger = logging.getLogger(__name__)
_propagator = TraceContextTextMapPropagator()
tracer = trace.get_tracer("offhook")


def start(service_name: str, redact: Redact | None = None) -> None:
    """Set this process's tracer provider up. Call once, at start.

    ``redact`` takes personal data out of what was said; without it nothing of that leaves the process.
    """
    provider = TracerProvider(resource=Resource.create({"service.name": f"offhook-{service_name}"}))
    for destination, exporter in _exporters().items():
        processor = BoundedProcessor(
            RedactingExporter(exporter, redact),
            destination,
            max_queued=_number("OTEL_BSP_MAX_QUEUE_SIZE", MAX_QUEUED_SPANS),
            interval_milliseconds=_number("OTEL_BSP_SCHEDULE_DELAY", EXPORT_INTERVAL_MILLISECONDS),
        )
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)


def flush(timeout_seconds: float = 5.0) -> None:
    """Hand finished spans to the exporter now."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(int(timeout_seconds * 1000))


def extract_context(headers: Mapping[str, str]) -> Context:
    """Return the trace context of ``traceparent`` in ``headers`` (lower-case keys), or an empty one."""
    return _propagator.extract(dict(headers), context=Context())


def inject_context(context: Context) -> dict[str, str]:
    """Return the headers that carry ``context`` to another process."""
    headers: dict[str, str] = {}
    _propagator.inject(headers, context)
    return headers


def local_store() -> SpanStore:
    """Return the store this process's settings name."""
    return SpanStore(Path(os.environ.get(STORE_VARIABLE) or DEFAULT_STORE))


def _exporters() -> dict[str, SpanExporter]:
    """Return where spans go, by the names of the drop counter."""
    exporters: dict[str, SpanExporter] = {}
    if os.environ.get(STORE_VARIABLE) != NO_STORE:
        exporters["store"] = SpanStoreExporter(local_store())
    wanted = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    if wanted == "otlp" and any(os.environ.get(variable) for variable in ENDPOINT_VARIABLES):
        for variable in PROTOCOL_VARIABLES:
            if (protocol := os.environ.get(variable, SPOKEN_PROTOCOL)) != SPOKEN_PROTOCOL:
                logger.warning(
                    "%s=%s: traces go out as %s all the same; let the endpoint be its port (4318)",
                    variable, protocol, SPOKEN_PROTOCOL,
                )  # fmt: skip
        exporters["otlp"] = OTLPSpanExporter()
    elif wanted == "console":
        exporters["console"] = ConsoleSpanExporter()
    return exporters


def _number(variable: str, default: int) -> int:
    """Return a variable's positive number, or ``default`` where it is unset or no such number."""
    try:
        value = int(os.environ.get(variable) or default)
    except ValueError:
        value = 0
    if value > 0:
        return value
    logger.warning("%s=%s: not a positive number; %d is used", variable, os.environ[variable], default)
    return default
