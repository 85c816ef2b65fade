"""What was said, in spans: only redacted, and not at all where nothing redacts it."""

import logging
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.util.types import AttributeValue

from telemetry.names import CONTENT
from telemetry.redaction import Redact

logger = logging.getLogger(__name__)


class RedactingExporter(SpanExporter):
    """Redacts the attributes of :data:`telemetry.names.CONTENT` before ``exporter`` sees them.

    Args:
        exporter: where spans go.
        redact: replaces personal data; None, or one that fails, takes the attribute out.

    """

    def __init__(self, exporter: SpanExporter, redact: Redact | None) -> None:
        self._exporter = exporter
        self._redact = redact

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export ``spans``, redacted."""
        return self._exporter.export([self._redacted(span) for span in spans])

    def shutdown(self) -> None:
        """End the exporter."""
        self._exporter.shutdown()

    def _redacted(self, span: ReadableSpan) -> ReadableSpan:
        attributes = span.attributes or {}
        if CONTENT.isdisjoint(attributes):
            return span
        kept: dict[str, AttributeValue] = {}
        for name, value in attributes.items():
            if name not in CONTENT:
                kept[name] = value
            elif (text := self._text(str(value))) is not None:
                kept[name] = text
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=kept,
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _text(self, text: str) -> str | None:
        if self._redact is None:
            return None
        try:
            return self._redact(text)
        except Exception as error:  # what a language model raises is not ours to list
            logger.error("a text was not recorded: redaction failed with %s", type(error).__name__)
            return None
