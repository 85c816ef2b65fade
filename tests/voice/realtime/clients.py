"""Four real clients of the protocol, each driven as its own documentation says, behind one small interface."""

import abc
import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel
from livekit import rtc
from livekit.agents import llm as livekit_llm
from livekit.agents.types import APIConnectOptions
from livekit.plugins.openai.realtime import RealtimeModel
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime import events as pipecat_events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner

RATE = 24_000
#: Milliseconds of sound in a message.
CHUNK = RATE // 20 * 2
PATIENCE_SECONDS = 60.0
#: With one example: without it the small model's geography is a matter of luck.
INSTRUCTIONS = """Answer each question with one short sentence.

Question: what is the capital of spain
Answer: The capital of Spain is Madrid."""


@livekit_llm.function_tool(name="weather", description="Tell how the weather is in a city.")
async def livekit_weather(city: str) -> str:
    """Tell how the weather is in a city."""
    return f"It is snowing in {city}."


@function_tool
def weather(city: str) -> str:
    """Tell how the weather is in a city."""
    return f"It is snowing in {city}."


class Caller(abc.ABC):
    """A client with a microphone that never stops, and a note of what happened.

    ``heard`` are the transcripts of its own turns, ``said`` those of the answers; ``cuts`` counts the answers it
    was told to stop playing.
    """

    def __init__(self, url: str, key: str = "none") -> None:
        self.url = url
        self.key = key
        self.heard: list[str] = []
        self.said: list[str] = []
        self.sound = bytearray()
        self.cuts = 0
        self.problems: list[str] = []
        self._speech = bytearray()
        self._changed = asyncio.Event()
        self._saying = ""

    # What every client does in its own words.

    @abc.abstractmethod
    def connected(self) -> contextlib.AbstractAsyncContextManager[Any]:
        """Connect, and disconnect in order at the end."""

    @abc.abstractmethod
    async def send(self, audio: bytes) -> None:
        """Send sound of the microphone: 24 kHz, 16 bits."""

    @abc.abstractmethod
    async def write(self, text: str) -> None:
        """Write a message, and ask for an answer."""

    @abc.abstractmethod
    def die(self) -> None:
        """Cut the connection without a word."""

    # What is the same for all.

    def say(self, audio: bytes) -> None:
        """Speak into the microphone."""
        self._speech += audio

    async def microphone(self) -> None:
        """Send what is said, and silence in between, in real time."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            piece, self._speech = bytes(self._speech[:CHUNK]), self._speech[CHUNK:]
            await self.send(piece.ljust(CHUNK, b"\0"))
            due += CHUNK / 2 / RATE
            await asyncio.sleep(max(0.0, due - loop.time()))

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Connect, and keep the microphone open."""
        async with self.connected():
            microphone = asyncio.create_task(self.microphone())
            try:
                yield
            finally:
                microphone.cancel()
                await asyncio.gather(microphone, return_exceptions=True)

    async def until(self, what: Any, name: str) -> None:
        """Wait for ``what()`` to be true."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not what():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            noted = f"heard {self.heard}, said {self.said}, {len(self.sound)} bytes, {self.problems}"
            raise AssertionError(f"{type(self).__name__} never came to: {name}; {noted}") from None

    def note(self) -> None:
        """Wake whoever waits."""
        self._changed.set()

    def note_sound(self, audio: bytes) -> None:
        """Note sound of the agent."""
        self.sound += audio
        self.note()

    def note_answer(self, text: str) -> None:
        """Note that an answer has ended."""
        self.said.append(text)
        self._saying = ""
        self.note()


class OpenAICaller(Caller):
    """The openai SDK."""

    connection: AsyncRealtimeConnection

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Connect as its README does."""
        client = AsyncOpenAI(api_key=self.key, base_url=f"{self.url}/v1")
        async with client.realtime.connect(model="gpt-realtime") as self.connection:
            transcription = {"model": "gpt-4o-transcribe"}
            await self.connection.session.update(
                session={"type": "realtime", "audio": {"input": {"transcription": transcription}}}
            )
            reading = asyncio.create_task(self._read())
            try:
                yield
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        async for event in self.connection:
            match event.type:
                case "conversation.item.input_audio_transcription.completed":
                    self.heard.append(event.transcript)
                case "response.output_audio.delta":
                    self.note_sound(base64.b64decode(event.delta))
                case "response.output_audio_transcript.delta" | "response.output_text.delta":
                    self._saying += event.delta
                case "response.done":
                    self.cuts += event.response.status == "cancelled"
                    self.note_answer(self._saying)
                case "error":
                    self.problems.append(event.error.message)
            self.note()

    async def send(self, audio: bytes) -> None:
        """Append to the buffer."""
        with contextlib.suppress(Exception):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(audio).decode())

    async def write(self, text: str) -> None:
        """Create an item and a response."""
        content = [{"type": "input_text", "text": text}]
        item: Any = {"type": "message", "role": "user", "content": content}
        await self.connection.conversation.item.create(item=item)
        await self.connection.response.create()

    def die(self) -> None:
        """Abort the socket."""
        self.connection._connection.transport.abort()


