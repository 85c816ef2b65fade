"""Export that never holds a call up: batches on a thread of its own, a bounded queue, drops that are counted."""

import threading
import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from telemetry.metrics import EXPORT_CPU, SPANS_DROPPED

#: How often finished spans are handed to the exporter, milliseconds.
EXPORT_INTERVAL_MILLISECONDS = 500
#: Spans that may wait for the exporter; more are dropped.
MAX_QUEUED_SPANS = 2048
#: Spans of one export.
BATCH_SPANS = 512
#: How long a process that ends waits for its last export, seconds. A collector that hangs delays no longer.
SHUTDOWN_SECONDS = 1.0


class _CountedExporter(SpanExporter):
    """Counts what an exporter takes and what it fails on."""

    def __init__(self, exporter: SpanExporter, destination: str) -> None:
        self._exporter = exporter
        self._destination = destination
        self._lock = threading.Lock()
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._lock:
            self.taken += len(spans)
        result = SpanExportResult.FAILURE
        began = time.thread_time()
        try:
            result = self._exporter.export(spans)
        finally:
            EXPORT_CPU.labels(self._destination).inc(time.thread_time() - began)
            if result is not SpanExportResult.SUCCESS:
                SPANS_DROPPED.labels(self._destination, "export failed").inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class BoundedProcessor(BatchSpanProcessor):
    """OpenTelemetry's batch processor with counted drops and a bounded end.

    Args:
        exporter: where spans go.
        destination: its name in the drop counter.
        max_queued: spans that may wait.
        interval_milliseconds: how often they are handed over.
        shutdown_seconds: how long :meth:`shutdown` waits for the last export.

    """

    def __init__(
        self,
        exporter: SpanExporter,
        destination: str,
        *,
        max_queued: int = MAX_QUEUED_SPANS,
        interval_milliseconds: float = EXPORT_INTERVAL_MILLISECONDS,
        shutdown_seconds: float = SHUTDOWN_SECONDS,
    ) -> None:
        self._counted = _CountedExporter(exporter, destination)
        self._destination = destination
        self._max_queued = max_queued
        self._shutdown_seconds = shutdown_seconds
        self._given = 0
        self._given_lock = threading.Lock()
        super().__init__(
            self._counted,
            max_queue_size=max_queued,
            schedule_delay_millis=interval_milliseconds,
            max_export_batch_size=min(BATCH_SPANS, max_queued),
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Queue ``span``, or drop and count it where too many wait."""
        context = span.get_span_context()
        if not (context and context.trace_flags.sampled):
            return
        with self._given_lock:
            full = self._given - self._counted.taken >= self._max_queued
            if not full:
                self._given += 1
        if full:
            SPANS_DROPPED.labels(self._destination, "queue full").inc()
        else:
            super().on_end(span)

    def shutdown(self) -> None:
        """Export what is left, for a bounded time."""
        ending = threading.Thread(target=super().shutdown, name="span-export-end", daemon=True)
        ending.start()
        ending.join(self._shutdown_seconds)
