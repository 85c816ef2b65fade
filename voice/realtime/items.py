"""The items of a conversation, as OpenAI writes them, and what the mind is told of each. Sans-I/O."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from voice.realtime.config import validated
from voice.realtime.errors import ClientEventError
from voice.realtime.events import Identifier

#: Content types by role: in what field their text stands.
_TEXTS = {
    "system": {"input_text": "text"},
    "user": {"input_text": "text", "input_audio": "transcript"},
    "assistant": {"output_text": "text", "text": "text", "input_text": "text", "output_audio": "transcript"},
}
#: Longest text of one part of an item, characters.
MAX_TEXT = 100_000
Text = str | None


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True)

    type: str
    text: Text = Field(None, max_length=MAX_TEXT)
    transcript: Text = Field(None, max_length=MAX_TEXT)
    audio: str | None = None


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: Identifier | None = None
    role: Literal["system", "user", "assistant"]
    content: tuple[_Content, ...] = Field(max_length=100)


class _FunctionCall(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: Identifier | None = None
    call_id: Identifier | None = None
    name: str = Field(min_length=1, max_length=200)
    arguments: str = Field(max_length=MAX_TEXT)


class _FunctionCallOutput(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: Identifier | None = None
    call_id: Identifier
    output: str = Field(max_length=MAX_TEXT)


@dataclass
class Item:
    """One item.

    Attributes:
        id: its name.
        type: ``message``, ``function_call`` or ``function_call_output``.
        status: ``in_progress``, ``completed`` or ``incomplete``.
        role: who speaks, of a message.
        content: a message's parts.
        fields: ``call_id``, ``name``, ``arguments``, ``output``, as the type has them.
        words: what of a spoken answer left with how much of its sound before it, seconds.
        sound_seconds: length of the sound that left.
        awaited: its sound is being transcribed.

    """

    id: str
    type: str
    status: str = "completed"
    role: str | None = None
    content: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    words: list[tuple[float, str]] = field(default_factory=list)
    sound_seconds: float = 0.0
    awaited: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the item as the protocol has it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "object": "realtime.item",
            "type": self.type,
            "status": self.status,
        }
        if self.type == "message":
            shown |= {"role": self.role, "content": [dict(part) for part in self.content]}
        return {**shown, **self.fields}

    @property
    def text(self) -> str:
        """What was said or written."""
        texts = (part.get("text") or part.get("transcript") or "" for part in self.content)
        return " ".join(text for text in texts if text).strip()

    def truncate(self, seconds: float) -> None:
        """Keep what was heard of a spoken answer within its first ``seconds``."""
        self.words = [(at, word) for at, word in self.words if at <= seconds]
        self.sound_seconds = min(self.sound_seconds, seconds)
        self.content[0]["transcript"] = " ".join(word for _, word in self.words)


def read_item(values: dict[str, Any], item_id: str, *, at: str = "item") -> tuple[Item, str | None]:
    """Return the item a client describes, and its sound (base64) where that must be transcribed first.

    Args:
        values: what the client sent.
        item_id: its name, where the client gives none.
        at: where it stood in the event, for errors.

    Raises:
        ClientEventError: it is none that this door takes.

    """
    match values.get("type"):
        case "message":
            return _message(validated(_Message, values, at=at), item_id, at)
        case "function_call":
            call = validated(_FunctionCall, values, at=at)
            fields = {"call_id": call.call_id or item_id, "name": call.name, "arguments": call.arguments}
            return Item(call.id or item_id, "function_call", fields=fields), None
        case "function_call_output":
            output = validated(_FunctionCallOutput, values, at=at)
            fields = {"call_id": output.call_id, "output": output.output}
            return Item(output.id or item_id, "function_call_output", fields=fields), None
    raise ClientEventError(
        f"{at}.type must be message, function_call or function_call_output",
        code="invalid_value",
        param=f"{at}.type",
    )


def _message(message: _Message, item_id: str, at: str) -> tuple[Item, str | None]:
    fields = _TEXTS[message.role]
    content: list[dict[str, Any]] = []
    audio = None
    for number, part in enumerate(message.content):
        if part.type not in fields:
            raise ClientEventError(
                f"a {message.role} message is made of {', '.join(fields)}, not {part.type[:40]!r}",
                code="invalid_value",
                param=f"{at}.content[{number}].type",
            )
        text = getattr(part, fields[part.type])
        if part.type == "input_audio" and text is None:
            audio = part.audio
        kind = "output_text" if message.role == "assistant" and fields[part.type] == "text" else part.type
        content.append({"type": kind, fields[part.type]: text})
    item = Item(message.id or item_id, "message", role=message.role, content=content)
    return item, audio


def chat_messages(items: Iterable[Item]) -> list[dict[str, Any]]:
    """Return the conversation as the chat completions API wants it.

    Calls that follow one another become one message; a message nobody heard a word of is left out.
    """
    messages: list[dict[str, Any]] = []
    for item in items:
        if item.type == "message":
            if text := item.text:
                messages.append({"role": item.role, "content": text})
        elif item.type == "function_call":
            call = _tool_call(item)
            if messages and messages[-1].get("tool_calls"):
                messages[-1]["tool_calls"].append(call)
            else:
                messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        else:
            fields = item.fields
            messages.append({"role": "tool", "tool_call_id": fields["call_id"], "content": fields["output"]})
    return messages


def _tool_call(item: Item) -> dict[str, Any]:
    fields = item.fields
    try:
        json.loads(fields["arguments"])
        arguments = fields["arguments"]
    except (ValueError, RecursionError):
        arguments = "{}"
    function = {"name": fields["name"], "arguments": arguments}
    return {"id": fields["call_id"], "type": "function", "function": function}
