"""pipecat's own Deepgram services against the real server, unmodified."""

import asyncio
from collections.abc import Callable

import numpy as np
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.workers.runner import WorkerRunner

from asr.audio import SAMPLE_RATE, Samples
from tests.asr.conftest import Server, linear16, play, silence

SENTENCE = "What time is it?"


class Catcher(FrameProcessor):
    """Keeps every frame that reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take one frame."""
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)


async def run(service: FrameProcessor, audio: Samples) -> list[Frame]:
    """Play audio through a pipeline with ``service`` and return the frames that came out."""
    catcher = Catcher()
    worker = PipelineWorker(
        Pipeline([service, catcher]),
        params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE),
        enable_rtvi=False,
    )
    running = asyncio.create_task(WorkerRunner(handle_sigint=False).run(worker))
    await asyncio.sleep(0.5)

    async def send(data: bytes) -> None:
        await worker.queue_frame(InputAudioRawFrame(data, SAMPLE_RATE, 1))

    await play(send, linear16(audio), 2 * SAMPLE_RATE)
    await asyncio.sleep(1.0)
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 30)
    return catcher.frames


async def test_the_flux_service_with_eager_ends(server: Server, speech: Callable[[str], Samples]) -> None:
    """DeepgramFluxSTTService hears the turn: eager, interim and final, with the final finalized."""
    service = DeepgramFluxSTTService(
        api_key="unused", url=f"{server.ws}/v2/listen", enable_eager_end_of_turn=True
    )
    eager: list[str] = []
    ended: list[str] = []

    @service.event_handler("on_eager_end_of_turn")
    async def on_eager(_: object, transcript: str) -> None:
        eager.append(transcript)

    @service.event_handler("on_end_of_turn")
    async def on_end(_: object, transcript: str) -> None:
        ended.append(transcript)

    frames = await run(service, np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0)]))
    finals = [frame for frame in frames if isinstance(frame, TranscriptionFrame)]
    assert len(finals) == 1
    assert "time is it" in finals[0].text.lower()
    assert finals[0].finalized
    assert eager == ended == [finals[0].text]


async def test_the_streaming_service(server: Server, speech: Callable[[str], Samples]) -> None:
    """DeepgramSTTService gets interim and final transcriptions."""
    service = DeepgramSTTService(api_key="unused", base_url=server.ws)
    frames = await run(service, np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0)]))
    finals = [frame for frame in frames if isinstance(frame, TranscriptionFrame)]
    assert "time is it" in finals[-1].text.lower()
    assert any(isinstance(frame, InterimTranscriptionFrame) for frame in frames)
