"""Takes the agent's own voice out of the caller's line, for telephones that do not.

:class:`EchoFinder` listens whether the line echoes at all: on one that does not, a canceller would only take away
from what the caller says over the agent. WebRTC's AEC3 (through ``pywebrtc-audio``) then finds the echo's delay and
path by itself. Both have to be given what was played beside what was heard, and both run in real time: each piece
that is heard is matched with as much of what was played, silence where nothing was.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray
from pywebrtc_audio import AudioProcessor

#: Sound that was played and not yet matched, at most, seconds: a line that stalls must not pile it up.
MAX_BACKLOG_SECONDS = 1.0
#: Once the agent has been silent for so long its echo has died away, and the line is left alone, seconds.
ECHO_SECONDS = 1.0
#: What of the line is compared at once, and how late an echo may be, seconds.
COMPARED_SECONDS = 1.0
LATEST_SECONDS = 0.6
#: How far the correlation's peak stands above the rest where the line echoes. Over one second of speech: 16 at most
#: with a silent, noisy or talking caller, 32 and more with an echo of -10 to -30 dB, 15 to 56 with one in a room.
ECHO_PEAK = 25.0
#: Root mean square of 16-bit speech; what is fainter is not compared.
SPEECH_RMS = 300.0

Pcm = NDArray[np.int16]


class EchoFinder:
    """Whether what is played comes back: generalised cross-correlation with phase transform (Knapp, Carter 1976).

    Args:
        sample_rate: of both directions, mono, Hz.

    """

    def __init__(self, sample_rate: int) -> None:
        self._length = round(COMPARED_SECONDS * sample_rate)
        self._lags = round(LATEST_SECONDS * sample_rate)
        self._size = 1 << (2 * self._length + self._lags - 1).bit_length()
        self._far = np.zeros(self._length + self._lags, np.int16)
        self._near = np.zeros(self._length, np.int16)
        self._new = 0

    def feed(self, near: Pcm, far: Pcm) -> bool:
        """Take as much of what was heard as of what was played meanwhile; return whether an echo was found."""
        self._near = np.concatenate((self._near, near))[-self._length :]
        self._far = np.concatenate((self._far, far))[-self._length - self._lags :]
        self._new += len(near)
        if self._new < self._length:
            return False
        self._new = 0
        loud = float(np.sqrt(np.mean(self._far[self._lags :].astype(float) ** 2))) >= SPEECH_RMS
        return loud and self._peak() >= ECHO_PEAK

    def _peak(self) -> float:
        """Return how far the largest correlation at a possible delay stands above all, root mean square."""
        cross = np.fft.rfft(self._near, self._size) * np.conj(np.fft.rfft(self._far, self._size))
        magnitude = np.abs(cross)
        correlation = np.fft.irfft(cross / (magnitude + 1e-3 * magnitude.max() + 1e-9), self._size)
        at_delays = correlation[-self._lags :]
        return float(np.abs(at_delays).max() / (np.sqrt(np.mean(correlation**2)) + 1e-12))


class EchoGuard:
    """One call's guard.

    Args:
        sample_rate: of both directions, mono, Hz.
        always: cancel from the start; otherwise once an echo was found.

    """

    def __init__(self, sample_rate: int, *, always: bool) -> None:
        self._sample_rate = sample_rate
        self._finder = EchoFinder(sample_rate)
        self._canceller: AudioProcessor | None = None
        self._played: deque[Pcm] = deque()
        self._backlog = 0
        self._silent_seconds = ECHO_SECONDS
        self._limit = round(MAX_BACKLOG_SECONDS * sample_rate)
        if always:
            self._begin()

    @property
    def cancelling(self) -> bool:
        """Whether the agent's voice is being taken out."""
        return self._canceller is not None

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
        self._silent_seconds = 0.0 if self._played else self._silent_seconds + len(near) / self._sample_rate
        far = self._take(len(near))
        if self._silent_seconds >= ECHO_SECONDS:
            return audio
        if self._canceller is None:
            if self._finder.feed(near, far):
                self._begin()
            return audio
        return self._canceller.process(near, far).tobytes()

    def _begin(self) -> None:
        self._canceller = AudioProcessor(sample_rate=self._sample_rate, echo_cancellation=True)

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
