"""Spans of the ear: one a turn, under the trace context of the client's turn. No words in them."""

import time
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from asr import metrics
from asr.events import EventType, TurnEvent
from telemetry import names
from telemetry.tracing import extract_context, tracer

EAGER_ENDS = "voice.asr.eager_ends"
EAGER_ENDS_WITHDRAWN = "voice.asr.eager_ends_withdrawn"
END_CONFIDENCE = "voice.asr.end_of_turn_confidence"
END_TRIGGER = "voice.asr.end_of_turn_trigger"


@dataclass
class _Turn:
    """A turn in progress: when it began, and what is known of it."""

    began: int = field(default_factory=time.time_ns)
    eager: int = 0
    withdrawn: int = 0
    attributes: dict[str, AttributeValue] = field(default_factory=dict)


class TurnSpans:
    """Turns the events of one stream into spans.

    A client learns of a turn from the ear, and says only then which span of its own the turn is. So spans are
    written when the turn is over.

    Args:
        context: trace context of the connection, for turns of which the client says nothing.

    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn: _Turn | None = None
        self._before = ""
        self._traceparent = ""

    def heard(self, event: TurnEvent, heard_seconds: float, traceparent: str = "") -> None:
        """Take an event.

        Args:
            event: what happened.
            heard_seconds: the stream time at which it happens.
            traceparent: what the client last said the turn belongs to; empty: nothing.

        """
        since_speech = heard_seconds - event.last_speech
        _count(event, since_speech)
        if event.type is EventType.START:
            self._turn, self._before = _Turn(), traceparent
        self._traceparent = traceparent
        if self._turn is None:
            return
        if event.type is EventType.EAGER_END:
            self._turn.eager += 1
            self._turn.attributes[names.TRANSCRIPTION_DELAY.name] = since_speech
        elif event.type is EventType.RESUMED:
            self._turn.withdrawn += 1
        elif event.type is EventType.END:
            self._turn.attributes |= {
                names.TURN_INDEX: event.turn_index,
                names.END_OF_TURN_DELAY.name: since_speech,
                EAGER_ENDS: self._turn.eager,
                EAGER_ENDS_WITHDRAWN: self._turn.withdrawn,
                END_CONFIDENCE: event.end_confidence,
                END_TRIGGER: event.trigger.value if event.trigger else "",
            }
            self.close()

    def close(self) -> None:
        """Write down what is still open, because the turn or the stream has ended."""
        if (turn := self._turn) is None:
            return
        self._turn = None
        # What was said of the turn before says nothing of this one.
        said = self._traceparent if self._traceparent != self._before else ""
        context = extract_context({"traceparent": said})
        if not trace.get_current_span(context).get_span_context().is_valid:
            context = self._context
        tracer.start_span(
            names.SPAN_ASR_SERVER, context=context, start_time=turn.began, attributes=turn.attributes
        ).end()


def _count(event: TurnEvent, since_speech: float) -> None:
    if event.type is EventType.EAGER_END:
        metrics.EAGER_ENDS.inc()
        metrics.TRANSCRIPT_SECONDS.observe(since_speech)
    elif event.type is EventType.RESUMED:
        metrics.EAGER_ENDS_WITHDRAWN.inc()
    elif event.type is EventType.END:
        metrics.TURNS.labels(event.trigger.value if event.trigger else "").inc()
        metrics.END_SECONDS.observe(since_speech)
