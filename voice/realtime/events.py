"""What a client may send: one JSON object a message, read strictly. Sans-I/O.

https://platform.openai.com/docs/api-reference/realtime-client-events
"""

import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from voice.realtime.config import (
    Audio,
    MaxTokens,
    Modalities,
    Part,
    ToolChoice,
    Tools,
    one_modality,
    validated,
)
from voice.realtime.errors import ClientEventError

#: Longest identifier a client may choose, characters.
MAX_IDENTIFIER = 512
#: How deep the parts of an event may be nested.
MAX_DEPTH = 32
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_IDENTIFIER)]


class ClientEvent(BaseModel):
    """Base class: what it does not know of an event, it passes over."""

    model_config = ConfigDict(frozen=True)

    event_id: Annotated[str, Field(max_length=MAX_IDENTIFIER)] | None = None


class SessionUpdate(ClientEvent):
    """Change the session; the settings are read by :class:`~voice.realtime.config.SessionConfig`."""

    session: dict[str, Any]


class AudioAppend(ClientEvent):
    """More sound of the caller, base64."""

    audio: str


class AudioCommit(ClientEvent):
    """The sound so far is a turn."""


class AudioClear(ClientEvent):
    """Forget the sound so far."""


class OutputClear(ClientEvent):
    """Fall silent."""


class ItemCreate(ClientEvent):
    """Add an item; it is read by :mod:`voice.realtime.items`."""

    item: dict[str, Any]
    previous_item_id: Identifier | None = None


class ItemRetrieve(ClientEvent):
    """Show an item."""

    item_id: Identifier


class ItemTruncate(ClientEvent):
    """Only the beginning of an answer was heard."""

    item_id: Identifier
    content_index: int = Field(ge=0)
    audio_end_ms: int = Field(ge=0)


class ItemDelete(ClientEvent):
    """Forget an item."""

    item_id: Identifier


class ResponseParams(Part):
    """How one response differs from what the session says."""

    conversation: Literal["auto", "none"] = "auto"
    instructions: str | None = Field(None, max_length=100_000)
    input: tuple[dict[str, Any], ...] | None = Field(None, max_length=1_000)
    output_modalities: Modalities | None = None
    audio: Audio | None = None
    tools: Tools | None = Field(None, max_length=128)
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxTokens | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    metadata: dict[str, str] | None = Field(None, max_length=16)
    reasoning: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    prompt: None = None

    @field_validator("output_modalities")
    @classmethod
    def _one_modality(cls, value: Modalities | None) -> Modalities | None:
        return None if value is None else one_modality(value)

    @field_validator("conversation", mode="before")
    @classmethod
    def _default_null(cls, value: Any) -> Any:
        return "auto" if value is None else value


class ResponseCreate(ClientEvent):
    """Answer."""

    response: dict[str, Any] | None = None


class ResponseCancel(ClientEvent):
    """Stop answering."""

    response_id: str | None = None


EVENTS: dict[str, type[ClientEvent]] = {
    "session.update": SessionUpdate,
    "input_audio_buffer.append": AudioAppend,
    "input_audio_buffer.commit": AudioCommit,
    "input_audio_buffer.clear": AudioClear,
    "output_audio_buffer.clear": OutputClear,
    "conversation.item.create": ItemCreate,
    "conversation.item.retrieve": ItemRetrieve,
    "conversation.item.truncate": ItemTruncate,
    "conversation.item.delete": ItemDelete,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
}


def _plain(message: dict[str, Any]) -> bool:
    """Return whether a message can be written again: not nested without end, and of text and numbers alone."""
    level: list[Any] = [message]
    for _ in range(MAX_DEPTH):
        level = [child for value in level if isinstance(value, dict | list) for child in _children(value)]
        if not level:
            return True
        if not all(_writable(value) for value in level):
            return False
    return False


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return [*value, *value.values()] if isinstance(value, dict) else value


def _writable(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse(text: str) -> ClientEvent:
    """Return the event in ``text``.

    Raises:
        ClientEventError: there is none; it carries the event's own id where that can be read.

    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise ClientEventError("the message is not JSON", code="invalid_json") from None
    if not isinstance(message, dict):
        raise ClientEventError("an event is a JSON object", code="invalid_event")
    if not _plain(message):
        raise ClientEventError(
            f"an event holds Unicode text and finite numbers, nested {MAX_DEPTH} deep at most",
            code="invalid_event",
        )
    event_id = message.get("event_id")
    known = event_id if isinstance(event_id, str) and len(event_id) <= MAX_IDENTIFIER else None
    kind = message.get("type")
    model = EVENTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ClientEventError(
            f"type must be one of {', '.join(EVENTS)}", code="invalid_event", param="type", event_id=known
        )
    try:
        return validated(model, message, at="")
    except ClientEventError as error:
        error.event_id = known
        raise
