"""What the VAD makes of a caller's line, window by window, and with every packet.

Sans-I/O. Silero takes windows of 32 ms one after the other, and a packet is 20 ms: a voice that begins is in a whole
window up to 20 ms after it could have been heard. So the latest 32 ms can be looked at as well, whatever windows they
lie in. What the VAD remembers is not changed by that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asr.audio import SAMPLE_RATE as VAD_SAMPLE_RATE
from asr.audio import AudioInput
from asr.detectors import VAD_CONTEXT, VAD_WINDOW, VAD_WINDOW_SECONDS, SpeechProbability, SpeechState


@dataclass(frozen=True)
class VadWindow:
    """One window of 32 ms.

    Attributes:
        probability: that it is speech, 0 to 1.
        began: when its first sample came, monotonic seconds.

    """

    probability: float
    began: float


class LineVad:
    """One line.

    Args:
        detector: Silero VAD, shared by all calls.
        sample_rate: of the audio, mono 16-bit PCM, Hz.

    """

    def __init__(self, detector: SpeechProbability, *, sample_rate: int) -> None:
        self._detector = detector
        self._sample_rate = sample_rate
        self._begin()

    def forget(self) -> None:
        """Begin anew: what comes next does not follow what came last."""
        if not self._fresh:
            self._begin()

    def _begin(self) -> None:
        self._input = AudioInput("linear16", self._sample_rate)
        self._state = SpeechState(narrowband=self._input.narrowband)
        self._pending = np.zeros(0, np.float32)
        self._recent = np.zeros(VAD_CONTEXT + VAD_WINDOW, np.float32)
        self._fresh = True

    def feed(self, audio: bytes, now: float) -> Iterator[VadWindow]:
        """Take audio that came at ``now``; yield the windows that are whole with it."""
        samples = self._input.feed(audio)
        self._fresh = False
        self._recent = np.concatenate((self._recent, samples))[-len(self._recent) :]
        self._pending = np.concatenate((self._pending, samples))
        while len(self._pending) >= VAD_WINDOW:
            window, self._pending = self._pending[:VAD_WINDOW], self._pending[VAD_WINDOW:]
            probability = self._detector(window, self._state)
            yield VadWindow(probability, now - len(self._pending) / VAD_SAMPLE_RATE - VAD_WINDOW_SECONDS)

    def latest(self, now: float) -> VadWindow | None:
        """Return the last 32 ms that came until ``now``; None where they are a window that :meth:`feed` had."""
        if not len(self._pending):
            return None
        state = self._state.before(self._recent[:VAD_CONTEXT])
        return VadWindow(self._detector(self._recent[VAD_CONTEXT:], state), now - VAD_WINDOW_SECONDS)
