"""Deepgram's Flux protocol (``/v2/listen``): its parameters and messages, without I/O."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from asr import parameters
from asr.audio import SAMPLE_RATE, AudioInput, Encoding
from asr.confidence import Thresholds
from asr.ear import Ear
from asr.errors import MessageError, ParameterError
from asr.events import Action, EventType, TurnEvent
from asr.transcript import Word, WordTimes


@dataclass(frozen=True)
class FluxParameters:
    """What the query of a connection asks for.

    ``word_times`` is Offhook's own: without them the end of a turn need not wait until they are found.
    """

    model: str
    encoding: Encoding
    sample_rate: int
    thresholds: Thresholds
    keyterms: tuple[str, ...]
    language_hints: tuple[str, ...]
    word_times: bool

    @classmethod
    def parse(cls, query: QueryParams) -> "FluxParameters":
        """Read the query.

        Raises:
            ParameterError: a value is not allowed.

        """
        return cls(
            model=query.get("model", ""),
            encoding=parameters.encoding(query),
            sample_rate=parameters.sample_rate(query, SAMPLE_RATE),
            thresholds=parameters.thresholds(dict(query), Thresholds()),
            keyterms=parameters.keyterms(query.getlist("keyterm")),
            language_hints=tuple(query.getlist("language_hint")),
            word_times=parameters.flag("word_times", query.get("word_times", "true")),
        )

    def audio_input(self) -> AudioInput:
        """Return what turns the client's audio into samples."""
        return AudioInput(self.encoding, self.sample_rate)


@dataclass(frozen=True)
class Configure:
    """A client's wish to change its thresholds, vocabulary or languages mid-stream."""

    thresholds: dict[str, object]
    keyterms: tuple[str, ...] | None
    language_hints: tuple[str, ...] | None


@dataclass(frozen=True)
class CloseStream:
    """The client has sent all its audio."""


@dataclass(frozen=True)
class ForceEndTurn:
    """The client says the turn is over."""


@dataclass(frozen=True)
class TraceContext:
    """Offhook's own: the W3C trace context that the turn in progress belongs to. It is not answered."""

    traceparent: str


ClientMessage = Configure | CloseStream | ForceEndTurn | TraceContext


def parse_message(text: str) -> ClientMessage:
    """Read one text message of a client.

    Raises:
        MessageError: it is not JSON, or of no known type.
        ParameterError: it is a ``Configure`` with a value that is not allowed.

    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageError("text messages must be JSON objects; send audio as binary messages") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if kind == "CloseStream":
        return CloseStream()
    if kind == "ForceEndTurn":
        return ForceEndTurn()
    if kind == "TraceContext":
        return TraceContext(str(message.get("traceparent", "")))
    if kind == "Configure":
        return _configure(message)
    raise MessageError("type must be one of Configure, CloseStream, ForceEndTurn")


def _configure(message: dict[str, Any]) -> Configure:
    values = message.get("thresholds")
    if values is not None and not isinstance(values, dict):
        raise ParameterError("thresholds: must be an object")
    return Configure(
        thresholds=values or {},
        keyterms=_strings("keyterms", message.get("keyterms")),
        language_hints=_strings("language_hints", message.get("language_hints")),
    )


def _strings(name: str, value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise ParameterError(f"{name}: must be a list of strings")
    return parameters.keyterms(value)


class FluxMessages:
    """Writes the server's messages of one connection, numbered."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._sequence = 0

    def connected(self) -> str:
        """Say that audio may be sent."""
        return self._message("Connected")

    def turn_info(self, event: TurnEvent, language_hints: tuple[str, ...] = ()) -> str:
        """Report a turn event.

        ``last_speech``, where the last VAD window of speech ended (seconds), is Offhook's own.
        """
        body: dict[str, Any] = {
            "event": event.type.value,
            "turn_index": event.turn_index,
            "audio_window_start": round(event.start, 3),
            "audio_window_end": round(event.end, 3),
            "transcript": event.transcript.text,
            "words": [_word(word) for word in event.transcript.words],
            "end_of_turn_confidence": round(event.end_confidence, 4),
        }
        if event.type in (EventType.EAGER_END, EventType.END):
            body["last_speech"] = round(event.last_speech, 3)
        if event.type is EventType.END and event.trigger:
            body["trigger"] = event.trigger.value
        if event.transcript.text:
            body["languages"] = [event.transcript.language]
        if language_hints:
            body["languages_hinted"] = list(language_hints)
        return self._message("TurnInfo", **body)

    def configured(
        self, thresholds: Thresholds, keyterms: tuple[str, ...], language_hints: tuple[str, ...]
    ) -> str:
        """Confirm a ``Configure``."""
        values: dict[str, Any] = {
            "eot_threshold": thresholds.end,
            "eot_timeout_ms": round(thresholds.timeout * 1000),
        }
        if thresholds.eager is not None:
            values["eager_eot_threshold"] = thresholds.eager
        return self._message(
            "ConfigureSuccess",
            thresholds=values,
            keyterms=list(keyterms),
            language_hints=list(language_hints),
        )

    def not_configured(self, reason: str) -> str:
        """Refuse a ``Configure``; what was in force stays."""
        return self._message("ConfigureFailure", code="INVALID_CONFIGURATION", description=reason)

    def error(self, code: str, description: str) -> str:
        """Say why the connection is about to be closed."""
        return self._message("Error", code=code, description=description)

    def _message(self, kind: str, **body: Any) -> str:
        number, self._sequence = self._sequence, self._sequence + 1
        head = {"type": kind, "request_id": self._request_id, "sequence_id": number}
        return json.dumps({**head, **body}, ensure_ascii=False)


