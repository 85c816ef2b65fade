"""pipecat's own Cartesia service, unmodified, against the mouth."""

import asyncio

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import WorkerRunner
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.tts_service import TextAggregationMode

from tests.tts.conftest import Mouth


class Listener(FrameProcessor):
    """Keeps what the service says."""

    def __init__(self) -> None:
        super().__init__()
        self.audio = b""
        self.words: list[str] = []
        self.stopped = asyncio.Event()
        self.heard = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Keep and pass on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.audio += frame.audio
            self.heard.set()
        elif isinstance(frame, TTSTextFrame):
            self.words.append(frame.text)
        elif isinstance(frame, TTSStoppedFrame):
            self.stopped.set()
        await self.push_frame(frame, direction)


async def converse(mouth: Mouth, tokens: list[str], mode: TextAggregationMode) -> Listener:
    """Let the service say ``tokens`` as one reply and return what came out."""
    service = CartesiaTTSService(
        api_key="none",
        url=f"{mouth.websocket_url}/tts/websocket",
        sample_rate=8000,
        text_aggregation_mode=mode,
        settings=CartesiaTTSService.Settings(voice="joe"),
    )
    listener = Listener()
    worker = PipelineWorker(
        Pipeline([service, listener]),
        params=PipelineParams(audio_out_sample_rate=8000),
        enable_rtvi=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run(worker))
        frames: list[Frame] = [LLMFullResponseStartFrame()]
        frames += [LLMTextFrame(token) for token in tokens]
        await worker.queue_frames([*frames, LLMFullResponseEndFrame()])
        async with asyncio.timeout(20):
            await listener.stopped.wait()
        await worker.queue_frames([EndFrame()])
    return listener


async def test_sentences_come_back_as_sound_and_words(mouth: Mouth) -> None:
    """In sentence mode every word of the reply comes back, with its sound."""
    tokens = ["The capital", " of France", " is Paris.", " It lies", " on the Seine."]
    listener = await converse(mouth, tokens, TextAggregationMode.SENTENCE)
    assert " ".join(listener.words) == "The capital of France is Paris. It lies on the Seine."
    assert len(listener.audio) > 2 * 8000 * 2


async def test_tokens_are_joined_by_the_server(mouth: Mouth) -> None:
    """In token mode the mouth itself finds the clauses."""
    tokens = ["The", " capital", " of", " France", ",", " my", " friend", ",", " is", " Par", "is", "."]
    listener = await converse(mouth, tokens, TextAggregationMode.TOKEN)
    assert "".join(listener.words).replace(" ", "") == "ThecapitalofFrance,myfriend,isParis."
