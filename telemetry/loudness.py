"""Where sound begins and ends in 16-bit PCM: the one definition of "audible" that every latency figure uses.

Caller and gateway both look for the first and last sample of at least :data:`AUDIBLE_MAGNITUDE`, so that their
figures can be compared. What a voice activity detector calls speech ends up to 160 ms later.
"""

import numpy as np

#: Samples of at least this magnitude can be heard; mu-law silence and dither stay below it. About -42 dBFS.
AUDIBLE_MAGNITUDE = 256


def first_audible(pcm: bytes) -> int | None:
    """Return the index of the first audible sample of mono 16-bit ``pcm``, or None."""
    loud = np.flatnonzero(_magnitudes(pcm) >= AUDIBLE_MAGNITUDE)
    return int(loud[0]) if loud.size else None


def last_audible(pcm: bytes) -> int | None:
    """Return the index of the last audible sample of mono 16-bit ``pcm``, or None."""
    loud = np.flatnonzero(_magnitudes(pcm) >= AUDIBLE_MAGNITUDE)
    return int(loud[-1]) if loud.size else None


def _magnitudes(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.abs(np.frombuffer(pcm, dtype="<i2").astype(np.int32))