def _word(word: Word) -> dict[str, Any]:
    body: dict[str, Any] = {"word": word.text, "confidence": word.confidence}
    if word.start is not None and word.end is not None:
        body |= {"start": word.start, "end": word.end}
    return body


class FluxDialect:
    """Speaks Flux on one connection.

    Args:
        parameters: what the query asked for.
        request_id: identifies the connection.
        model: name of the model that decodes it.
        choose_language: returns the language to decode for a hint or none; None of it to detect.

    """

    def __init__(
        self,
        parameters: FluxParameters,
        *,
        request_id: str,
        model: str,
        choose_language: Callable[[str | None], str | None],
    ) -> None:
        self.model = model
        self.keyterms = parameters.keyterms
        self.closing = False
        self.traceparent = ""
        self.word_times = WordTimes.ON_DEMAND if parameters.word_times else WordTimes.NO
        self._choose_language = choose_language
        self._hint(parameters.language_hints)
        self._messages = FluxMessages(request_id)

    def opened(self) -> list[str]:
        """Return the first message."""
        return [self._messages.connected()]

    def received(self, text: str, ear: Ear) -> tuple[list[str], list[Action]]:
        """Take a text message.

        Raises:
            MessageError: it is not of the protocol.

        """
        try:
            message = parse_message(text)
            if isinstance(message, Configure):
                return [self._configure(message, ear)], []
        except ParameterError as error:
            return [self._messages.not_configured(str(error))], []
        if isinstance(message, TraceContext):
            self.traceparent = message.traceparent
            return [], []
        self.closing = isinstance(message, CloseStream)
        return [], [] if self.closing else ear.turns.force_end()

    def heard(self, event: TurnEvent) -> list[str]:
        """Return the message of a turn event."""
        return [self._messages.turn_info(event, self._hints)]

    def advanced(self, heard_seconds: float) -> list[str]:
        """Return nothing: in Flux nothing happens by time alone."""
        return []

    def decided(self, ear: Ear) -> list[str]:
        """Return nothing: a turn in which nothing was understood is no event."""
        return []

    def closed(self, ear: Ear) -> list[str]:
        """Return nothing: Flux says no goodbye."""
        return []

    def failed(self, error: BaseException) -> list[str]:
        """Return the message that tells why the connection is closed."""
        if isinstance(error, MessageError):
            return [self._messages.error("UNPARSABLE_CLIENT_MESSAGE", str(error))]
        if isinstance(error, TimeoutError):
            return [self._messages.error("NET_TIMEOUT", "no message arrived for too long")]
        return [self._messages.error("INTERNAL_SERVER_ERROR", "the stream failed; see the server's log")]

    def _hint(self, hints: tuple[str, ...]) -> None:
        """Take language hints: one is the language, several leave it to detection."""
        known = [self._choose_language(parameters.language(hint)) for hint in hints]
        self.language = known[0] if len(known) == 1 else None if known else self._choose_language(None)
        self._hints = hints

    def _configure(self, message: Configure, ear: Ear) -> str:
        thresholds = parameters.thresholds(message.thresholds, ear.turns.thresholds)
        if message.language_hints is not None:
            self._hint(message.language_hints)
        if message.keyterms is not None:
            self.keyterms = message.keyterms
        ear.turns.thresholds = thresholds
        return self._messages.configured(ear.turns.thresholds, self.keyterms, self._hints)
