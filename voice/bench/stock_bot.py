"""A stock pipecat bot behind Twilio's media stream: the peer that Offhook is measured against.

pipecat's own services with their defaults, on the same models and the same language model engine as Offhook:
``WhisperSTTService``, ``OpenAILLMService``, ``PiperTTSService``, default turn strategies. A process of its own
(``python -m voice.bench.stock_bot``); piper-tts is imported here and nowhere in Offhook's servers.
"""

import json
import sys

import click
import uvicorn
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.piper.tts import PiperTTSService
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from modelstore import locate
from orchestration.agent import Agent, load_agent

#: The voice file in the model store's directory.
PIPER_VOICE = "en_US-joe-medium"


class StockBot:
    """Answers calls with stock services."""

    def __init__(self, agent: Agent, llm_url: str, llm_model: str) -> None:
        self._agent = agent
        self._llm_url = llm_url
        self._llm_model = llm_model

    async def media(self, websocket: WebSocket) -> None:
        """Hold one call on Twilio's media stream."""
        await websocket.accept()
        await websocket.receive_text()
        start = json.loads(await websocket.receive_text())["start"]
        serializer = TwilioFrameSerializer(
            start["streamSid"], params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
        )
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=serializer),
        )
        worker = PipelineWorker(
            self._pipeline(transport),
            # WhisperSTTService takes what it gets for 16 kHz: at the line's 8 kHz it hears nothing but noise.
            params=PipelineParams(audio_in_sample_rate=16000, audio_out_sample_rate=8000),
            idle_timeout_secs=None,
        )

        async def gone(*_: object) -> None:
            await worker.cancel()

        transport.add_event_handler("on_client_disconnected", gone)
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        if self._agent.greeting:
            await worker.queue_frame(TTSSpeakFrame(self._agent.greeting))
        await runner.run()

    def _pipeline(self, transport: FastAPIWebsocketTransport) -> Pipeline:
        sampling = self._agent.sampling
        llm = OpenAILLMService(
            api_key="none",
            base_url=f"{self._llm_url}/v1",
            settings=OpenAILLMService.Settings(
                model=self._llm_model,
                system_instruction=self._agent.system_prompt,
                temperature=sampling.temperature,
                max_tokens=sampling.max_tokens,
            ),
        )
        aggregators = LLMContextAggregatorPair(
            LLMContext(), user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
        )
        return Pipeline(
            [
                transport.input(),
                WhisperSTTService(
                    device="cpu",
                    compute_type="int8",
                    settings=WhisperSTTService.Settings(model=str(locate("whisper-tiny.en"))),
                ),
                aggregators.user(),
                llm,
                PiperTTSService(
                    download_dir=locate("piper-en_US-joe-medium"),
                    settings=PiperTTSService.Settings(voice=PIPER_VOICE),
                ),
                transport.output(),
                aggregators.assistant(),
            ]
        )


async def ready(_: Request) -> PlainTextResponse:
    """Say that the process serves; models load with each call, before the greeting."""
    return PlainTextResponse("ready")


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--agent", required=True)
@click.option("--llm-url", required=True)
@click.option("--llm-model", required=True)
def main(port: int, agent: str, llm_url: str, llm_model: str) -> None:
    """Serve the bot on loopback."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    bot = StockBot(load_agent(agent), llm_url, llm_model)
    app = Starlette(routes=[Route("/readyz", ready), WebSocketRoute("/phone/twilio/media", bot.media)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
