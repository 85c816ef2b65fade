"""Audio as the protocol carries it, to and from mono 16-bit PCM at the pipeline's rate."""

import audioop

import numpy as np
import soxr

from voice.realtime.config import Format, Pcm, Pcma

G711_RATE = 8000
PCM_RATE = 24000
BYTES_PER_SAMPLE = 2


def rate_of(encoding: Format) -> int:
    """Return the sample rate of an encoding, Hz."""
    return PCM_RATE if isinstance(encoding, Pcm) else G711_RATE


def seconds_of(size: int, encoding: Format) -> float:
    """Return how long ``size`` bytes of an encoding sound."""
    return size / rate_of(encoding) / (BYTES_PER_SAMPLE if isinstance(encoding, Pcm) else 1)


def pipeline_rate(*encodings: Format) -> int:
    """Return the rate at which nothing has to be resampled, or only what is narrowband anyway."""
    return max(rate_of(encoding) for encoding in encodings)


def to_pcm(audio: bytes, encoding: Format) -> bytes:
    """Return mono 16-bit PCM at the encoding's own rate; half a sample at the end is dropped."""
    if isinstance(encoding, Pcm):
        return audio[: len(audio) & ~1]
    if isinstance(encoding, Pcma):
        return audioop.alaw2lin(audio, BYTES_PER_SAMPLE)
    return audioop.ulaw2lin(audio, BYTES_PER_SAMPLE)


def from_pcm(audio: bytes, encoding: Format) -> bytes:
    """Return mono 16-bit PCM in an encoding."""
    if isinstance(encoding, Pcm):
        return audio
    if isinstance(encoding, Pcma):
        return audioop.lin2alaw(audio, BYTES_PER_SAMPLE)
    return audioop.lin2ulaw(audio, BYTES_PER_SAMPLE)


class Resampler:
    """Takes a stream of PCM from one rate to another; from a rate to itself it changes nothing.

    Only a session that mixes encodings resamples.
    """

    def __init__(self, source: int, target: int) -> None:
        self.rates = (source, target)
        self._stream = (
            None
            if source == target
            else soxr.ResampleStream(source, target, 1, dtype="int16", quality=soxr.LQ)
        )

    def feed(self, audio: bytes) -> bytes:
        """Return what ``audio`` completes."""
        if self._stream is None:
            return audio
        return bytes(self._stream.resample_chunk(np.frombuffer(audio, "<i2")).tobytes())


class Decoder:
    """What comes from a client, at the pipeline's rate.

    Args:
        rate: the pipeline's.

    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._half = b""
        self._resampler = Resampler(rate, rate)

    def feed(self, audio: bytes, encoding: Format) -> bytes:
        """Return the PCM that ``audio`` completes; half a sample is kept for the next call."""
        if isinstance(encoding, Pcm):
            audio = self._half + audio
            self._half = audio[len(audio) & ~1 :]
        if self._resampler.rates[0] != rate_of(encoding):
            self._resampler = Resampler(rate_of(encoding), self._rate)
        return self._resampler.feed(to_pcm(audio, encoding))


class Encoder:
    """What goes to a client, from the pipeline's rate.

    Args:
        rate: the pipeline's.

    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resampler = Resampler(rate, rate)

    def feed(self, audio: bytes, encoding: Format) -> bytes:
        """Return ``audio`` in ``encoding``."""
        if self._resampler.rates[1] != rate_of(encoding):
            self._resampler = Resampler(self._rate, rate_of(encoding))
        return from_pcm(self._resampler.feed(audio), encoding)
