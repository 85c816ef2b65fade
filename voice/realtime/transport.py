"""The two ends of a pipeline whose client sends events: sound goes in as it comes, and comes out as frames."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

#: Sound is given to the ear in pieces of at most this length, seconds.
PIECE_SECONDS = 0.1
#: Sound may run ahead of real time by this much, as a network delivers it; what is sent faster waits, seconds.
LEAD_SECONDS = 0.3
#: An ear that hears nothing for longer hangs up; a piece of silence this often keeps it, seconds.
KEEP_ALIVE_SECONDS = 20.0
#: One packet of the agent's speech is 20 ms; pipecat counts in tens of milliseconds.
OUTPUT_CHUNK_10MS = 2
BYTES_PER_SAMPLE = 2


class Inlet(BaseInputTransport):
    """Gives the pipeline the client's sound in real time: clients send whole recordings at once.

    Args:
        params: pipecat's.
        max_seconds: sound that may wait; what is more is refused.

    """

    def __init__(self, params: TransportParams, *, max_seconds: float) -> None:
        super().__init__(params)
        self._max_seconds = max_seconds
        self._waiting: deque[bytes | Frame] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def hear(self, audio: bytes, rate: int) -> bool:
        """Take PCM (mono, 16 bits) at ``rate`` Hz, the pipeline's; return whether there was room for it."""
        if (self._waiting_bytes + len(audio)) / BYTES_PER_SAMPLE / rate > self._max_seconds:
            return False
        size = round(PIECE_SECONDS * rate) * BYTES_PER_SAMPLE
        self._waiting.extend(audio[offset : offset + size] for offset in range(0, len(audio), size))
        self._waiting_bytes += len(audio)
        self._wake.set()
        return True

    def follow(self, frame: Frame) -> None:
        """Let ``frame`` follow the sound that waits."""
        self._waiting.append(frame)
        self._wake.set()

    def forget(self) -> None:
        """Forget what the ear has not been given yet."""
        self._waiting.clear()
        self._waiting_bytes = 0

    async def start(self, frame: StartFrame) -> None:
        """Begin to give."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        if self._task is None:
            self._task = self.create_task(self._give(), "inlet")

    async def stop(self, frame: EndFrame) -> None:
        """Stop."""
        await self._stop_giving()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop at once."""
        await self._stop_giving()
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Stop, if nothing else has."""
        await self._stop_giving()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _stop_giving(self) -> None:
        if self._task:
            task, self._task = self._task, None
            await self.cancel_task(task)

    async def _give(self) -> None:
        due = time.monotonic()
        silence = bytes(self.sample_rate // 50 * BYTES_PER_SAMPLE)
        while True:
            if not self._waiting:
                self._wake.clear()
                try:
                    async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    await self._push(silence)
                continue
            due = max(due, time.monotonic())
            if (wait := due - LEAD_SECONDS - time.monotonic()) > 0:
                await asyncio.sleep(wait)
                continue
            piece = self._waiting.popleft()
            if isinstance(piece, Frame):
                await self.push_frame(piece)
                continue
            self._waiting_bytes -= len(piece)
            due += len(piece) / BYTES_PER_SAMPLE / self.sample_rate
            await self._push(piece)

    async def _push(self, audio: bytes) -> None:
        await self.push_audio_frame(
            InputAudioRawFrame(audio=audio, sample_rate=self.sample_rate, num_channels=1)
        )


class Outlet(BaseOutputTransport):
    """Tells of everything that leaves the pipeline, in the order it leaves.

    Args:
        params: pipecat's.
        on_sound: told PCM that leaves now.
        on_frame: told every frame that passes downstream.

    """

    def __init__(
        self, params: TransportParams, *, on_sound: Callable[[bytes], None], on_frame: Callable[[Frame], None]
    ) -> None:
        super().__init__(params)
        self._on_sound = on_sound
        self._on_frame = on_frame

    async def start(self, frame: StartFrame) -> None:
        """Begin."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Let sound leave."""
        self._on_sound(frame.audio)
        return True

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Pass a frame on."""
        if direction is FrameDirection.DOWNSTREAM:
            self._on_frame(frame)
        await super().push_frame(frame, direction)


class EventTransport(BaseTransport):
    """Both ends.

    Args:
        max_seconds: sound that may wait to be heard.
        on_sound: told PCM that leaves now.
        on_frame: told every frame that leaves the pipeline.

    """

    def __init__(
        self, *, max_seconds: float, on_sound: Callable[[bytes], None], on_frame: Callable[[Frame], None]
    ) -> None:
        super().__init__()
        params = TransportParams(
            audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=OUTPUT_CHUNK_10MS
        )
        self.inlet = Inlet(params, max_seconds=max_seconds)
        self._outlet = Outlet(params, on_sound=on_sound, on_frame=on_frame)

    def input(self) -> Inlet:
        """Return where the client's sound comes in."""
        return self.inlet

    def output(self) -> Outlet:
        """Return where the agent's speech leaves."""
        return self._outlet
