"""What the VAD makes of a line, window by window and with every packet."""

import numpy as np
import pytest

from asr.audio import Samples
from asr.detectors import VAD_CONTEXT, VAD_WINDOW, SpeechState
from orchestration.linevad import LineVad

RATE = 16000
PACKET = 320


class CountingDetector:
    """Not a VAD: notes what it is asked, and remembers how often."""

    def __init__(self) -> None:
        self.windows: list[Samples] = []
        self.contexts: list[Samples] = []

    def __call__(self, window: Samples, state: SpeechState) -> float:
        """Return how many windows ``state`` has heard."""
        self.windows.append(window)
        self.contexts.append(state.context[0])
        state.memory = state.memory + 1
        state.context = window[None, -VAD_CONTEXT :: state.step]
        return float(state.memory[0, 0, 0])


def packets(count: int) -> list[bytes]:
    """Return packets of a rising ramp."""
    ramp = np.arange(count * PACKET, dtype="<i2")
    return [ramp[start : start + PACKET].tobytes() for start in range(0, len(ramp), PACKET)]


def line(sent: list[bytes]) -> tuple[LineVad, CountingDetector]:
    """Return a line on which ``sent`` has come, and its detector."""
    detector = CountingDetector()
    vad = LineVad(detector, sample_rate=RATE)
    for packet in sent:
        list(vad.feed(packet, 0.0))
    return vad, detector


def values(samples: Samples) -> list[int]:
    """Return the first and the last sample as they were sent."""
    return [round(float(samples[index]) * 32768) for index in (0, -1)]


def test_windows_follow_one_another() -> None:
    """Every sample is in one window, and each began 32 ms before its last sample came."""
    detector = CountingDetector()
    vad = LineVad(detector, sample_rate=RATE)
    began = [
        (window.began, window.probability)
        for number, packet in enumerate(packets(8))
        for window in vad.feed(packet, 10 + (number + 1) * 0.02)
    ]
    assert [values(window) for window in detector.windows] == [
        [start, start + VAD_WINDOW - 1] for start in range(0, 8 * PACKET, VAD_WINDOW)
    ]
    assert began == [(pytest.approx(10 + 0.032 * number), number + 1) for number in range(5)]


def test_the_latest_sound_is_looked_at_with_every_packet() -> None:
    """It is the last 32 ms whatever windows they lie in, after the samples before them, and leaves no trace."""
    vad, detector = line(packets(2))
    latest = vad.latest(10.0)
    assert latest is not None
    assert latest.began == pytest.approx(10 - 0.032)
    assert latest.probability == 2
    assert values(detector.windows[-1]) == [2 * PACKET - VAD_WINDOW, 2 * PACKET - 1]
    assert values(detector.contexts[-1]) == [
        2 * PACKET - VAD_WINDOW - VAD_CONTEXT,
        2 * PACKET - VAD_WINDOW - 1,
    ]
    assert vad.latest(10.0) == latest, "the memory of the line was changed"


def test_a_whole_window_is_not_looked_at_twice() -> None:
    """Where packet and window end together there is nothing later than the window."""
    vad, _ = line(packets(8))
    assert vad.latest(0.0) is None


def test_a_line_that_begins_anew_is_forgotten() -> None:
    """After the agent was silent for a while, what was heard before is no context."""
    sent = packets(3)
    vad, detector = line(sent[:2])
    vad.forget()
    list(vad.feed(sent[2], 0.0))
    latest = vad.latest(1.0)
    assert latest is not None
    assert latest.probability == 1
    assert values(detector.windows[-1]) == [0, 3 * PACKET - 1]
