"""The pipecat service that talks to the ear: pipecat's own Flux client, with trace context and event times."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pipecat.frames.frames import DataFrame, Frame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService

#: Called with every TurnInfo message and the monotonic time it arrived at; returns those pipecat is to act on.
TurnInfoFilter = Callable[[dict[str, Any], float], Iterable[dict[str, Any]]]
#: Called with the audio just sent (mono 16-bit PCM) and the monotonic time; with None when a new stream begins.
AudioListener = Callable[[bytes | None, float], None]


class EndTurnFrame(DataFrame):
    """The caller's side says that its turn is over."""


class EarService(DeepgramFluxSTTService):
    """pipecat's Flux service for Offhook's ear.

    Args:
        headers: further headers of the handshake, such as ``traceparent``.
        on_turn_info: told every TurnInfo message; returns what pipecat is to act on.
        on_audio: told what audio the ear has been sent.
        turn_headers: trace context of the turn in progress, as headers.
        clean: makes of the line's audio what the ear is sent; the length stays.
        kwargs: what pipecat's service takes.

    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str],
        on_turn_info: TurnInfoFilter,
        on_audio: AudioListener,
        turn_headers: Callable[[], Mapping[str, str]] = dict,
        clean: Callable[[bytes], bytes] = lambda audio: audio,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._headers = dict(headers)
        self._on_turn_info = on_turn_info
        self._on_audio = on_audio
        self._turn_headers = turn_headers
        self._clean = clean

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; the ear is told at once that a turn is over."""
        if isinstance(frame, EndTurnFrame):
            await self._transport_send_json({"type": "ForceEndTurn"})
            return
        await super().process_frame(frame, direction)

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        kwargs["additional_headers"] = {**kwargs.get("additional_headers", {}), **self._headers}
        # The times of the words are asked for by nobody, and are costly while an answer is thought up.
        websocket = await super()._websocket_connect(f"{uri}&word_times=false", **kwargs)
        self._on_audio(None, time.monotonic())
        return websocket

    async def _transport_send_audio(self, audio: bytes) -> None:
        audio = self._clean(audio)
        self._on_audio(audio, time.monotonic())
        await super()._transport_send_audio(audio)

    async def _handle_turn_info(self, data: dict[str, Any]) -> None:
        for message in self._on_turn_info(data, time.monotonic()):
            if message.get("event") == "StartOfTurn" and self._transport_is_active():
                await self._transport_send_json({"type": "TraceContext", **self._turn_headers()})
            await super()._handle_turn_info(message)
