"""What the engine is to read while the caller still speaks, so that less is left to read once they have finished.

Sans-I/O. Partial transcripts are read without their last word, which may still change, and only when they have
grown. A likely end of the turn stops it: from there on the answer itself is asked for, and a reading that began just
before would only stand in its way. An engine that keeps the prefix of a call reads no word twice but those that
turned out otherwise.
"""

from collections.abc import Mapping
from typing import Any


class ReadAhead:
    """One call's reading.

    Args:
        delay_seconds: how long a partial must stand. An early end comes within this time of the partial that
            announces it.
        least_words: words that must have come since the last reading.

    """

    def __init__(self, *, delay_seconds: float = 0.1, least_words: int = 2) -> None:
        self._delay_seconds = delay_seconds
        self._least_words = least_words
        self._read: list[str] = []
        self._words: list[str] = []
        #: When :meth:`take` should be called, seconds; None while there is nothing to read.
        self.due: float | None = None

    def heard(self, message: Mapping[str, Any], now: float) -> None:
        """Take a TurnInfo message of the ear that takes effect at ``now``."""
        self.due = None
        if message.get("event") not in ("StartOfTurn", "Update"):
            return
        if message["event"] == "StartOfTurn":
            self._read = []
        self._words = str(message.get("transcript", "")).split()[:-1]
        known = len(self._read) if self._words[: len(self._read)] == self._read else 0
        if len(self._words) - known >= self._least_words:
            self.due = now + self._delay_seconds

    def take(self, now: float) -> str | None:
        """Return what is to be read now; None where nothing is due."""
        if self.due is None or now < self.due:
            return None
        self.due = None
        self._read = self._words
        return " ".join(self._words)
