"""Cartesia's tags inside a transcript: pauses, pace and loudness between stretches of text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TAG = re.compile(
    r"""<(?P<tag>break|speed|volume|emotion)\s+(?:time|ratio|value)\s*=\s*["']?(?P<value>[^"'<>]*?)["']?\s*/?>""",
    re.IGNORECASE,
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s)", re.IGNORECASE)
#: Longest pause a tag may ask for, seconds.
MAX_BREAK_SECONDS = 10.0
SPEED_RANGE = (0.6, 1.5)
VOLUME_RANGE = (0.5, 2.0)


@dataclass(frozen=True)
class Stretch:
    """Text without such tags, and what holds from its beginning.

    ``speed`` and ``volume`` are None where they stay as they were; ``pause`` is seconds of silence before.
    """

    text: str
    pause: float = 0.0
    speed: float | None = None
    volume: float | None = None


def stretches(text: str) -> Iterator[Stretch]:
    """Split ``text`` at its tags; a tag whose value makes no sense, and ``emotion``, have no effect."""
    pause, speed, volume, start = 0.0, None, None, 0
    for match in _TAG.finditer(text):
        before = text[start : match.start()]
        if before.strip():
            yield Stretch(before, pause, speed, volume)
            pause, speed, volume = 0.0, None, None
        start = match.end()
        tag, value = match["tag"].lower(), match["value"]
        if tag == "break":
            pause = min(MAX_BREAK_SECONDS, pause + _seconds(value))
        elif tag == "speed":
            speed = _ratio(value, SPEED_RANGE)
        elif tag == "volume":
            volume = _ratio(value, VOLUME_RANGE)
    if text[start:].strip() or pause or speed or volume:
        yield Stretch(text[start:], pause, speed, volume)


def _seconds(value: str) -> float:
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        return 0.0
    return float(match[1]) / (1000 if match[2].lower() == "ms" else 1)


def _ratio(value: str, allowed: tuple[float, float]) -> float | None:
    try:
        return min(max(float(value), allowed[0]), allowed[1])
    except ValueError:
        return None
