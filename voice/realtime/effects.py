"""What a session wants done: the shell around it does it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from voice.realtime.config import Format, SessionConfig
from voice.realtime.ids import random_id
from voice.realtime.items import Item
from voice.realtime.response import Response


@dataclass(frozen=True)
class Send:
    """Send an event to the client."""

    event: dict[str, Any]


@dataclass(frozen=True)
class Hear:
    """Give sound to the ear, encoded as ``format`` says."""

    audio: bytes
    format: Format


@dataclass(frozen=True)
class ForgetSound:
    """Forget what the ear has not been given yet."""


@dataclass(frozen=True)
class EndTurn:
    """Have the ear end the turn that is open."""


@dataclass(frozen=True)
class Transcribe:
    """Write down a recording, and tell :meth:`Session.transcribed`.

    Attributes:
        item: what the text is for.
        audio: the sound, encoded as ``format`` says.
        format: its encoding.
        turn: it is what the caller has just said.

    """

    item: Item
    audio: bytes
    format: Format
    turn: bool


@dataclass(frozen=True)
class Typed:
    """The caller wrote ``text`` instead of saying it."""

    text: str


@dataclass(frozen=True)
class Ask:
    """Have the mind give ``response``."""

    response: Response


@dataclass(frozen=True)
class Silence:
    """Stop the mind and the mouth, and forget what has not been heard."""


@dataclass(frozen=True)
class Configure:
    """Turn detection, voice or pace have changed."""

    config: SessionConfig


Effect = Send | Hear | ForgetSound | EndTurn | Transcribe | Typed | Ask | Silence | Configure


def send(events: Iterable[dict[str, Any]]) -> list[Effect]:
    """Return what sends events, each with a name of its own."""
    return [Send({"event_id": random_id("event"), **event}) for event in events]
