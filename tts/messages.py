"""The messages of Cartesia's text-to-speech websocket, API version 2026-03-01."""

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tts.errors import RequestError
from tts.lexicon import MAX_DICTIONARY_ENTRIES, SaidForm, WrittenForm
from tts.sound import RawFormat, to_base64
from tts.speech import TimedWord

M = TypeVar("M", bound=BaseModel)

MAX_BUFFER_DELAY_MS = 5000
DEFAULT_BUFFER_DELAY_MS = 3000


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class OutputFormat(_Message):
    """The audio that is asked for."""

    container: str = "raw"
    encoding: str
    sample_rate: int


class VoiceSpecifier(_Message):
    """The voice that is asked for."""

    mode: str = "id"
    id: str | None = None


class GenerationConfig(_Message):
    """How it should be said."""

    speed: float = Field(1.0, ge=0.6, le=1.5)
    volume: float = Field(1.0, ge=0.5, le=2.0)


class OpenRequest(_Message):
    """What the first message of a context settles for all of it.

    Three fields are Offhook's own: ``traceparent``, the trace the context belongs to; ``pronunciation_dict``, a
    dictionary of the context's own (:class:`tts.lexicon.Lexicon`), which goes before the one with
    ``pronunciation_dict_id``; ``max_ahead_seconds``, for a client that plays the sound as it comes: how much of it
    may wait to be played.
    """

    output_format: OutputFormat
    voice: VoiceSpecifier = VoiceSpecifier()
    language: str | None = None
    add_timestamps: bool | None = None
    generation_config: GenerationConfig | None = None
    max_buffer_delay_ms: int | None = Field(None, ge=0, le=MAX_BUFFER_DELAY_MS)
    pronunciation_dict_id: str | None = None
    pronunciation_dict: dict[WrittenForm, SaidForm] = Field({}, max_length=MAX_DICTIONARY_ENTRIES)
    traceparent: str | None = None
    max_ahead_seconds: float | None = Field(None, ge=1, le=3600)


class TextRequest(_Message):
    """What every message of a context may say."""

    transcript: str = ""
    more: bool | None = Field(None, alias="continue")
    flush: bool | None = None


@dataclass(frozen=True)
class Message:
    """One message of a client, with its body not looked at yet."""

    context_id: str
    cancel: bool
    body: dict[str, Any]

    def opening(self) -> OpenRequest:
        """Return what the message says as the first one of its context.

        Raises:
            RequestError: a field is missing or its value not allowed.

        """
        return _validate(OpenRequest, self.body)

    def text(self) -> TextRequest:
        """Return the text it brings.

        Raises:
            RequestError: a field's value is not allowed.

        """
        return _validate(TextRequest, self.body)


def parse(raw: str | bytes) -> Message:
    """Read one websocket message.

    Raises:
        RequestError: not a JSON object with a ``context_id``.

    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise RequestError("send JSON objects, as text") from None
    if not isinstance(body, dict):
        raise RequestError("send a JSON object")
    context_id = body.get("context_id")
    if not isinstance(context_id, str) or not 0 < len(context_id) <= 256:
        raise RequestError("context_id must be a string of 1 to 256 characters")
    return Message(context_id, body.get("cancel") is True, body)


def raw_format(asked: OutputFormat) -> RawFormat:
    """Return the raw format ``asked`` for.

    Raises:
        RequestError: it cannot be made.

    """
    if asked.container != "raw":
        raise RequestError(f"output_format.container {asked.container!r}: the websocket gives 'raw' only")
    return RawFormat(asked.encoding, asked.sample_rate)


def chunk(context_id: str, audio: bytes, *, step_seconds: float, flush_id: int) -> dict[str, Any]:
    """Return a piece of audio; ``step_seconds`` is the time it took to make."""
    return {
        "type": "chunk",
        "context_id": context_id,
        "data": to_base64(audio),
        "step_time": round(step_seconds * 1000, 3),
        "flush_id": flush_id,
        "status_code": 206,
        "done": False,
    }


def timestamps(context_id: str, words: list[TimedWord], *, flush_id: int) -> dict[str, Any]:
    """Return when ``words`` are heard, seconds from the first sample of the context."""
    return {
        "type": "timestamps",
        "context_id": context_id,
        "word_timestamps": {
            "words": [word.written for word in words],
            "start": [word.start for word in words],
            "end": [word.end for word in words],
        },
        "flush_id": flush_id,
        "status_code": 206,
        "done": False,
    }


def flush_done(context_id: str, *, flush_id: int) -> dict[str, Any]:
    """Return that all text before flush number ``flush_id`` has been said."""
    return {
        "type": "flush_done",
        "context_id": context_id,
        "flush_id": flush_id,
        "flush_done": True,
        "status_code": 206,
        "done": False,
    }


def done(context_id: str) -> dict[str, Any]:
    """Return that the context is complete."""
    return {"type": "done", "context_id": context_id, "status_code": 200, "done": True}


def error(context_id: str | None, problem: RequestError) -> dict[str, Any]:
    """Return that ``problem`` ended the context, or the message it could not be found in."""
    return {
        "type": "error",
        "context_id": context_id,
        "title": problem.title,
        "message": str(problem),
        "error_code": problem.title.lower().replace(" ", "_"),
        "status_code": problem.status,
        "done": True,
    }


def _validate(model: type[M], body: dict[str, Any]) -> M:
    try:
        return model.model_validate(body)
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{where}: {first['msg']}") from None
