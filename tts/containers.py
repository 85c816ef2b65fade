"""Audio files, written while the sound is still being made."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import av
import numpy as np
from av.audio.stream import AudioStream

#: Bytes FFmpeg may gather before it hands them on; small, so that the first sound goes out at once.
BUFFER_BYTES = 512


@dataclass(frozen=True)
class FileFormat:
    """A file format of the speech endpoint.

    Attributes:
        media_type: its content type.
        container: FFmpeg's name of the container; empty for bare samples.
        codec: FFmpeg's name of the encoder.
        sample_format: what the encoder takes.
        bit_rate: bits a second, where it is lossy.
        options: of the container.

    """

    media_type: str
    container: str
    codec: str = "pcm_s16le"
    sample_format: str = "s16"
    bit_rate: int = 0
    options: dict[str, str] = field(default_factory=dict)


FORMATS = {
    "pcm": FileFormat("audio/pcm", ""),
    "wav": FileFormat("audio/wav", "wav"),
    "flac": FileFormat("audio/flac", "flac", "flac"),
    "mp3": FileFormat("audio/mpeg", "mp3", "libmp3lame", "s16p", 64000, {"write_xing": "0"}),
    # Pages of 20 ms instead of 1 s.
    "opus": FileFormat("audio/ogg", "ogg", "libopus", "s16", 32000, {"page_duration": "20000"}),
    "aac": FileFormat("audio/aac", "adts", "aac", "fltp", 64000),
}


class FileEncoder:
    """Turns 16-bit mono samples into the bytes of a file, piece by piece.

    Args:
        target: the file format.
        sample_rate: samples a second, of what is fed and of the file.

    """

    def __init__(self, target: FileFormat, sample_rate: int) -> None:
        self._sink = _Sink()
        self._fed = False
        self._sample_rate = sample_rate
        self._container = av.open(
            self._sink, "w", format=target.container, buffer_size=BUFFER_BYTES, options=target.options
        )
        stream = self._container.add_stream(
            target.codec, rate=sample_rate, layout="mono", format=target.sample_format
        )
        assert isinstance(stream, AudioStream)
        if target.bit_rate:
            stream.bit_rate = target.bit_rate
        self._stream = stream
        self._resampler = av.AudioResampler(
            target.sample_format, "mono", sample_rate, frame_size=stream.codec_context.frame_size or None
        )

    def feed(self, samples: bytes) -> bytes:
        """Take 16-bit little-endian samples and return the bytes of the file that are ready."""
        if not samples:
            return b""
        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(samples, "<i2")[None, :], format="s16", layout="mono"
        )
        frame.sample_rate = self._sample_rate
        self._fed = True
        return self._mux(self._resampler.resample(frame))

    def finish(self) -> bytes:
        """Return the last bytes of the file."""
        if self._fed:
            self._mux_only(self._resampler.resample(None))
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._sink.take()

    def _mux(self, frames: Sequence[av.AudioFrame]) -> bytes:
        self._mux_only(frames)
        return self._sink.take()

    def _mux_only(self, frames: Sequence[av.AudioFrame]) -> None:
        for frame in frames:
            self._container.mux(self._stream.encode(frame))


class _Sink:
    """A file that can only be written to."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken
