"""A pipecat serializer at the edge of the gateway: guarded on the way in, measured on the way out."""

import time
from collections.abc import Callable

from pipecat.frames.frames import Frame, InterruptionFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.serializers.base_serializer import FrameSerializer

from telemetry.loudness import first_audible
from voice.phone.media import Event, Other, StreamGuard


class GuardedSerializer(FrameSerializer):
    """Ends the call on what its protocol does not allow; tells when the first audible sample leaves.

    Args:
        inner: the carrier's serializer.
        guard: judges what comes in.
        on_event: told what came in.
        on_violation: told why the call must end.
        on_audible: told the monotonic time at which audible sound leaves; for a packet that is sent while the one
            before it still plays, when its turn comes.

    """

    def __init__(
        self,
        inner: FrameSerializer,
        *,
        guard: StreamGuard,
        on_event: Callable[[Event], None],
        on_violation: Callable[[str], None],
        on_audible: Callable[[float], None],
        leaves: Callable[[float], bool],
    ) -> None:
        super().__init__()
        self._inner = inner
        self._guard = guard
        self._on_event = on_event
        self._on_violation = on_violation
        self._on_audible = on_audible
        self._leaves = leaves
        #: When the sound sent so far has been played out.
        self._played_out = 0.0

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Set the carrier's serializer up."""
        await self._inner.setup(setup)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Return the frame in ``data``; None where there is none, or where the call has to end."""
        event, reason = self._guard.take(data, time.monotonic())
        self._on_event(event)
        if reason:
            self._on_violation(reason)
        if reason or isinstance(event, Other):
            return None
        return await self._inner.deserialize(data)

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Return ``frame`` as the carrier's message, or None where it has no word for it."""
        if isinstance(frame, OutputAudioRawFrame):
            if not self._leaves(frame.num_frames / frame.sample_rate):
                return None
            self._note(frame, time.monotonic())
        elif isinstance(frame, InterruptionFrame):
            self._played_out = 0.0
        return await self._inner.serialize(frame)

    def _note(self, frame: OutputAudioRawFrame, now: float) -> None:
        """Tell of audible sound, on the clock of a line that plays one packet after the other."""
        begins = max(now, self._played_out)
        self._played_out = begins + frame.num_frames / frame.sample_rate
        offset = first_audible(frame.audio)
        if offset is not None:
            self._on_audible(begins + offset / frame.sample_rate)
