"""Rates, encodings and files, checked by decoding them again."""

import io

import av
import numpy as np
import pytest

from tts.containers import FORMATS, FileEncoder
from tts.errors import RequestError
from tts.sound import ENCODINGS, Encoder, RawFormat
from tts.trim import SilenceTrimmer

RATE = 22050
DECODERS = {"pcm_s16le": "s16le", "pcm_f32le": "f32le", "pcm_mulaw": "mulaw", "pcm_alaw": "alaw"}


def tone(seconds: float, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:  # type: ignore[type-arg]
    """Return a tone at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def decode(data: bytes, rate: int, name: str) -> np.ndarray:  # type: ignore[type-arg]
    """Return the float samples of raw audio, decoded by FFmpeg."""
    options = {"sample_rate": str(rate), "ch_layout": "mono"}
    with av.open(io.BytesIO(data), format=DECODERS[name], options=options) as container:
        resampler = av.AudioResampler("flt", "mono", rate)
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
def test_streamed_audio_is_the_tone_that_was_fed(encoding: str, rate: int) -> None:
    """In pieces, at any rate and encoding, the tone comes out whole: no lost tail, no clicks."""
    encoder = Encoder(RATE, RawFormat(encoding, rate))
    samples = tone(1.0)
    out = b"".join(encoder.feed(samples[at : at + 1000]) for at in range(0, RATE, 1000)) + encoder.finish()
    heard = decode(out, rate, encoding)
    assert abs(len(heard) - rate) <= rate * 0.002
    wanted = tone(1.0, rate)
    length = min(len(heard), len(wanted)) - rate // 50
    inner = slice(rate // 50, length)
    assert np.corrcoef(heard[inner], wanted[inner])[0, 1] > 0.999


def test_the_first_piece_is_not_held_back() -> None:
    """Of 40 ms of sound at least 37 ms come out at once."""
    for rate in (8000, 16000, 48000):
        out = Encoder(RATE, RawFormat("pcm_s16le", rate)).feed(tone(0.04))
        assert len(out) / 2 / rate > 0.037


@pytest.mark.parametrize(
    ("encoding", "rate"), [("pcm_s24le", 8000), ("pcm_s16le", 4000), ("pcm_s16le", 96000)]
)
def test_formats_that_cannot_be_made(encoding: str, rate: int) -> None:
    """Other encodings and rates are refused with what is allowed."""
    with pytest.raises(RequestError, match="choose"):
        RawFormat(encoding, rate)


@pytest.mark.parametrize("name", [name for name, target in FORMATS.items() if target.container])
def test_files_play(name: str) -> None:
    """Every file format decodes to what was fed, and streams: the first bytes come before the end."""
    file = FileEncoder(FORMATS[name], 24000)
    samples = (tone(1.0, 24000) * 32767).astype("<i2")
    parts = [file.feed(samples[at : at + 2400].tobytes()) for at in range(0, 24000, 2400)]
    assert sum(map(len, parts[:5])) > 100
    with av.open(io.BytesIO(b"".join(parts) + file.finish())) as container:
        stream = container.streams.audio[0]
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / stream.rate
    assert 0.99 < seconds < 1.15


def test_silence_is_cut_before_and_after() -> None:
    """What remains is the sound with its margins; how much was cut before is told."""
    quiet = np.zeros(4410, dtype=np.float32)
    signal = np.concatenate((quiet, tone(0.5), quiet[:2000], tone(0.5), quiet))
    for size in (100, 256, 5000, 50000):
        trimmer = SilenceTrimmer(RATE)
        parts = [trimmer.feed(signal[at : at + size]) for at in range(0, len(signal), size)]
        heard = np.concatenate([*parts, trimmer.finish()])
        assert trimmer.dropped == pytest.approx(4410 - 220, abs=64)
        assert np.array_equal(heard, signal[trimmer.dropped : trimmer.dropped + len(heard)])
        assert len(heard) == pytest.approx(220 + 11025 + 2000 + 11025 + 882, abs=128)


def test_silence_alone_leaves_nothing() -> None:
    """An utterance without any sound has no samples."""
    trimmer = SilenceTrimmer(RATE)
    assert len(trimmer.feed(np.zeros(9999, dtype=np.float32))) == len(trimmer.finish()) == 0
