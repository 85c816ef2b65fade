"""The span of one context, ``tts.server``, under the trace the client named. It never holds text."""

import time
from collections.abc import Mapping
from types import TracebackType

from opentelemetry.trace import Span, Status, StatusCode

from telemetry.names import SPAN_TTS_SERVER, TTS_TIME_TO_FIRST_AUDIO
from telemetry.tracing import extract_context, tracer
from tts.metrics import AUDIO, CONTEXTS, FAILURES, FIRST_AUDIO

VOICE = "tts.voice"
CHARACTERS = "tts.characters"
AUDIO_SECONDS = "tts.audio_seconds"
CANCELLED = "tts.cancelled"


def trace_headers(headers: Mapping[str, str], query: Mapping[str, str]) -> dict[str, str]:
    """Return the ``traceparent`` a client sent as a header or as a query parameter."""
    value = headers.get("traceparent") or query.get("traceparent")
    return {"traceparent": value} if value else {}


class ContextSpan:
    """Measures one context from its first text to its last audio."""

    def __init__(self, voice: str, trace: Mapping[str, str]) -> None:
        self._span: Span = tracer.start_span(
            SPAN_TTS_SERVER, context=extract_context(trace), attributes={VOICE: voice}
        )
        self._voice = voice
        self._first_text: float | None = None
        self._heard = False
        self._characters = 0
        self._seconds = 0.0

    def __enter__(self) -> "ContextSpan":
        CONTEXTS.labels(self._voice).inc()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._span.set_attributes({CHARACTERS: self._characters, AUDIO_SECONDS: round(self._seconds, 3)})
        if kind is not None:
            self._span.set_attribute(CANCELLED, True)
        self._span.end()
        CONTEXTS.labels(self._voice).dec()
        AUDIO.labels(self._voice).inc(self._seconds)

    def text(self, characters: int) -> None:
        """Note that ``characters`` of text are about to be said."""
        self._first_text = self._first_text or time.monotonic()
        self._characters += characters

    def audio(self, seconds: float) -> None:
        """Note that the stream is now ``seconds`` long."""
        if not self._heard and self._first_text is not None:
            self._heard = True
            seconds = time.monotonic() - self._first_text
            self._span.set_attribute(TTS_TIME_TO_FIRST_AUDIO.name, seconds)
            FIRST_AUDIO.labels(self._voice).observe(seconds)
        self._seconds = seconds

    def failed(self, error: Exception) -> None:
        """Note that the engine failed."""
        FAILURES.labels(self._voice).inc()
        self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
