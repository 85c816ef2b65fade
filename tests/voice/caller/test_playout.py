"""What a telephone plays, and when."""

import audioop

import numpy as np
import pytest

from voice.caller.playout import Playout
from voice.phone.media import SAMPLE_RATE


def tone(seconds: float, *, silent_first: float = 0.0) -> bytes:
    """Return mu-law of a tone after some silence."""
    count = round(seconds * SAMPLE_RATE)
    samples = (8000 * np.sin(2 * np.pi * 440 * np.arange(count) / SAMPLE_RATE + 1.0)).astype("<i2")
    samples[: round(silent_first * SAMPLE_RATE)] = 0
    return audioop.lin2ulaw(samples.tobytes(), 2)


def test_packets_queue_up_behind_one_another() -> None:
    """What arrives faster than it can be played waits its turn."""
    playout = Playout(100.0)
    playout.receive(tone(0.5), 101.0)
    playout.receive(tone(0.5), 101.1)
    assert playout.last_audible() == pytest.approx(102.0, abs=0.002)


def test_the_first_audible_sample() -> None:
    """Silence before the voice does not count as an answer, nor does what was heard before the question."""
    playout = Playout(100.0)
    playout.receive(tone(0.2), 100.5)
    playout.receive(tone(0.3, silent_first=0.1), 103.0)
    assert playout.first_audible_after(100.0) == pytest.approx(100.5, abs=0.002)
    assert playout.first_audible_after(102.0) == pytest.approx(103.1, abs=0.002)
    assert playout.first_audible_after(104.0) is None


def test_clear_drops_what_was_not_played() -> None:
    """After `clear` only what was heard by then is left."""
    playout = Playout(0.0)
    playout.receive(tone(2.0), 1.0)
    playout.clear(1.5)
    assert playout.last_audible() == pytest.approx(1.5, abs=0.002)
    playout.receive(tone(0.1), 1.6)
    assert playout.first_audible_after(1.55) == pytest.approx(1.6, abs=0.002)


def test_the_recording_keeps_the_gaps() -> None:
    """A recording is what was heard, silence included."""
    playout = Playout(0.0)
    playout.receive(tone(0.1), 1.0)
    playout.receive(tone(0.1), 1.3)
    pcm = np.frombuffer(playout.recording(0.9, 1.5), dtype="<i2")
    assert len(pcm) == round(0.6 * SAMPLE_RATE)
    loud = np.abs(pcm.astype(int)) > 1000
    assert not loud[: round(0.1 * SAMPLE_RATE)].any()
    assert loud[round(0.1 * SAMPLE_RATE) : round(0.2 * SAMPLE_RATE)].any()
    assert not loud[round(0.21 * SAMPLE_RATE) : round(0.39 * SAMPLE_RATE)].any()


def test_a_mark_goes_back_when_what_came_before_it_is_played() -> None:
    """Not when it arrives; and at once where the sound before it was dropped."""
    playout = Playout(0.0)
    playout.receive(tone(0.5), 1.0)
    playout.mark("first", 1.0)
    playout.receive(tone(0.5), 1.0)
    playout.mark("second", 1.0)
    assert playout.marks_due(1.4) == []
    assert playout.marks_due(1.5) == ["first"]
    playout.clear(1.6)
    assert playout.marks_due(1.6) == ["second"]
    assert playout.marks_due(9.0) == []
