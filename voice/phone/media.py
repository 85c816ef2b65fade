"""A carrier's media stream as data: what may come in, judged before pipecat sees it. Sans-I/O.

Every carrier has messages of its own; each carrier's module turns one into one of the events below.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from voice.errors import HandshakeError

SAMPLE_RATE = 8000
#: Longest identifier taken from a stream, characters.
MAX_IDENTIFIER = 256


@dataclass(frozen=True)
class StreamStart:
    """What a media stream says of itself when it begins."""

    stream_id: str
    call_id: str
    parameters: Mapping[str, str]
    sample_rate: int = SAMPLE_RATE


@dataclass(frozen=True)
class Audio:
    """Sound of the caller."""

    samples: int


@dataclass(frozen=True)
class Digit:
    """A key the caller pressed."""

    digit: str


@dataclass(frozen=True)
class Mark:
    """All audio sent before this mark has been played."""

    name: str


@dataclass(frozen=True)
class Stopped:
    """The caller has hung up."""


@dataclass(frozen=True)
class Other:
    """A message of the protocol that changes nothing."""


Event = Audio | Digit | Mark | Stopped | Other


class ViolationError(ValueError):
    """A message that the protocol does not allow; the text says which rule it breaks."""


def parse_object(data: str | bytes) -> dict[str, Any]:
    """Return the JSON object in ``data``.

    Raises:
        ViolationError: it is none.

    """
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ViolationError("a message that is not a JSON object")
    return message


def audio_of(message: Mapping[str, Any]) -> Audio:
    """Return the sound of a mu-law ``media`` message, as Twilio, Telnyx and Plivo send it.

    Raises:
        ViolationError: there is none.

    """
    payload = part(message, "media").get("payload")
    if not isinstance(payload, str):
        raise ViolationError("media without a payload")
    try:
        return Audio(len(base64.b64decode(payload, validate=True)))
    except (binascii.Error, ValueError):
        raise ViolationError("a media payload that is not base64") from None


def part(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object inside a message; an empty one where there is none."""
    value = message.get(name)
    return value if isinstance(value, dict) else {}


def digit_of(value: object) -> Digit | Other:
    """Return a pressed key; what is no key changes nothing."""
    return Digit(value) if isinstance(value, str) and value in set("0123456789*#") else Other()


def identifier(message: Mapping[str, Any], *names: str) -> str:
    """Return the first identifier among ``names``.

    Raises:
        HandshakeError: there is none, or it is too long.

    """
    for name in names:
        value = message.get(name)
        if isinstance(value, str) and 0 < len(value) <= MAX_IDENTIFIER:
            return value
    raise HandshakeError(f"the start message has no {names[0]}")


def require_format(
    carrier: str, promised: tuple[object, object, object], wanted: tuple[str, int, int]
) -> None:
    """Refuse audio this door does not take: (encoding, sample rate, channels).

    Raises:
        HandshakeError: it is other audio.

    """
    if promised != wanted:
        raise HandshakeError(
            f"{carrier} promised {promised[0]!s:.40} at {promised[1]!s:.10} Hz with {promised[2]!s:.4} channels; "
            f"this door takes {wanted[0]} at {wanted[1]} Hz with {wanted[2]}"
        )


class StreamGuard:
    """Watches that a media stream keeps to its protocol, once begun.

    Args:
        parse: the carrier's reading of one message.
        max_lead_seconds: audio may run ahead of real time by this much.
        sample_rate: of the stream, Hz.

    """

    def __init__(
        self,
        parse: Callable[[str | bytes], Event],
        *,
        max_lead_seconds: float,
        sample_rate: int = SAMPLE_RATE,
    ) -> None:
        self._parse = parse
        self._sample_rate = sample_rate
        self._max_lead_seconds = max_lead_seconds
        self._first: float | None = None
        self._seconds = 0.0

    def take(self, data: str | bytes, now: float) -> tuple[Event, str | None]:
        """Return the event in a message, and why the call must end because of it, or None."""
        try:
            event = self._parse(data)
        except ViolationError as violation:
            return Other(), f"protocol error: {violation}"
        if isinstance(event, Stopped):
            return event, "caller hung up"
        if isinstance(event, Audio):
            self._first = now if self._first is None else self._first
            self._seconds += event.samples / self._sample_rate
            if self._seconds - (now - self._first) > self._max_lead_seconds:
                return event, (
                    "protocol error: audio runs ahead of real time; "
                    f"it must be {self._sample_rate} Hz, sent as it is spoken"
                )
        return event, None
