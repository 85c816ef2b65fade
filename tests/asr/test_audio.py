"""Audio input: encodings, rates, lag and the buffer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import MULAW, SAMPLE_RATE, AudioBuffer, AudioInput
from asr.bench.corpus import linear16


def tone(rate: int, seconds: float = 1.0) -> np.ndarray:  # type: ignore[type-arg]
    """Return a 440 Hz tone."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
def test_resampling_holds_back_at_most_three_milliseconds(rate: int) -> None:
    """However the audio is cut, what has come in has gone out but for 3 ms."""
    source = AudioInput("linear16", rate)
    data = linear16(tone(rate))
    got = 0
    chunk = rate // 50 * 2
    for offset in range(0, len(data), chunk):
        got += len(source.feed(data[offset : offset + chunk]))
        received = min(offset + chunk, len(data)) / 2 / rate
        assert received - got / SAMPLE_RATE < 0.003


@pytest.mark.parametrize("rate", [8000, 48000])
def test_resampled_audio_is_the_same_sound(rate: int) -> None:
    """A tone comes out with its pitch and level."""
    samples = AudioInput("linear16", rate).feed(linear16(tone(rate)))
    expected = tone(SAMPLE_RATE)[: len(samples)]
    spectrum = np.abs(np.fft.rfft(samples[:15000]))
    assert abs(np.argmax(spectrum) * SAMPLE_RATE / 15000 - 440) < 2
    assert abs(samples.std() - expected.std()) < 0.01


def test_mulaw_is_g711() -> None:
    """The table has G.711's extremes, its two zeros and its symmetry."""
    assert MULAW[0x00] == -32124
    assert MULAW[0x80] == 32124
    assert MULAW[0xFF] == MULAW[0x7F] == 0
    assert (MULAW[:128] == -MULAW[128:]).all()


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_half_samples_wait_for_their_other_half(parts: list[bytes]) -> None:
    """Cutting the bytes anywhere gives the same samples."""
    source = AudioInput("linear16", SAMPLE_RATE)
    samples = [value for part in parts for value in source.feed(part)]
    whole = b"".join(parts)
    assert samples == list(np.frombuffer(whole[: len(whole) // 2 * 2], "<i2").astype(np.float32) / 32768)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40))
def test_the_buffer_keeps_the_last_seconds(sizes: list[int]) -> None:
    """Slices are addressed by stream time, and what is too old is gone, not wrong."""
    buffer = AudioBuffer(keep_seconds=0.25)
    total = np.arange(sum(sizes), dtype=np.float32)
    offset = 0
    for size in sizes:
        buffer.append(total[offset : offset + size])
        offset += size
    assert buffer.end == len(total) / SAMPLE_RATE
    kept = buffer.slice(max(0.0, buffer.end - 0.25), buffer.end)
    assert (kept == total[len(total) - len(kept) :]).all()
    assert len(kept) == min(len(total), SAMPLE_RATE // 4)
