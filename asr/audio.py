"""Audio as clients send it, made into what the models take: 16 kHz mono float32 in [-1, 1]."""

from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16000
MIN_SAMPLE_RATE = 8000
MAX_SAMPLE_RATE = 48000
NARROWBAND_RATE = 8000

Encoding = Literal["linear16", "mulaw"]
Samples = NDArray[np.float32]


def _mulaw_table() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4).astype(np.int32) & 7
    mantissa = code.astype(np.int32) & 0x0F
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


#: ITU-T G.711 mu-law, byte to 16-bit sample.
MULAW = _mulaw_table()


class AudioInput:
    """Turns a stream of encoded bytes into 16 kHz samples, with 1 to 2 ms of lag.

    The resampler is FFmpeg's (a short polyphase filter): soxr's streams hold back 18 to 115 ms at the
    quality they default to, which a turn would have to wait for.

    Args:
        encoding: ``linear16`` (little endian) or ``mulaw``, one channel.
        sample_rate: samples a second, 8000 to 48000.

    """

    def __init__(self, encoding: Encoding, sample_rate: int) -> None:
        self._encoding = encoding
        self._sample_rate = sample_rate
        self._remainder = b""
        self._resampler: av.AudioResampler | None = None
        if sample_rate != SAMPLE_RATE:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)

    @property
    def narrowband(self) -> bool:
        """Whether the audio holds nothing above 4 kHz."""
        return self._sample_rate <= NARROWBAND_RATE

    @property
    def bytes_per_second(self) -> int:
        """Bytes that a second of audio takes."""
        return self._sample_rate * (1 if self._encoding == "mulaw" else 2)

    def feed(self, data: bytes) -> Samples:
        """Return the samples that ``data`` completes; half a sample is kept for the next call."""
        if self._encoding == "mulaw":
            pcm = MULAW[np.frombuffer(data, dtype=np.uint8)]
        else:
            data = self._remainder + data
            even = len(data) & ~1
            self._remainder = data[even:]
            pcm = np.frombuffer(data[:even], dtype="<i2")
        return self._resample(pcm)

    def _resample(self, pcm: NDArray[np.int16]) -> Samples:
        if self._resampler is None or pcm.size == 0:
            return pcm.astype(np.float32) / np.float32(32768)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[None]), format="s16", layout="mono")
        frame.sample_rate = self._sample_rate
        parts = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


class AudioBuffer:
    """The last seconds of one stream, addressed by stream time in seconds.

    Args:
        keep_seconds: how much is kept at most; what is older is forgotten.

    """

    def __init__(self, keep_seconds: float) -> None:
        self._capacity = int(keep_seconds * SAMPLE_RATE)
        self._samples = np.zeros(self._capacity * 2, np.float32)
        self._first = 0
        self._filled = 0

    @property
    def end(self) -> float:
        """Stream time of the end of the last sample, seconds."""
        return (self._first + self._filled) / SAMPLE_RATE

    def append(self, samples: Samples) -> None:
        """Add samples at the end."""
        if len(samples) > self._capacity:
            self._first += self._filled + len(samples) - self._capacity
            self._filled = 0
            samples = samples[-self._capacity :]
        if self._filled + len(samples) > len(self._samples):
            self._drop(self._filled - self._capacity + len(samples))
        self._samples[self._filled : self._filled + len(samples)] = samples
        self._filled += len(samples)

    def slice(self, start: float, end: float) -> Samples:
        """Return a copy of what is still there between two stream times, seconds."""
        low = max(0, round(start * SAMPLE_RATE) - self._first)
        high = max(low, min(self._filled, round(end * SAMPLE_RATE) - self._first))
        return self._samples[low:high].copy()

    def _drop(self, count: int) -> None:
        self._samples[: self._filled - count] = self._samples[count : self._filled].copy()
        self._filled -= count
        self._first += count
