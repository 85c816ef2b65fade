"""What the engine is to read while the caller still speaks, so that less is left to read once they have finished.

Sans-I/O. Partial transcripts are read without their last word, which may still change, and only when they have
grown. A likely end of the turn stops it: from there on the answer itself is asked for, and a reading that began just
before would only stand in its way. So nothing is read in a silence either: it may be that end, and the ear is finding
out with the same cores. An engine that keeps the prefix of a call reads no word twice but those that
turned out otherwise.
"""

from collections.abc import Mapping
from typing import Any

#: How often a reading that waits for the caller's voice is looked at again, seconds.
RECHECK_SECONDS = 0.06


class ReadAhead:
    """One call's reading.

    Args:
        delay_seconds: how long a partial must stand. An early end comes within this time of the partial that
            announces it.
        least_words: words that must have come since the last reading.
        silence_seconds: silence on the line in which no reading is begun.

    """

    def __init__(
        self, *, delay_seconds: float = 0.1, least_words: int = 2, silence_seconds: float = 0.04
    ) -> None:
        self._delay_seconds = delay_seconds
        self._silence_seconds = silence_seconds
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

    def take(self, now: float, silent_seconds: float) -> str | None:
        """Return what is to be read now, ``silent_seconds`` after the last sound; None where nothing is due."""
        if self.due is None or now < self.due:
            return None
        if silent_seconds > self._silence_seconds:
            self.due = now + RECHECK_SECONDS
            return None
        self.due = None
        self._read = self._words
        return " ".join(self._words)
