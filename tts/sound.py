"""From an engine's float samples to what a client asked for: rate and encoding, while it streams."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from tts.errors import RequestError
from tts.speech import Samples

#: Encodings of raw audio, by Cartesia's names, and bytes a sample.
ENCODINGS = {"pcm_s16le": 2, "pcm_mulaw": 1, "pcm_alaw": 1, "pcm_f32le": 4}
MIN_RATE = 8000
MAX_RATE = 48000


@dataclass(frozen=True)
class RawFormat:
    """Raw audio: one channel of ``encoding`` at ``sample_rate`` samples a second.

    Raises:
        RequestError: not a format that can be made.

    """

    encoding: str
    sample_rate: int

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise RequestError(f"encoding {self.encoding!r}: choose one of {', '.join(ENCODINGS)}")
        if not MIN_RATE <= self.sample_rate <= MAX_RATE:
            raise RequestError(f"sample_rate {self.sample_rate}: choose {MIN_RATE} to {MAX_RATE}")

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second of audio."""
        return ENCODINGS[self.encoding] * self.sample_rate


class Resampler:
    """Changes the rate of a stream of mono float samples.

    FFmpeg's resampler: it holds back at most 2 ms, where soxr at its usual quality holds back 17 to 51 ms of a
    first short piece, and gives the last samples out at the end.
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._source_rate = source_rate
        self._same = source_rate == target_rate
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=target_rate)
        self._fed = False

    def feed(self, samples: Samples) -> Samples:
        """Take samples at the source rate, return those ready at the target rate."""
        if self._same or not len(samples):
            return samples
        self._fed = True
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, dtype=np.float32)[None, :], format="flt", layout="mono"
        )
        frame.sample_rate = self._source_rate
        return _join(self._resampler.resample(frame))

    def finish(self) -> Samples:
        """Return the last samples."""
        return _join(self._resampler.resample(None)) if self._fed else np.empty(0, dtype=np.float32)


class Encoder:
    """Encodes a stream of mono float samples as raw audio."""

    def __init__(self, source_rate: int, target: RawFormat) -> None:
        self._resampler = Resampler(source_rate, target.sample_rate)
        self._encode = _ENCODERS[target.encoding]

    def feed(self, samples: Samples) -> bytes:
        """Take samples at the source rate, return the bytes that are ready."""
        return self._encode(self._resampler.feed(samples))

    def finish(self) -> bytes:
        """Return the last bytes."""
        return self._encode(self._resampler.finish())


def to_s16(samples: Samples) -> bytes:
    """Return 16-bit little-endian samples; what exceeds full scale is clipped."""
    return _integers(samples).tobytes()


def to_base64(data: bytes) -> str:
    """Return ``data`` as text."""
    return base64.b64encode(data).decode("ascii")


def _integers(samples: Samples) -> NDArray[np.int16]:
    scaled: Samples = np.rint(np.clip(samples, -1.0, 1.0) * np.float32(32767.0))
    return scaled.astype("<i2")


def _to_f32(samples: Samples) -> bytes:
    return samples.astype("<f4").tobytes()


def _companded(codec: str) -> Callable[[Samples], bytes]:
    """Return an encoder that looks up all 65536 samples, encoded once by FFmpeg's ``codec``."""
    table: list[NDArray[np.uint8]] = []

    def encode(samples: Samples) -> bytes:
        if not table:
            table.append(_companding_table(codec))
        return bytes(table[0][_integers(samples).astype(np.int32) + 32768].tobytes())

    return encode


def _companding_table(codec: str) -> NDArray[np.uint8]:
    context = av.AudioCodecContext.create(codec, "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.format, context.layout = MIN_RATE, "s16", "mono"
    every = np.arange(-32768, 32768, dtype=np.int16)[None, :]
    frame = av.AudioFrame.from_ndarray(every, format="s16", layout="mono")
    frame.sample_rate = MIN_RATE
    encoded = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    return np.frombuffer(encoded, dtype=np.uint8)


def _join(frames: list[av.AudioFrame]) -> Samples:
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


_ENCODERS: dict[str, Callable[[Samples], bytes]] = {
    "pcm_s16le": to_s16,
    "pcm_f32le": _to_f32,
    "pcm_mulaw": _companded("pcm_mulaw"),
    "pcm_alaw": _companded("pcm_alaw"),
}
