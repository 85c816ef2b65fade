"""Whether a voice has fallen silent, by its level alone: sooner than a VAD can tell, and only on a quiet line.

A VAD looks at the last 100 ms and more. The level of the sound drops at once, also inside words, so it only ever
says that a turn may be ending. On a noisy line it does not drop, and the VAD decides alone.
"""

import math

import numpy as np

from asr.audio import Samples

#: Levels below this are silence, decibels relative to full scale.
FLOOR_DECIBELS = -90.0


class VoiceLevel:
    """Follows the level of one stream.

    Args:
        fall_decibels: how far below its loudest the voice has fallen.
        fading_decibels: how much less the loudest counts with every second.

    """

    def __init__(self, *, fall_decibels: float, fading_decibels: float = 3.0) -> None:
        self._fall = fall_decibels
        self._fading = fading_decibels
        self._loudest = FLOOR_DECIBELS

    def fallen(self, samples: Samples, seconds: float) -> bool:
        """Take the next stretch of sound, ``seconds`` long; return whether it ends far below the loudest."""
        power = np.square(samples)
        self._loudest = max(self._loudest - self._fading * seconds, _decibels(power))
        return _decibels(power[len(power) // 2 :]) < self._loudest - self._fall


def _decibels(power: Samples) -> float:
    mean = float(np.mean(power))
    return max(FLOOR_DECIBELS, 10 * math.log10(mean)) if mean > 0 else FLOOR_DECIBELS
