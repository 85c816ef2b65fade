"""Takes the agent's own voice out of the caller's line, for telephones that do not.

WebRTC's AEC3 (through ``pywebrtc-audio``) finds the echo's delay and path by itself; it has to be given what was
played beside what was heard. Both run in real time: each piece that is heard is matched with as much of what was
played, silence where nothing was.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from pywebrtc_audio import AudioProcessor

#: Sound that was played and not yet matched, at most, seconds: a line that stalls must not pile it up.
MAX_BACKLOG_SECONDS = 1.0

Pcm = NDArray[np.int16]


class EchoGuard:
    """One call's echo canceller.

    Args:
        sample_rate: of both directions, mono, Hz.
        active: whether it works from the start; otherwise from :meth:`begin` on.

    """

    def __init__(self, sample_rate: int, *, active: bool) -> None:
        self._sample_rate = sample_rate
        self._canceller: AudioProcessor | None = None
        self._played: deque[Pcm] = deque()
        self._backlog = 0
        self._limit = round(MAX_BACKLOG_SECONDS * sample_rate)
        if active:
            self.begin()

    def begin(self) -> None:
        """Work from now on: this line echoes."""
        if self._canceller is None:
            self._canceller = AudioProcessor(sample_rate=self._sample_rate, echo_cancellation=True)

    def played(self, audio: bytes) -> None:
        """Note that ``audio`` (16-bit PCM) has left for the caller's ear."""
        piece = np.frombuffer(audio, np.int16)
        self._played.append(piece)
        self._backlog += len(piece)
        while self._backlog > self._limit:
            self._backlog -= len(self._played.popleft())

    def clean(self, audio: bytes) -> bytes:
        """Return ``audio`` (16-bit PCM) from the caller without the agent in it; the length stays."""
        near = np.frombuffer(audio, np.int16)
        far = self._take(len(near))
        return self._canceller.process(near, far).tobytes() if self._canceller else audio

    def _take(self, count: int) -> Pcm:
        """Return the next ``count`` samples of what was played, silence where there are none."""
        taken = np.zeros(count, np.int16)
        at = 0
        while at < count and self._played:
            piece = self._played.popleft()
            part, rest = piece[: count - at], piece[count - at :]
            taken[at : at + len(part)] = part
            at += len(part)
            if len(rest):
                self._played.appendleft(rest)
        self._backlog -= at
        return taken
