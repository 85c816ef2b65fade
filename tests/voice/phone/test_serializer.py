"""When sound that leaves is heard: on the clock of a line that plays one packet after the other."""

import numpy as np
import pytest
from pipecat.frames.frames import Frame, InterruptionFrame, OutputAudioRawFrame
from pipecat.serializers.base_serializer import FrameSerializer

from voice.phone import serializer
from voice.phone.media import StreamGuard
from voice.phone.serializer import GuardedSerializer

RATE = 8000


class Silent(FrameSerializer):
    """Has no word for anything."""

    async def serialize(self, _: Frame) -> None:
        """Return nothing."""

    async def deserialize(self, _: str | bytes) -> None:
        """Return nothing."""


def packet(level: int) -> OutputAudioRawFrame:
    """Return 20 ms of a constant level."""
    audio = np.full(RATE // 50, level, "<i2").tobytes()
    return OutputAudioRawFrame(audio=audio, sample_rate=RATE, num_channels=1)


async def test_a_packet_is_heard_after_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two packets at once: the second is heard 20 ms later; after an interruption nothing is waited for."""
    now = 100.0
    monkeypatch.setattr(serializer.time, "monotonic", lambda: now)
    heard: list[float] = []
    line = GuardedSerializer(
        Silent(), guard=StreamGuard.__new__(StreamGuard), on_event=lambda _: None, on_violation=lambda _: None,
        on_audible=heard.append, leaves=lambda _: True,
    )  # fmt: skip
    for frame in (packet(0), packet(5000), packet(5000), InterruptionFrame(), packet(5000)):
        await line.serialize(frame)
    now = 200.0
    await line.serialize(packet(5000))
    assert heard == pytest.approx([100.02, 100.04, 100.0, 200.0])


async def test_a_silenced_agent_is_not_sent() -> None:
    """What may not leave is neither sent nor counted as heard."""
    heard: list[float] = []
    line = GuardedSerializer(
        Silent(), guard=StreamGuard.__new__(StreamGuard), on_event=lambda _: None, on_violation=lambda _: None,
        on_audible=heard.append, leaves=lambda seconds: seconds > 1,
    )  # fmt: skip
    assert await line.serialize(packet(5000)) is None
    assert heard == []
