"""Cutting the silence a voice puts around what it says, while it streams.

A voice begins and ends each utterance with some tens of milliseconds of near silence. The caller would wait
for the first, and the second would add up with pauses. What is quieter than a threshold before the first
sound and after the last is dropped, but for a short margin that keeps soft onsets and endings whole.
"""

import numpy as np
from numpy.typing import NDArray

from tts.speech import Samples

#: Length of the blocks whose loudness is looked at, samples (3 ms at 22.05 kHz).
BLOCK = 64


class SilenceTrimmer:
    """Drops the silence before and after one utterance.

    Args:
        sample_rate: samples a second.
        threshold_dbfs: a block whose RMS is below this is silence, decibels relative to full scale.
        onset_seconds: kept before the first sound.
        release_seconds: kept after the last sound.

    """

    def __init__(
        self,
        sample_rate: int,
        *,
        threshold_dbfs: float = -50.0,
        onset_seconds: float = 0.010,
        release_seconds: float = 0.040,
    ) -> None:
        self._power = 10.0 ** (threshold_dbfs / 10.0)
        self._onset = round(onset_seconds * sample_rate)
        self._release = round(release_seconds * sample_rate)
        self._held = np.empty(0, dtype=np.float32)
        self._sounded = False
        #: Samples dropped before the first sound; fixed once sound has come out.
        self.dropped = 0

    def feed(self, samples: Samples) -> Samples:
        """Take the next samples and return those that may be played now."""
        pending = np.concatenate((self._held, samples))
        loud = self._loud_blocks(pending)
        start = 0
        if not self._sounded:
            if not len(loud):
                self._hold(pending, keep=self._onset)
                return pending[:0]
            start = max(0, int(loud[0]) * BLOCK - self._onset)
            self.dropped += start
            pending = pending[start:]
            self._sounded = True
        end = (int(loud[-1]) + 1) * BLOCK - start if len(loud) else 0
        self._held = pending[end:]
        return pending[:end]

    def finish(self) -> Samples:
        """Return what is still to be played: the margin after the last sound."""
        tail = self._held[: self._release] if self._sounded else self._held[:0]
        self._held = self._held[:0]
        return tail

    def _hold(self, pending: Samples, keep: int) -> None:
        # Whole blocks only, so that block borders stay where they were.
        drop = max(0, (len(pending) - keep) // BLOCK * BLOCK)
        self.dropped += drop
        self._held = pending[drop:]

    def _loud_blocks(self, samples: Samples) -> NDArray[np.intp]:
        whole = samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK)
        return np.flatnonzero(np.mean(np.square(whole), axis=1) > self._power)
