"""What the client is told of the caller's turns, as the ear hears them. Sans-I/O.

An event without an ``event_id`` goes in the order it is returned.
"""

from collections.abc import Callable, Mapping
from typing import Any

from voice.realtime.items import Item
from voice.realtime.response import Event, NewId
from voice.realtime.transcript import StableTranscript

TRANSCRIPTION = "conversation.item.input_audio_transcription"


class CallerTurns:
    """The caller's side of one session.

    Args:
        new_id: makes the names of items.
        append: adds an item to the conversation and returns the name of the one before.

    """

    def __init__(self, new_id: NewId, append: Callable[[Item], str | None]) -> None:
        self._new_id = new_id
        self._append = append
        self._item_id: str | None = None
        self._began = 0.0
        self._told = StableTranscript()

    @property
    def open(self) -> bool:
        """Whether the caller is speaking."""
        return self._item_id is not None

    def started(self, message: Mapping[str, Any]) -> list[Event]:
        """Take the ear's ``StartOfTurn``."""
        self._item_id = self._new_id("item")
        self._began = float(message.get("audio_window_start") or 0.0)
        self._told = StableTranscript()
        return [
            {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": round(self._began * 1000),
                "item_id": self._item_id,
            }
        ]

    def guessed(self, text: str) -> list[Event]:
        """Take what the ear understands so far, where the client wants to know."""
        delta = self._told.partial(text)
        return [transcription(self._item_id, "delta", delta=delta)] if delta and self._item_id else []

    def ended(self, message: Mapping[str, Any], *, transcribe: bool) -> list[Event]:
        """Take the ear's ``EndOfTurn``."""
        text = str(message.get("transcript", ""))
        item = spoken_item(self._item_id or self._new_id("item"), text)
        self._item_id = None
        words = message.get("words") or [{}]
        end = float(words[-1].get("end") or message.get("audio_window_end") or 0.0)
        stopped = {
            "type": "input_audio_buffer.speech_stopped",
            "audio_end_ms": round(end * 1000),
            "item_id": item.id,
        }
        events = [stopped, *committed(item, self._append(item))]
        if transcribe:
            delta = self._told.final(text)
            events += [transcription(item.id, "delta", delta=delta)] if delta else []
            events.append(understood(item.id, text, max(0.0, end - self._began)))
        return events


def spoken_item(item_id: str, transcript: str | None) -> Item:
    """Return the item of something the caller said."""
    content = [{"type": "input_audio", "transcript": transcript}]
    return Item(item_id, "message", role="user", content=content, awaited=transcript is None)


def committed(item: Item, previous: str | None) -> list[Event]:
    """Return the events of a turn that has become an item."""
    where = {"previous_item_id": previous}
    return [
        {"type": "input_audio_buffer.committed", **where, "item_id": item.id},
        {"type": "conversation.item.added", **where, "item": item.as_json()},
        {"type": "conversation.item.done", **where, "item": item.as_json()},
    ]


def transcription(item_id: str | None, kind: str, **fields: Any) -> Event:
    """Return one of the events about the transcription of an item."""
    return {"type": f"{TRANSCRIPTION}.{kind}", "item_id": item_id, "content_index": 0, **fields}


def understood(item_id: str, text: str, seconds: float) -> Event:
    """Return the event that carries an item's transcript; ``seconds`` of sound were transcribed."""
    usage = {"type": "duration", "seconds": round(seconds, 3)}
    return transcription(item_id, "completed", transcript=text, usage=usage)
