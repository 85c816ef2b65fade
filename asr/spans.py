"""Spans of the ear: one a turn, under the trace context that the connection came with. No words in them."""

from opentelemetry.context import Context
from opentelemetry.trace import Span

from asr import metrics
from asr.events import EventType, TurnEvent
from telemetry import names
from telemetry.tracing import tracer

EAGER_ENDS = "voice.asr.eager_ends"
EAGER_ENDS_WITHDRAWN = "voice.asr.eager_ends_withdrawn"
END_CONFIDENCE = "voice.asr.end_of_turn_confidence"
END_TRIGGER = "voice.asr.end_of_turn_trigger"


class TurnSpans:
    """Turns the events of one stream into spans."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._span: Span | None = None
        self._eager = self._withdrawn = 0

    def heard(self, event: TurnEvent, heard_seconds: float) -> None:
        """Take an event; ``heard_seconds`` is the stream time at which it happens."""
        since_speech = heard_seconds - event.last_speech
        _count(event, since_speech)
        if event.type is EventType.START:
            self._span = tracer.start_span(names.SPAN_ASR_SERVER, context=self._context)
            self._eager = self._withdrawn = 0
        if self._span is None:
            return
        if event.type is EventType.EAGER_END:
            self._eager += 1
            self._span.set_attribute(names.TRANSCRIPTION_DELAY.name, since_speech)
        elif event.type is EventType.RESUMED:
            self._withdrawn += 1
        elif event.type is EventType.END:
            self._end(self._span, event, since_speech)

    def close(self) -> None:
        """End what is still open, because the stream has ended."""
        if self._span:
            self._span.end()
            self._span = None

    def _end(self, span: Span, event: TurnEvent, since_speech: float) -> None:
        span.set_attributes(
            {
                names.TURN_INDEX: event.turn_index,
                names.END_OF_TURN_DELAY.name: since_speech,
                EAGER_ENDS: self._eager,
                EAGER_ENDS_WITHDRAWN: self._withdrawn,
                END_CONFIDENCE: event.end_confidence,
                END_TRIGGER: event.trigger.value if event.trigger else "",
            }
        )
        self.close()


def _count(event: TurnEvent, since_speech: float) -> None:
    if event.type is EventType.EAGER_END:
        metrics.EAGER_ENDS.inc()
        metrics.TRANSCRIPT_SECONDS.observe(since_speech)
    elif event.type is EventType.RESUMED:
        metrics.EAGER_ENDS_WITHDRAWN.inc()
    elif event.type is EventType.END:
        metrics.TURNS.labels(event.trigger.value if event.trigger else "").inc()
        metrics.END_SECONDS.observe(since_speech)
