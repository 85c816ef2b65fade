"""One response: what its client is told, from ``response.created`` to ``response.done``. Sans-I/O.

The order is OpenAI's: item, content part, deltas, and the same closed in reverse. Events are returned without
their ``event_id``.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llm.client import Answer
from voice.realtime.config import SessionConfig
from voice.realtime.events import ResponseParams
from voice.realtime.items import Item

Event = dict[str, Any]
#: Makes a name that begins with its argument.
NewId = Callable[[str], str]


@dataclass(frozen=True)
class ToolCall:
    """A call of one of the client's functions; ``arguments`` is JSON."""

    call_id: str
    name: str
    arguments: str


@dataclass
class _Output:
    item: Item
    index: int
    spoken: bool


class Response:
    """See the module's text.

    Args:
        response_id: its name.
        params: how it differs from the session.
        config: the session's settings.
        automatic: it answers a turn of the caller's, not the client's request.
        token_limit: how long an answer is at most, where neither of them says.
        conversation_id: where its items go; None: nowhere.
        new_id: makes the names of its items.
        append: adds an item to the conversation and returns the name of the one before.

    """

    def __init__(
        self,
        response_id: str,
        params: ResponseParams,
        config: SessionConfig,
        *,
        automatic: bool,
        token_limit: int | None,
        conversation_id: str | None,
        new_id: NewId,
        append: Callable[[Item], str | None],
    ) -> None:
        self.id = response_id
        self.params = params
        self.automatic = automatic
        modalities = params.output_modalities or config.output_modalities
        self.spoken = modalities == ("audio",)
        self.max_tokens = params.max_output_tokens or config.max_output_tokens
        self._token_limit = self.max_tokens if isinstance(self.max_tokens, int) else token_limit
        #: Its output has begun to come.
        self.began = False
        self.answer: Answer | None = None
        self._output_format = config.audio.output.format.model_dump(mode="json")
        self._voice = config.audio.output.voice
        self._conversation_id = conversation_id
        self._new_id = new_id
        self._append = append
        self._open: _Output | None = None
        self._previous: dict[str, str | None] = {}
        self.items: list[Item] = []

    def created(self) -> list[Event]:
        """Say that it has begun."""
        return [{"type": "response.created", "response": self._as_json("in_progress", None)}]

    # What comes of it.

    def sound(self, encoded: bytes, seconds: float) -> list[Event]:
        """Send sound, encoded as the session says."""
        events = self._message(spoken=True)
        self._item.sound_seconds += seconds
        delta = base64.b64encode(encoded).decode()
        return [*events, self._part_event("response.output_audio.delta", delta=delta)]

    def word(self, text: str) -> list[Event]:
        """Send a word that has been spoken."""
        events = self._message(spoken=True)
        item = self._item
        delta = f" {text}" if item.words else text
        item.words.append((item.sound_seconds, text))
        item.content[0]["transcript"] += delta
        return [*events, self._part_event("response.output_audio_transcript.delta", delta=delta)]

    def text(self, text: str) -> list[Event]:
        """Send written text."""
        events = self._message(spoken=False)
        self._item.content[0]["text"] += text
        return [*events, self._part_event("response.output_text.delta", delta=text)]

    def call(self, call: ToolCall) -> list[Event]:
        """Hand a function's call to the client."""
        fields = {"call_id": call.call_id, "name": call.name, "arguments": ""}
        item = Item(self._new_id("item"), "function_call", status="in_progress", fields=fields)
        index, events = self._added(item)
        head = {"response_id": self.id, "item_id": item.id, "output_index": index, "call_id": call.call_id}
        item.fields["arguments"] = call.arguments
        item.status = "completed"
        arguments = "response.function_call_arguments"
        return [
            *events,
            {"type": f"{arguments}.delta", **head, "delta": call.arguments},
            {"type": f"{arguments}.done", **head, "name": call.name, "arguments": call.arguments},
            *self._done(item, index),
        ]

    # How it ends.

    def finish(self) -> list[Event]:
        """Say that it is over: completed, cut off by its limit of tokens, or failed."""
        answer = self.answer
        if answer is None or not (answer.complete or self.items):
            return self.fail("no engine could give an answer; try again")
        if not answer.complete:
            return self.fail("the engine broke off in the middle of its answer")
        if self._token_limit is not None and answer.completion_tokens >= self._token_limit:
            return self._end("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        return self._end("completed", None)

    def cancel(self, reason: str) -> list[Event]:
        """Say that it was cut off: ``turn_detected`` or ``client_cancelled``."""
        return self._end("cancelled", {"type": "cancelled", "reason": reason})

    def fail(self, message: str) -> list[Event]:
        """Say that it failed, and why."""
        error = {"type": "server_error", "code": "no_answer", "message": message}
        return self._end("failed", {"type": "failed", "error": error})

    def _end(self, status: str, details: Event | None) -> list[Event]:
        events = self._close("completed" if status == "completed" else "incomplete")
        return [*events, {"type": "response.done", "response": self._as_json(status, details)}]

    # The message that is being spoken or written.

    @property
    def _item(self) -> Item:
        assert self._open is not None
        return self._open.item

    def _message(self, *, spoken: bool) -> list[Event]:
        if self._open:
            return []
        part = {"type": "output_audio", "transcript": ""} if spoken else {"type": "output_text", "text": ""}
        item = Item(self._new_id("item"), "message", status="in_progress", role="assistant")
        index, events = self._added(item)
        item.content.append(part)
        self._open = _Output(item, index, spoken)
        return [*events, self._part_event("response.content_part.added", part=self._part())]

    def _close(self, status: str) -> list[Event]:
        if self._open is None:
            return []
        item, index, spoken = self._open.item, self._open.index, self._open.spoken
        item.status = status
        if spoken:
            done = [
                self._part_event("response.output_audio.done"),
                self._part_event(
                    "response.output_audio_transcript.done", transcript=item.content[0]["transcript"]
                ),
            ]
        else:
            done = [self._part_event("response.output_text.done", text=item.content[0]["text"])]
        closed = self._part_event("response.content_part.done", part=self._part())
        self._open = None
        return [*done, closed, *self._done(item, index)]

    def _part(self) -> Event:
        content = self._item.content[0]
        if self._open and self._open.spoken:
            return {"type": "audio", "transcript": content["transcript"]}
        return {"type": "text", "text": content["text"]}

    def _part_event(self, kind: str, **fields: Any) -> Event:
        assert self._open is not None
        return {
            "type": kind,
            "response_id": self.id,
            "item_id": self._open.item.id,
            "output_index": self._open.index,
            "content_index": 0,
            **fields,
        }

    # Items.

    def _added(self, item: Item) -> tuple[int, list[Event]]:
        index = len(self.items)
        self.items.append(item)
        head = {"response_id": self.id, "output_index": index}
        events: list[Event] = [{"type": "response.output_item.added", **head, "item": item.as_json()}]
        if self._conversation_id is not None:
            previous = self._previous[item.id] = self._append(item)
            events.append(
                {"type": "conversation.item.added", "previous_item_id": previous, "item": item.as_json()}
            )
        return index, events

    def _done(self, item: Item, index: int) -> list[Event]:
        head = {"response_id": self.id, "output_index": index}
        events: list[Event] = [{"type": "response.output_item.done", **head, "item": item.as_json()}]
        if self._conversation_id is not None:
            previous = self._previous[item.id]
            events.append(
                {"type": "conversation.item.done", "previous_item_id": previous, "item": item.as_json()}
            )
        return events

    def _as_json(self, status: str, details: Event | None) -> Event:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.as_json() for item in self.items],
            "conversation_id": self._conversation_id,
            "output_modalities": ["audio" if self.spoken else "text"],
            "max_output_tokens": self.max_tokens,
            "audio": {"output": {"format": self._output_format, "voice": self._voice}},
            "usage": None if status == "in_progress" else _usage(self.answer),
            "metadata": self.params.metadata,
        }


def _usage(answer: Answer | None) -> Event:
    """Return what the engine counted. The mind reads and writes text; its mouth and ear count no tokens."""
    prompt, cached, written = (
        (answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens) if answer else (0, 0, 0)
    )
    return {
        "total_tokens": prompt + written,
        "input_tokens": prompt,
        "output_tokens": written,
        "input_token_details": {
            "text_tokens": prompt,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": cached,
            "cached_tokens_details": {"text_tokens": cached, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": written, "audio_tokens": 0},
    }
