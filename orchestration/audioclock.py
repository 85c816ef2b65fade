"""When a position in a stream of audio passed, and where its sound was: stream time to clock time.

Sans-I/O. Both sides of a latency figure must be read on one clock; the ear speaks of positions in the stream
it was sent, the caller of moments. This maps one to the other.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

from telemetry.loudness import last_audible

#: How far back a position can be asked for, chunks. 20 ms chunks: one minute.
KEPT_CHUNKS = 3000
#: A line delivers evenly, a busy machine looks at it late: the promptest of this many chunks sets the clock.
STEADY_CHUNKS = 500
#: A stream that falls behind by more than this has paused; the clock starts anew, seconds.
PAUSE_SECONDS = 0.3
#: How far before the end that a detector reports the last audible sample is looked for, seconds.
SEARCH_SECONDS = 0.6
#: How far after it: a detector's window may end before a word fades, seconds.
TRAIL_SECONDS = 0.1
BYTES_PER_SAMPLE = 2


@dataclass(frozen=True)
class _Chunk:
    end: float
    arrived: float
    last_audible: float | None


class AudioClock:
    """Arrival times of the chunks of one audio stream.

    Args:
        kept_chunks: how many of the latest chunks are remembered.

    """

    def __init__(self, *, kept_chunks: int = KEPT_CHUNKS) -> None:
        self._chunks: deque[_Chunk] = deque(maxlen=kept_chunks)
        #: Chunks that may yet be the promptest of the last ones, as number and lag: both only grow.
        self._lags: deque[tuple[int, float]] = deque()
        self._number = 0
        self._sounded = 0.0
        self.position = 0.0

    def advance(self, audio: bytes, sample_rate: int, now: float) -> None:
        """Note that ``audio`` (mono 16-bit PCM at ``sample_rate`` Hz) arrived at ``now``."""
        loud = last_audible(audio)
        audible = None if loud is None else self.position + (loud + 1) / sample_rate
        self._sounded = self._sounded if audible is None else audible
        self.position += len(audio) / BYTES_PER_SAMPLE / sample_rate
        lag = now - self.position
        self._chunks.append(_Chunk(self.position, self.position + self._least(lag), audible))

    def _least(self, lag: float) -> float:
        """Take the latest chunk's ``lag``; return that of the promptest chunk since the last pause."""
        self._number += 1
        if self._lags and lag - self._lags[0][1] > PAUSE_SECONDS:
            self._lags.clear()
        while self._lags and self._lags[-1][1] >= lag:
            self._lags.pop()
        self._lags.append((self._number, lag))
        if self._lags[0][0] <= self._number - STEADY_CHUNKS:
            self._lags.popleft()
        return self._lags[0][1]

    @property
    def silent_seconds(self) -> float:
        """How much silence the stream ends with."""
        return self.position - self._sounded

    def time_of(self, position: float) -> float | None:
        """Return when the audio up to stream ``position`` (seconds) had arrived; None where it never did.

        A chunk arrives when its last sample does, so a position inside it is placed that much earlier.
        """
        if not self._chunks or position > self.position + 1e-6:
            return None
        chunk = self._chunks[self._index(position)]
        return chunk.arrived - max(0.0, chunk.end - position)

    def last_audible(self, position: float) -> float:
        """Return the position of the last audible sample around ``position``; itself where all is quiet.

        A voice activity detector works in windows and hangs on to the end of a word, so the end of speech that
        it reports lies after the last sample that can be heard.
        """
        latest = position + TRAIL_SECONDS
        for index in range(self._index(latest), -1, -1):
            chunk = self._chunks[index]
            if position - chunk.end > SEARCH_SECONDS:
                break
            if chunk.last_audible is not None:
                return min(chunk.last_audible, latest)
        return position

    def _index(self, position: float) -> int:
        found = bisect_left(self._chunks, position - 1e-9, key=lambda chunk: chunk.end)
        return min(found, len(self._chunks) - 1)
