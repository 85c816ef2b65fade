"""pipecat's SmallWebRTC transport, telling when sound comes in and when audible sound leaves."""

import time
from collections.abc import Callable

from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import (
    SmallWebRTCInputTransport,
    SmallWebRTCOutputTransport,
    SmallWebRTCTransport,
)

from telemetry.loudness import first_audible


class WatchedInput(SmallWebRTCInputTransport):
    """Tells when audio comes in."""

    on_audio: Callable[[], None]

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Take 20 ms of the caller."""
        self.on_audio()
        await super().push_audio_frame(frame)


class MeasuredOutput(SmallWebRTCOutputTransport):
    """Tells when audible sound leaves, and lets none leave while the agent is silenced."""

    on_audible: Callable[[float], None]
    leaves: Callable[[float], bool]

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send 20 ms to the caller; False where there is no connection."""
        if not self.leaves(frame.num_frames / frame.sample_rate):
            return True
        began = time.monotonic()
        written = await super().write_audio_frame(frame)
        offset = first_audible(frame.audio)
        if written and offset is not None:
            self.on_audible(began + offset / frame.sample_rate)
        return bool(written)


class BrowserTransport(SmallWebRTCTransport):
    """One browser's two directions.

    Args:
        connection: the peer connection.
        params: pipecat's.
        on_audio: told that audio came in.
        on_audible: told the monotonic time at which audible sound leaves.
        leaves: says of so many seconds of sound whether they may.

    """

    def __init__(
        self,
        connection: SmallWebRTCConnection,
        params: TransportParams,
        *,
        on_audio: Callable[[], None],
        on_audible: Callable[[float], None],
        leaves: Callable[[float], bool],
    ) -> None:
        super().__init__(connection, params)
        self._input = WatchedInput(self._client, params)
        self._input.on_audio = on_audio
        self._output = MeasuredOutput(self._client, params)
        self._output.on_audible = on_audible
        self._output.leaves = leaves