class AgentsCaller(Caller):
    """openai-agents, with its runner and session."""

    session: RealtimeSession
    _model: OpenAIRealtimeWebSocketModel

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Run an agent that has a tool."""
        agent = RealtimeAgent(name="guide", instructions=INSTRUCTIONS, tools=[weather])
        self._model = OpenAIRealtimeWebSocketModel()
        ws_url = f"ws{self.url.removeprefix('http')}/v1/realtime?model=gpt-realtime"
        settings: Any = {"model_name": "gpt-realtime", "tool_choice": "auto"}
        runner = RealtimeRunner(agent, model=self._model)
        self.session = await runner.run(
            model_config={"api_key": self.key, "url": ws_url, "initial_model_settings": settings}
        )
        async with self.session:
            reading = asyncio.create_task(self._read())
            try:
                yield
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        async for event in self.session:
            if event.type == "audio":
                self.note_sound(event.audio.data)
            elif event.type == "audio_interrupted":
                self.cuts += 1
            elif event.type == "tool_end":
                self.problems.append(f"tool: {event.output}")
            elif event.type == "error":
                self.problems.append(str(event.error))
            elif event.type == "raw_model_event":
                self._raw(event.data)
            self.note()

    def _raw(self, event: Any) -> None:
        if event.type == "input_audio_transcription_completed":
            self.heard.append(event.transcript)
        elif event.type in ("transcript_delta", "output_text_delta"):
            self._saying += event.delta
        elif event.type == "turn_ended":
            self.note_answer(self._saying)

    async def send(self, audio: bytes) -> None:
        """Send audio."""
        with contextlib.suppress(Exception):
            await self.session.send_audio(audio)

    async def write(self, text: str) -> None:
        """Send a message."""
        await self.session.send_message(text)

    def die(self) -> None:
        """Abort the socket."""
        assert self._model._websocket
        self._model._websocket.transport.abort()


class LiveKitCaller(Caller):
    """livekit-plugins-openai: its model's session, driven as livekit's own AgentSession drives it."""

    def __init__(self, url: str, key: str = "none") -> None:
        super().__init__(url, key)
        self._replies: set[asyncio.Task[None]] = set()
        self._chat = livekit_llm.ChatContext.empty()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Open a session; it connects by itself."""
        async with aiohttp.ClientSession() as self._http:
            model = RealtimeModel(
                base_url=f"{self.url}/v1",
                api_key=self.key,
                http_session=self._http,
                conn_options=APIConnectOptions(max_retry=0),
            )
            self.session = model.session()
            self.session.on("generation_created", self._generation)
            self.session.on("input_audio_transcription_completed", self._transcribed)
            self.session.on("input_speech_started", self._speech_started)
            self.session.on("error", lambda error: (self.problems.append(repr(error.error)), self.note()))
            try:
                yield
            finally:
                with contextlib.suppress(Exception):
                    await self.session.aclose()
                for reply in self._replies:
                    reply.cancel()

    def _generation(self, event: Any) -> None:
        reply = asyncio.create_task(self._read(event))
        self._replies.add(reply)

    async def _read(self, event: Any) -> None:
        async for message in event.message_stream:

            async def play(stream: Any) -> None:
                async for frame in stream:
                    self.note_sound(bytes(frame.data))

            playing = asyncio.create_task(play(message.audio_stream))
            async for text in message.text_stream:
                self._saying += text
            await playing
        self.note_answer(self._saying)
        async for call in event.function_stream:
            chat = self.session.chat_ctx.copy()
            output = f"It is snowing in {json.loads(call.arguments)['city']}."
            chat.items.append(
                livekit_llm.FunctionCallOutput(
                    call_id=call.call_id, name=call.name, output=output, is_error=False
                )
            )
            await self.session.update_chat_ctx(chat)
            await self.session.generate_reply()

    def _transcribed(self, event: Any) -> None:
        if event.is_final:
            self.heard.append(event.transcript)
            self.note()

    def _speech_started(self, _: Any) -> None:
        if self.session.has_active_generation:
            self.cuts += 1
            self.session.interrupt()
        self.note()

    async def send(self, audio: bytes) -> None:
        """Push a frame."""
        self.session.push_audio(rtc.AudioFrame(audio, RATE, 1, len(audio) // 2))

    async def write(self, text: str) -> None:
        """Add to the chat context, and ask for a reply."""
        self._chat.add_message(role="user", content=text)
        await self.session.update_chat_ctx(self._chat)
        await self.session.generate_reply()

    def die(self) -> None:
        """Abort the socket."""
        connector: Any = self._http.connector
        for protocol in list(connector._acquired):
            protocol.transport.abort()


class _Watch(FrameProcessor):
    """Notes frames that pass."""

    def __init__(self, caller: "PipecatCaller") -> None:
        super().__init__()
        self._caller = caller

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note a frame and pass it on."""
        await super().process_frame(frame, direction)
        self._caller.passed(frame, direction)
        await self.push_frame(frame, direction)


WEATHER = FunctionSchema(
    name="weather",
    description="Tell how the weather is in a city.",
    properties={"city": {"type": "string"}},
    required=["city"],
)


class PipecatCaller(Caller):
    """pipecat's own service, in a pipeline."""

    #: Whether the model may call its tool.
    tools = False

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Run a pipeline of aggregators and the service."""
        ws_url = f"ws{self.url.removeprefix('http')}/v1/realtime"
        transcription = pipecat_events.InputAudioTranscription()
        properties = pipecat_events.SessionProperties(
            tools=[WEATHER] if self.tools else None,
            audio=pipecat_events.AudioConfiguration(
                input=pipecat_events.AudioInput(transcription=transcription)
            ),
        )
        self.service = OpenAIRealtimeLLMService(
            api_key=self.key,
            base_url=ws_url,
            settings=OpenAIRealtimeLLMService.Settings(
                session_properties=properties,
                system_instruction=INSTRUCTIONS,
            ),
        )
        self.service.register_function("weather", self._weather)
        pair = LLMContextAggregatorPair(LLMContext())
        before, after = _Watch(self), _Watch(self)
        self.worker = PipelineWorker(
            Pipeline([pair.user(), before, self.service, after, pair.assistant()]),
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
            idle_timeout_secs=None,
            enable_rtvi=False,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        running = asyncio.create_task(runner.run())
        try:
            yield
        finally:
            await self.worker.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _weather(self, params: FunctionCallParams) -> None:
        await params.result_callback(f"It is snowing in {params.arguments['city']}.")

    def passed(self, frame: Frame, direction: FrameDirection) -> None:
        """Note what a frame says; each passes one of the two watches of its direction, or both."""
        down = direction is FrameDirection.DOWNSTREAM
        match frame:
            case TranscriptionFrame(text=text) if not down:
                self.heard.append(text)
            case TTSAudioRawFrame(audio=audio) if down:
                self.note_sound(audio)
            case TTSTextFrame(text=text) if down:
                self._saying += text
            case LLMFullResponseEndFrame() if down and self._saying:
                self.note_answer(self._saying)
            case InterruptionFrame() if down:
                self.cuts += 1
            case ErrorFrame(error=error):
                self.problems.append(error)
        self.note()

    async def send(self, audio: bytes) -> None:
        """Queue a frame."""
        await self.worker.queue_frame(InputAudioRawFrame(audio=audio, sample_rate=RATE, num_channels=1))

    async def write(self, text: str) -> None:
        """Append a message to the context, and run: how a pipecat bot begins."""
        message: Any = {"role": "user", "content": text}
        await self.worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))

    def die(self) -> None:
        """Abort the socket."""
        assert self.service._websocket
        self.service._websocket.transport.abort()


CLIENTS: list[type[Caller]] = [OpenAICaller, AgentsCaller, LiveKitCaller, PipecatCaller]
