"""Deepgram's streaming protocol (``/v1/listen``): its parameters and messages, without I/O."""

import datetime
import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams

from asr import parameters
from asr.audio import SAMPLE_RATE, AudioInput, Encoding
from asr.confidence import Thresholds
from asr.ear import Ear
from asr.errors import MessageError, ParameterError
from asr.events import Action, EventType, TurnEvent
from asr.transcript import Transcript, Word, WordTimes

#: Quiet that ends an utterance where the client does not say, milliseconds. Deepgram's own 10 ms would cut at
#: every breath, because its model hears on across them and Whisper does not.
DEFAULT_ENDPOINTING_MS = 300
ENDPOINTING_RANGE_MS = (10, 10000)
UTTERANCE_END_RANGE_MS = (1000, 5000)


@dataclass(frozen=True)
class ListenParameters:
    """What the query of a connection asks for."""

    model: str
    encoding: Encoding
    sample_rate: int
    endpointing_ms: float | None
    utterance_end_ms: float | None
    interim_results: bool
    vad_events: bool
    punctuate: bool
    language: str | None
    keyterms: tuple[str, ...]

    @classmethod
    def parse(cls, query: QueryParams) -> "ListenParameters":
        """Read the query.

        Raises:
            ParameterError: a value is not allowed.

        """
        for name in ("channels", "alternatives"):
            if query.get(name, "1") != "1":
                raise ParameterError(f"{name}={query[name][:40]}: this server takes 1")
        flags = {
            name: parameters.flag(name, query.get(name, "false"))
            for name in (
                "interim_results",
                "vad_events",
                "punctuate",
                "smart_format",
                "multichannel",
                "diarize",
            )
        }
        for name in ("multichannel", "diarize"):
            if flags[name]:
                raise ParameterError(f"{name}=true: this server hears one channel and one speaker")
        utterance_end = query.get("utterance_end_ms")
        return cls(
            model=query.get("model", ""),
            encoding=parameters.encoding(query),
            sample_rate=parameters.sample_rate(query, SAMPLE_RATE),
            endpointing_ms=_endpointing(query.get("endpointing", str(DEFAULT_ENDPOINTING_MS))),
            utterance_end_ms=parameters.number("utterance_end_ms", utterance_end, *UTTERANCE_END_RANGE_MS)
            if utterance_end
            else None,
            interim_results=flags["interim_results"],
            vad_events=flags["vad_events"],
            punctuate=flags["punctuate"] or flags["smart_format"],
            language=parameters.language(query.get("language")),
            keyterms=parameters.keyterms(
                [*query.getlist("keyterm"), *(word.split(":")[0] for word in query.getlist("keywords"))]
            ),
        )

    def audio_input(self) -> AudioInput:
        """Return what turns the client's audio into samples."""
        return AudioInput(self.encoding, self.sample_rate)

    @property
    def thresholds(self) -> Thresholds:
        """What ends an utterance: quiet alone."""
        return Thresholds(fixed_quiet=(self.endpointing_ms or DEFAULT_ENDPOINTING_MS) / 1000)


def _endpointing(value: str) -> float | None:
    if value.lower() == "false":
        return None
    if value.lower() == "true":
        return DEFAULT_ENDPOINTING_MS
    return parameters.number("endpointing", value, *ENDPOINTING_RANGE_MS)


