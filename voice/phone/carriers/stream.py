"""The media stream as Twilio made it, and Telnyx and Plivo took it over: JSON messages with an ``event``."""

from collections.abc import Collection, Mapping
from typing import Any

from voice.errors import HandshakeError
from voice.phone.media import (
    Event,
    Mark,
    Other,
    Stopped,
    ViolationError,
    audio_of,
    digit_of,
    parse_object,
    part,
)


def opening(carrier: str, message: str | bytes) -> dict[str, Any] | None:
    """Return ``carrier``'s ``start`` message; None for a ``connected``, which comes before it.

    Raises:
        HandshakeError: it is neither.

    """
    try:
        parsed = parse_object(message)
    except ViolationError as violation:
        raise HandshakeError(f"the stream began with {violation}") from None
    if parsed.get("event") == "connected":
        return None
    if parsed.get("event") != "start":
        raise HandshakeError(f"expected {carrier}'s start message; event: not start")
    return parsed


def parameters(start: Mapping[str, Any], name: str) -> dict[str, str]:
    """Return the custom parameters in ``start``: only those that are text."""
    return {str(key): value for key, value in part(start, name).items() if isinstance(value, str)}


def event_in(message: str | bytes, *, ignored: Collection[str]) -> Event:
    """Return the event in a message of the stream; ``ignored`` ones mean nothing to the call.

    Raises:
        ViolationError: the protocol does not allow it.

    """
    parsed = parse_object(message)
    match parsed.get("event"):
        case "media":
            return audio_of(parsed)
        case "dtmf":
            return digit_of(part(parsed, "dtmf").get("digit"))
        case "mark":
            return Mark(str(part(parsed, "mark").get("name", "")))
        case "playedStream":
            return Mark(str(parsed.get("name", "")))
        case "stop":
            return Stopped()
        case str() as event if event in ignored:
            return Other()
        case _:
            raise ViolationError("a message of an unknown event")
