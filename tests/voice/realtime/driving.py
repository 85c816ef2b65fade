"""A session without its shell: what it sends, checked against the openai SDK's own types."""

import base64
import json
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from llm.client import Answer
from voice.realtime.config import SessionConfig
from voice.realtime.effects import Effect, Send
from voice.realtime.limits import SessionLimits
from voice.realtime.session import Session

SERVER_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
SPOKEN = {"audio_window_start": 0.5, "audio_window_end": 1.5, "words": [{"word": "x", "end": 1.25}]}


class Driver:
    """Drives one session; ``sent`` is all it has sent."""

    def __init__(self, *, limits: SessionLimits | None = None, **session: Any) -> None:
        config = SessionConfig().updated(session, voices=frozenset({"joe"}))
        self.session = Session(
            config, voices=frozenset({"joe"}), limits=limits or SessionLimits(), expires_at=1
        )
        self.sent: list[dict[str, Any]] = []
        self.did: list[Effect] = []
        self.now = 0.0

    def take(self, effects: list[Effect]) -> list[dict[str, Any]]:
        """Note effects; return the events among them, each of which the SDK must be able to read."""
        events = [effect.event for effect in effects if isinstance(effect, Send)]
        for event in events:
            json.dumps(event, allow_nan=False)
            # openai-agents reads an empty string where OpenAI sends null (its own workaround).
            readable = {**event, "previous_item_id": event.get("previous_item_id") or ""}
            read = SERVER_EVENTS.validate_python(readable)
            assert read.type == event["type"], f"{event['type']} is read as {read.type}"
        self.sent += events
        self.did += [effect for effect in effects if not isinstance(effect, Send)]
        return events

    def send(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Send a client event; return what it is answered."""
        return self.take(self.session.received(json.dumps({"type": kind, **fields}), self.now))

    def error(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a client event that cannot be taken; return the error."""
        (event,) = self.send(kind, **fields)
        assert event["type"] == "error"
        return dict(event["error"])

    def hear(self, event: str, transcript: str = "", **fields: Any) -> list[dict[str, Any]]:
        """Let the ear report; return what the client is told."""
        message = {"event": event, "transcript": transcript, **SPOKEN, **fields}
        return self.take(self.session.turn_info(message, self.now)[0])

    def answer(self, *words: str, complete: bool = True, tokens: int = 5) -> list[dict[str, Any]]:
        """Let the mind and the mouth give a spoken answer."""
        self.session.answers.answered(Answer(prompt_tokens=10, completion_tokens=tokens, complete=complete))
        self.session.answers.begun()
        events = []
        for word in words:
            events += self.take(self.session.answers.sound(b"\0\0" * 240, 0.5))
            events += self.take(self.session.answers.word(word))
        return [*events, *self.take(self.session.answers.finished())]

    def add(self, text: str, role: str = "user", **fields: Any) -> str:
        """Add a written message; return its name."""
        kind = "output_text" if role == "assistant" else "input_text"
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        return str(self.send("conversation.item.create", item=item, **fields)[0]["item"]["id"])


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Return the types of events."""
    return [event["type"] for event in events]


def audio(seconds: float = 1.0, rate: int = 24_000) -> str:
    """Return silence as clients send it."""
    return base64.b64encode(bytes(2 * int(seconds * rate))).decode()