class ListenDialect:
    """Speaks Deepgram's streaming protocol on one connection.

    Args:
        parameters: what the query asked for.
        request_id: identifies the connection.
        model: name of the model that decodes it.
        language: language to decode; None to detect it.

    """

    def __init__(
        self, parameters: ListenParameters, *, request_id: str, model: str, language: str | None
    ) -> None:
        self.model = model
        self.language = language
        self.keyterms = parameters.keyterms
        self.closing = False
        self.traceparent = ""
        self.word_times = WordTimes.WITH_TEXT
        self._parameters = parameters
        self._request_id = request_id
        self._finalizing = False
        self._last_word_end: float | None = None
        self._created = datetime.datetime.now(datetime.UTC)

    def opened(self) -> list[str]:
        """Return nothing: the client speaks first."""
        return []

    def received(self, text: str, ear: Ear) -> tuple[list[str], list[Action]]:
        """Take a text message.

        Raises:
            MessageError: it is not of the protocol.

        """
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "KeepAlive":
            return [], []
        if kind == "CloseStream":
            self.closing = True
            return [], []
        if kind != "Finalize":
            raise MessageError("type must be one of KeepAlive, Finalize, CloseStream")
        self._finalizing = True
        actions = ear.turns.force_end()
        return ([] if actions else self.decided(ear)), actions

    def heard(self, event: TurnEvent) -> list[str]:
        """Return the messages for a turn event."""
        messages = []
        if event.type is EventType.START:
            self._last_word_end = None
            if self._parameters.vad_events:
                messages.append(_message("SpeechStarted", channel=[0, 1], timestamp=round(event.start, 3)))
        if event.type is EventType.END:
            finalized, self._finalizing = self._finalizing, False
            self._last_word_end = event.last_speech
            speech_final = self._parameters.endpointing_ms is not None and not finalized
            messages.append(
                self._results(
                    event.transcript,
                    event.start,
                    event.end,
                    final=True,
                    speech_final=speech_final,
                    finalized=finalized,
                )
            )
        elif event.type in (EventType.START, EventType.UPDATE) and self._parameters.interim_results:
            messages.append(self._results(event.transcript, event.start, event.end, final=False))
        return messages

    def advanced(self, heard_seconds: float) -> list[str]:
        """Return ``UtteranceEnd`` once the words have been over for as long as the client asked."""
        wait = self._parameters.utterance_end_ms
        if wait is None or self._last_word_end is None or heard_seconds < self._last_word_end + wait / 1000:
            return []
        end, self._last_word_end = self._last_word_end, None
        return [_message("UtteranceEnd", channel=[0, 1], last_word_end=round(end, 3))]

    def decided(self, ear: Ear) -> list[str]:
        """Return the empty answer to a Finalize after which nothing was understood."""
        if not self._finalizing or ear.turns.busy:
            return []
        self._finalizing = False
        return [self._results(Transcript(""), ear.heard_seconds, ear.heard_seconds, finalized=True)]

    def closed(self, ear: Ear) -> list[str]:
        """Return the summary with which the server says goodbye."""
        return [
            _message(
                "Metadata",
                transaction_key="deprecated",
                request_id=self._request_id,
                sha256=hashlib.sha256(self._request_id.encode()).hexdigest(),
                created=self._created.isoformat().replace("+00:00", "Z"),
                duration=round(ear.received_seconds, 3),
                channels=1,
            )
        ]

    def failed(self, error: BaseException) -> list[str]:
        """Return the message that tells why the connection is closed."""
        if isinstance(error, MessageError):
            return [self._error("DATA-0000", str(error))]
        if isinstance(error, TimeoutError):
            return [self._error("NET-0001", "neither audio nor KeepAlive arrived for too long")]
        return [self._error("NET-0000", "the stream failed; see the server's log")]

    def _error(self, code: str, description: str) -> str:
        return _message("Error", variant=code, description=description, message=description)

    def _results(
        self,
        transcript: Transcript,
        start: float,
        end: float,
        *,
        final: bool = True,
        speech_final: bool = False,
        finalized: bool = False,
    ) -> str:
        punctuate = self._parameters.punctuate
        text = transcript.text if punctuate else " ".join(filter(None, map(bare, transcript.text.split())))
        alternative = {
            "transcript": text,
            "confidence": round(transcript.confidence, 4),
            "words": [_word(word, punctuate) for word in transcript.words],
        }
        return _message(
            "Results",
            channel_index=[0, 1],
            start=round(start, 3),
            duration=round(end - start, 3),
            is_final=final,
            speech_final=speech_final,
            from_finalize=finalized,
            channel={"alternatives": [alternative]},
            metadata={
                "request_id": self._request_id,
                "model_info": {"name": self.model, "version": "", "arch": "whisper"},
                "model_uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, self.model)),
            },
        )


def bare(word: str) -> str:
    """Return ``word`` in lower case without the punctuation around it."""
    return re.sub(r"^\W+|\W+$", "", word).lower()


def _word(word: Word, punctuate: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "word": bare(word.text),
        "start": word.start or 0.0,
        "end": word.end or 0.0,
        "confidence": word.confidence,
    }
    if punctuate:
        body["punctuated_word"] = word.text
    return body


def _message(kind: str, **body: Any) -> str:
    return json.dumps({"type": kind, **body}, ensure_ascii=False)
