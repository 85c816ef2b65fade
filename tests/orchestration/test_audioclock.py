"""Positions in a stream become moments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.audioclock import AudioClock

RATE = 1000


def sound(seconds: float, magnitude: int = 0) -> bytes:
    """Return audio of one magnitude."""
    return np.full(round(seconds * RATE), magnitude, dtype="<i2").tobytes()


def test_a_position_inside_a_chunk() -> None:
    """A chunk arrives when its last sample does; what lies inside it passed earlier."""
    clock = AudioClock()
    clock.advance(sound(0.02), RATE, now=100.02)
    clock.advance(sound(0.02), RATE, now=100.04)
    assert clock.time_of(0.02) == pytest.approx(100.02)
    assert clock.time_of(0.03) == pytest.approx(100.03)
    assert clock.time_of(0.04) == pytest.approx(100.04)


def test_a_busy_machine_does_not_move_the_clock() -> None:
    """A chunk that is looked at late was spoken when the even stream says."""
    clock = AudioClock()
    for number, late in enumerate((0.0, 0.03, 0.2, 0.01)):
        clock.advance(sound(0.02), RATE, now=100.0 + 0.02 * (number + 1) + late)
    assert clock.time_of(0.08) == pytest.approx(100.08)


def test_a_pause_of_the_stream_starts_the_clock_anew() -> None:
    """A caller who sends nothing for a second is a second later afterwards."""
    clock = AudioClock()
    clock.advance(sound(0.02), RATE, now=100.02)
    clock.advance(sound(0.02), RATE, now=101.04)
    assert clock.time_of(0.04) == pytest.approx(101.04)


def test_a_position_that_never_came() -> None:
    """Nothing is known of what has not arrived."""
    clock = AudioClock()
    assert clock.time_of(0.0) is None
    clock.advance(sound(0.02), RATE, now=1.0)
    assert clock.time_of(0.5) is None


def test_how_long_the_line_has_been_silent() -> None:
    """From the last audible sample to the end of what has come; from the beginning where there was none."""
    clock = AudioClock()
    clock.advance(sound(0.02), RATE, now=0.02)
    assert clock.silent_seconds == pytest.approx(0.02)
    clock.advance(sound(0.01, 5000) + sound(0.01), RATE, now=0.04)
    assert clock.silent_seconds == pytest.approx(0.01)
    clock.advance(sound(0.02), RATE, now=0.06)
    assert clock.silent_seconds == pytest.approx(0.03)


def test_only_the_latest_chunks_are_kept() -> None:
    """Memory is bounded; older positions are placed before the oldest chunk that is known."""
    clock = AudioClock(kept_chunks=2)
    for number in range(10):
        clock.advance(sound(1.0), RATE, now=float(number + 1))
    assert clock.time_of(1.0) == pytest.approx(1.0)
    assert len(clock._chunks) == 2


def test_speech_ends_with_its_last_audible_sample() -> None:
    """A detector's end of speech is moved to what can be heard, back or a little on."""
    clock = AudioClock()
    clock.advance(sound(0.02, 3000), RATE, now=1.02)
    clock.advance(sound(0.01, 3000) + sound(0.01), RATE, now=1.04)
    clock.advance(sound(0.1), RATE, now=1.14)
    assert clock.last_audible(0.13) == pytest.approx(0.03)
    assert clock.last_audible(0.025) == pytest.approx(0.03)


def test_quiet_audio_leaves_the_detectors_end() -> None:
    """Where nothing audible is near, what the detector says stands."""
    clock = AudioClock()
    clock.advance(sound(0.1, 3000), RATE, now=1.0)
    clock.advance(sound(2.0), RATE, now=3.0)
    assert clock.last_audible(2.0) == pytest.approx(2.0)
    assert AudioClock().last_audible(1.5) == 1.5


@given(st.lists(st.integers(1, 100), min_size=1, max_size=50), st.floats(0, 1))
def test_an_even_stream_maps_evenly(milliseconds: list[int], share: float) -> None:
    """In a stream without jitter every position maps to its own moment."""
    clock = AudioClock()
    position = 0.0
    for length in milliseconds:
        position += length / 1000
        clock.advance(sound(length / 1000), RATE, now=50.0 + position)
    assert clock.time_of(position * share) == pytest.approx(50.0 + position * share, abs=1e-6)
