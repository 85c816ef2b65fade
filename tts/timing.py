"""When each word is heard, from the durations a network gave to its phonemes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tts.speech import TimedWord, Word


def time_words(
    words: Sequence[Word], spans: Sequence[tuple[int, int]], borders: NDArray[np.int64], sample_rate: int
) -> tuple[TimedWord, ...]:
    """Return when each of ``words`` is heard.

    Args:
        words: what is said.
        spans: for each word the half-open range of its symbols.
        borders: where each symbol begins, and last where the last one ends, samples from the first sample that
            is heard; below 0 for what was cut.
        sample_rate: samples a second.

    """
    timed: list[TimedWord] = []
    for word, (first, last) in zip(words, spans, strict=True):
        start = max(0, int(borders[first])) / sample_rate
        end = max(start, int(borders[last]) / sample_rate) if last > first else start
        timed.append(TimedWord(word.written, round(start, 4), round(end, 4)))
    return tuple(timed)
