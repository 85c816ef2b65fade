"""The agent's sound on its way into the SIP stack's buffer. Sans-I/O.

Positions are bytes of 16-bit PCM since the call began.
"""

from collections import deque
from typing import Any


class Playback:
    """What the gateway sent and the stack has not taken yet, and the marks between.

    Args:
        max_bytes: sound kept back at most; what comes beyond it is dropped.

    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting = bytearray()
        self._written = 0
        self._marks: deque[tuple[int, Any]] = deque()

    def add(self, audio: bytes) -> None:
        """Take sound; the gateway sends it in real time, so that what is over the bound is a flood."""
        self._waiting += audio[: max(0, self._max_bytes - len(self._waiting))]

    def mark(self, payload: Any) -> None:
        """Remember to tell ``payload`` once what came before it has been played."""
        self._marks.append((self._written + len(self._waiting), payload))

    def waiting(self) -> bytes:
        """Return what the stack should take next."""
        return bytes(self._waiting)

    def wrote(self, count: int) -> None:
        """Note that the stack took ``count`` bytes of it."""
        del self._waiting[:count]
        self._written += count

    def clear(self) -> list[Any]:
        """Forget all of it; return the payloads of marks that nobody can wait for any more."""
        self._waiting.clear()
        done = [payload for _, payload in self._marks]
        self._marks.clear()
        return done

    def played(self, buffered: int) -> list[Any]:
        """Return the payloads of the marks that were passed, while the stack still holds ``buffered`` bytes."""
        done = []
        while self._marks and self._marks[0][0] <= self._written - buffered:
            done.append(self._marks.popleft()[1])
        return done

    def is_done(self, buffered: int) -> bool:
        """Return whether everything has been played."""
        return not self._waiting and not buffered
