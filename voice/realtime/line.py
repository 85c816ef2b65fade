"""The call behind a session: begun with the first event that needs it.

By then the client has said what it wants, its audio format above all, and the pipeline can be built.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from pipecat.frames.frames import Frame, STTUpdateSettingsFrame, TTSUpdateSettingsFrame
from pipecat.services.cartesia.tts import CartesiaTTSSettings, GenerationConfig

from asr.client import EarService, EndTurnFrame
from orchestration.agent import Agent
from orchestration.call import Call
from orchestration.dialogue import Dialogue
from orchestration.doors import RealtimeSettings
from orchestration.recorder import CallRecorder
from voice.realtime.audio import Decoder, Encoder, pipeline_rate
from voice.realtime.config import Format, SessionConfig
from voice.realtime.persona import persona, turns_of, voice_of
from voice.realtime.transport import BYTES_PER_SAMPLE, EventTransport
from voice.reception import Place

logger = logging.getLogger(__name__)

#: Frames that may wait to be put into the pipeline.
MAX_FRAMES = 256
FAILED = "the pipeline failed"
UNCARRIED = "protocol error: more requests than can be carried out"


@dataclass
class _Begun:
    call: Call
    transport: EventTransport
    rate: int
    decoder: Decoder
    encoder: Encoder


class Line:
    """See the module's text.

    Args:
        place: the call's.
        recorder: writes it down.
        agent: who answers, before the session changes anything.
        settings: section ``[realtime]``.
        dialogue: the session.
        on_sound: told PCM that leaves the call.
        on_frame: told every frame that leaves it.
        on_end: told why it ended.

    """

    def __init__(
        self,
        place: Place,
        recorder: CallRecorder,
        agent: Agent,
        settings: RealtimeSettings,
        *,
        dialogue: Dialogue,
        on_sound: Callable[[bytes], None],
        on_frame: Callable[[Frame], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._place = place
        self._recorder = recorder
        self._agent = agent
        self._settings = settings
        self._dialogue = dialogue
        self._on_sound = on_sound
        self._on_frame = on_frame
        self._on_end = on_end
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(MAX_FRAMES)
        self._begun: _Begun | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a call."""
        return self._begun is not None

    def begin(self, config: SessionConfig, tasks: asyncio.TaskGroup) -> None:
        """Begin the call, unless it has begun."""
        if self._begun:
            return
        rate = pipeline_rate(config.audio.input.format, config.audio.output.format)
        transport = EventTransport(
            max_seconds=self._settings.max_buffer_seconds, on_sound=self._on_sound, on_frame=self._on_frame
        )
        agent = persona(
            self._agent,
            config,
            max_seconds=self._settings.max_session_seconds,
            idle_seconds=self._settings.idle_seconds,
        )
        call = self._place.call(
            transport, self._recorder, sample_rate=rate, agent=agent, dialogue=self._dialogue
        )
        self._begun = _Begun(call, transport, rate, Decoder(rate), Encoder(rate))
        self._task = tasks.create_task(self._run(call), name="realtime-call")
        if config.audio.output.speed != 1.0:
            self.put(TTSUpdateSettingsFrame(delta=_mouth(self._agent, config)))

    async def _run(self, call: Call) -> None:
        reason = FAILED
        try:
            reason = (await call.run()).end_reason or FAILED
        except Exception:
            logger.exception("call %s failed", self._recorder.record.call_id)
        self._on_end(reason)

    def end(self, reason: str) -> None:
        """End the call."""
        if self._begun:
            self._begun.call.end(reason)
        else:
            record = self._recorder.finish(reason)
            logger.info(
                "call %s ended: %s; before it began, trace %s", record.call_id, reason, record.trace_id
            )

    async def wait(self) -> None:
        """Return once the call is over, if it has begun."""
        if self._task:
            await self._task

    # What goes in.

    def hear(self, audio: bytes, encoding: Format) -> bool:
        """Give sound to the ear, if there is a call; return whether there was room for it."""
        if self._begun is None:
            return True
        pcm = self._begun.decoder.feed(audio, encoding)
        return self._begun.transport.inlet.hear(pcm, self._begun.rate)

    def forget(self) -> None:
        """Forget the sound the ear has not been given yet."""
        if self._begun:
            self._begun.transport.inlet.forget()

    def end_turn(self) -> None:
        """Have the ear end the turn, once it has been given the sound that waits."""
        if self._begun:
            self._begun.transport.inlet.follow(EndTurnFrame())

    def put(self, frame: Frame) -> None:
        """Put a frame into the pipeline, after those before it; there is nothing to tell a call not begun."""
        if self._begun is None:
            return
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self._on_end(UNCARRIED)

    def configure(self, config: SessionConfig) -> None:
        """Tell ear and mouth what has changed."""
        if config.audio.input.turn_detection is not None:
            turns = turns_of(self._agent, config)
            ear = EarService.Settings(
                eot_threshold=turns.eot_threshold,
                eager_eot_threshold=turns.eager_eot_threshold if turns.speculate else None,
                eot_timeout_ms=turns.eot_timeout_ms,
            )
            self.put(STTUpdateSettingsFrame(delta=ear))
        self.put(TTSUpdateSettingsFrame(delta=_mouth(self._agent, config)))

    async def carry(self) -> None:
        """Carry frames into the pipeline until cancelled."""
        while True:
            frame = await self._frames.get()
            if self._begun:
                await self._begun.call.queue(frame)

    # What comes out.

    def encoded(self, audio: bytes, encoding: Format) -> tuple[bytes, float]:
        """Return PCM that left the call in the client's encoding, and how long it sounds, seconds."""
        assert self._begun
        return self._begun.encoder.feed(audio, encoding), len(audio) / BYTES_PER_SAMPLE / self._begun.rate


def _mouth(agent: Agent, config: SessionConfig) -> CartesiaTTSSettings:
    return CartesiaTTSSettings(
        voice=voice_of(agent, config), generation_config=GenerationConfig(speed=config.audio.output.speed)
    )
