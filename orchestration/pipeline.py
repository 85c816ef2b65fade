"""The pipecat pipeline of one call: ear, mind and mouth between a door's two ends.

Built from pipecat's own services pointed at our servers; what is measured on the way goes to the recorder.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openai.types.chat import ChatCompletionChunk
from pipecat.classifiers.llm.classifier import LLMClassifier
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    LLMContextFrame,
    LLMFullResponseStartFrame,
    SystemFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_transport import BaseTransport
from pipecat.turns.speculation_gate import SpeculationGate
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import ExternalUserTurnStartStrategy
from pipecat.turns.user_stop import EagerUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from asr.client import EarService
from asr.detectors import SpeechProbability
from llm.budget import ModelCallBudget
from llm.client import Answer, LLMClient
from llm.profile import Sampling
from llm.service import OffhookLLMService
from llm.tools import Tool, ToolRunner, schema_of
from orchestration.agent import Agent
from orchestration.bargein import BargeIn
from orchestration.dialogue import Dialogue, Request, UnkeptContext, WrittenFrame
from orchestration.echo import EchoGuard
from orchestration.floor import Floor
from orchestration.readahead import ReadAhead
from orchestration.recorder import CallRecorder
from orchestration.screening import PhraseClassifier, Screening
from orchestration.settings import Configuration
from orchestration.speaker import SPECULATIVE, Speaker
from orchestration.wager import Wager
from tts.client import MouthService

#: The ear bounds every turn itself; this only catches one that never reports again, seconds.
TURN_STOP_SECONDS = 30.0
#: A reading ahead that takes longer is given up: an answer waits for one in progress.
READ_SECONDS = 0.25
#: pipecat insists on a key; our servers on loopback ask for none.
NO_KEY = "none"


class TurnStop(EagerUserTurnStopStrategy):
    """pipecat's eager strategy, which ends a turn once.

    While pipecat waits for its own timer to be cancelled, its transcript timer can fire and end the same turn
    again, without the speculation that was just taken: the caller would hear two answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stopping = False

    async def trigger_user_turn_stopped(self, *, enable_user_speaking_frames: bool | None = None) -> None:
        """End the turn, unless that is under way."""
        if self._stopping:
            return
        self._stopping = True
        try:
            await super().trigger_user_turn_stopped(enable_user_speaking_frames=enable_user_speaking_frames)
        finally:
            self._stopping = False


class TurnStart(ExternalUserTurnStartStrategy):
    """pipecat's strategy; whether a turn that begins interrupts is asked each time."""

    def __init__(self, interruptible: Callable[[], bool]) -> None:
        super().__init__()
        self._interruptible = interruptible

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Look whether ``frame`` begins a turn."""
        self._enable_interruptions = self._interruptible()
        return await super().process_frame(frame)


class ToolGate(SpeculationGate):
    """Knows whether an answer is speculative, and lets all of it through.

    pipecat's service asks its gate before it runs a tool. The speech of a speculative answer is held after the
    mouth, by the :class:`~orchestration.speaker.Speaker`, which learns from the answer's first frame what it is.
    """

    def process(self, frame: Frame, direction: FrameDirection) -> list[tuple[Frame, FrameDirection]]:
        """Take note of what settles a speculation, and return ``frame``."""
        if isinstance(frame, SystemFrame):
            super().process(frame, direction)
        elif isinstance(frame, LLMFullResponseStartFrame):
            frame.metadata[SPECULATIVE] = self.is_speculating
        return [(frame, direction)]


class MindService(OffhookLLMService):
    """The call's language model, telling the recorder of requests and tokens.

    Where a client keeps the conversation, ``dialogue`` says what is asked, and takes the calls of its tools. Given
    the ``conversation``, the engine reads what the caller says in it while they speak.
    """

    def __init__(
        self,
        client: LLMClient,
        recorder: CallRecorder,
        dialogue: Dialogue | None,
        conversation: LLMContext | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            client,
            call=recorder.record.call_id,
            trace_headers=recorder.turn_headers,
            on_answer=self._answered,
            **kwargs,
        )
        self._recorder = recorder
        self._dialogue = dialogue
        self._asked: Request | None = None
        self._speculation_gate = ToolGate(name="ToolGate")
        self._conversation = conversation
        self._ahead = ReadAhead()
        self._heard = asyncio.Event()
        self._reading = asyncio.Lock()

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Connect, and begin to read ahead."""
        await super().setup(setup)
        self._reader = self.create_task(self._read_ahead(), "mind-read-ahead")

    async def cleanup(self) -> None:
        """Stop reading, and disconnect."""
        await self.cancel_task(self._reader)
        await super().cleanup()

    def heard(self, message: Mapping[str, Any], now: float) -> None:
        """Take a message of the ear about a turn that counts."""
        if self._conversation is not None:
            self._ahead.heard(message, now)
            self._heard.set()

    async def _read_ahead(self) -> None:
        while True:
            self._heard.clear()
            due = self._ahead.due
            try:
                async with asyncio.timeout(None if due is None else due - time.monotonic()):
                    await self._heard.wait()
            except TimeoutError:
                await self._read(self._ahead.take(time.monotonic(), self._recorder.silent_seconds))

    async def _read(self, text: str | None) -> None:
        if text is None or self._conversation is None:
            return
        messages: list[Any] = [*self._conversation.messages, {"role": "user", "content": text}]
        with contextlib.suppress(TimeoutError):
            async with self._reading, asyncio.timeout(READ_SECONDS):
                await self.prefill(LLMContext(messages, self._conversation.tools))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; where a client keeps the conversation, it says what is asked."""
        if isinstance(frame, LLMContextFrame) and self._dialogue:
            self._asked = self._dialogue.request(frame.context)
            if self._asked is None:
                return
            self._skip_tts = not self._asked.spoken
        await super().process_frame(frame, direction)

    async def run_function_calls(self, function_calls: Sequence[FunctionCallFromLLM]) -> None:
        """Run the tools that an answer calls, or hand the calls to the client whose tools they are."""
        if self._dialogue is None or self._speculation_gate.is_speculating:
            await super().run_function_calls(function_calls)
        else:
            self._dialogue.called(function_calls)

    async def _request(self, context: LLMContext) -> dict[str, Any]:
        request = await super()._request(context)
        return self._asked.complete(request) if self._asked else request

    def _answered(self, answer: Answer) -> None:
        self._recorder.llm_finished(answer)
        if self._dialogue:
            self._dialogue.answered(answer)

    async def get_chat_completions(self, context: LLMContext) -> AsyncGenerator[ChatCompletionChunk, None]:  # type: ignore[override]
        """Return the chunks of the answer to ``context``."""
        self._recorder.llm_requested(time.monotonic())
        async with self._reading:
            pass  # Asked beside a reading, the engine would have no prefix of this call to go on from.
        return await super().get_chat_completions(context)

    async def _push_llm_text(self, text: str) -> None:
        self._recorder.llm_text(text, time.monotonic())
        if self._asked and not self._asked.spoken:
            await self.push_frame(WrittenFrame(text))
        else:
            await super()._push_llm_text(text)


@dataclass(frozen=True)
class CallPipeline:
    """A pipeline, and what is worth doing beside it.

    Attributes:
        pipeline: from the door's input to its output.
        prefill: has the engine read the prompt while the greeting is heard.
        say: speaks a phrase that is no part of the conversation. It starts behind the mind: from the pipeline's
            beginning it would wait for the very answer whose lateness it excuses.
        screening: finds out who has picked up; None where nobody asks.

    """

    pipeline: Pipeline
    prefill: Callable[[], Coroutine[Any, Any, None]]
    say: Callable[[str], Coroutine[Any, Any, None]]
    screening: Screening | None = None


def build_pipeline(
    agent: Agent,
    configuration: Configuration,
    transport: BaseTransport,
    recorder: CallRecorder,
    *,
    client: LLMClient,
    sampling: Sampling,
    detector: SpeechProbability,
    sample_rate: int,
    dialogue: Dialogue | None = None,
    tools: Sequence[Tool] = (),
    screened: bool = False,
    read_ahead: bool = True,
) -> CallPipeline:
    """Return the pipeline of one call.

    Args:
        agent: who answers.
        configuration: where ear and mouth are, and their models.
        transport: the door's two ends.
        recorder: writes the call down.
        client: the language model's.
        sampling: the engine profile's.
        detector: Silero VAD, shared by all calls.
        sample_rate: of the door's audio, Hz.
        dialogue: the client's conversation, where the client keeps it; its tools are then the client's.
        tools: the agent's.
        screened: the call begins by finding out who has picked up.
        read_ahead: the engine may be asked more often than there are answers.

    """
    tools = () if dialogue else tools
    guard = configuration.guard.at(recorder.record.door)
    bargein = BargeIn(agent.language, guard.barge_in())
    echo = (
        None if guard.cancel_echo == "never" else EchoGuard(sample_rate, always=guard.cancel_echo == "always")
    )
    floor = Floor(
        recorder,
        bargein,
        detector,
        sample_rate=sample_rate,
        wager=Wager(agent.turns.speculation_price),
        dialogue=dialogue,
        echo=echo,
    )
    context = UnkeptContext() if dialogue else _context(tools)
    aggregators = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            user_turn_strategies=UserTurnStrategies(
                start=[TurnStart(floor.interruptible)], stop=[TurnStop()]
            ),
            user_turn_stop_timeout=TURN_STOP_SECONDS,
        ),
    )
    reads_ahead = read_ahead and agent.turns.read_ahead and not dialogue
    mind = MindService(
        client,
        recorder,
        dialogue,
        context if reads_ahead else None,
        sampling=_sampling(agent, sampling),
        system_prompt=agent.system_prompt,
        adapter=agent.models.llm,
        tools=ToolRunner(
            {tool.name: tool for tool in tools},
            headers=recorder.turn_headers,
            on_begun=recorder.tool_begun,
            on_ended=recorder.tool_called,
        ),
        tool_choice="auto" if dialogue else agent.tool_choice,
        budget=ModelCallBudget(
            per_turn=configuration.llm.calls_per_turn, per_call=configuration.llm.calls_per_call
        ),
    )
    floor.on_heard = mind.heard
    screening = _screening(agent, mind) if screened and agent.voicemail.action != "talk" else None
    floor.screening = screening
    pipeline = Pipeline(
        [
            transport.input(),
            _ear(agent, configuration, recorder, floor),
            *([screening] if screening else []),
            aggregators.user(),
            mind,
            _mouth(agent, configuration, recorder, floor.speaker),
            floor.speaker,
            transport.output(),
            aggregators.assistant(),
        ]
    )
    return CallPipeline(pipeline, lambda: mind.prefill(_first_prompt(agent, tools)), mind.say, screening)


def _screening(agent: Agent, mind: MindService) -> Screening:
    voicemail = agent.voicemail
    if voicemail.judge == "model":
        return Screening(voicemail, LLMClassifier(llm=mind))
    return Screening(voicemail, PhraseClassifier(voicemail.phrases, person_words=voicemail.person_words))


def _context(tools: Sequence[Tool], messages: Sequence[Any] = ()) -> LLMContext:
    """Return a conversation: its tools stand before it, and never change during a call."""
    return LLMContext(list(messages), schema_of(tools)) if tools else LLMContext(list(messages))


def _first_prompt(agent: Agent, tools: Sequence[Tool]) -> LLMContext:
    """Return what the first question will be asked after."""
    greeting = [{"role": "assistant", "content": agent.greeting}] if agent.greeting else []
    return _context(tools, [*greeting, {"role": "user", "content": ""}])


def _ear(agent: Agent, configuration: Configuration, recorder: CallRecorder, floor: Floor) -> EarService:
    turns = agent.turns
    return EarService(
        headers=recorder.call_headers(),
        on_turn_info=floor.turn_info,
        on_audio=floor.ear_audio,
        turn_headers=recorder.turn_headers,
        clean=floor.clean,
        audio_passthrough=False,
        api_key=NO_KEY,
        url=f"{configuration.asr_url}/v2/listen",
        enable_eager_end_of_turn=turns.speculate,
        settings=EarService.Settings(
            model=agent.models.asr or configuration.asr.model,
            eager_eot_threshold=turns.eager_eot_threshold if turns.speculate else None,
            eot_threshold=turns.eot_threshold,
            eot_timeout_ms=turns.eot_timeout_ms,
            keyterm=list(agent.vocabulary),
        ),
    )


def _mouth(
    agent: Agent, configuration: Configuration, recorder: CallRecorder, speaker: Speaker
) -> MouthService:
    return MouthService(
        on_text=recorder.mouth_text,
        on_audio=recorder.mouth_audio,
        is_speculating=lambda: speaker.gate.is_speculating,
        text_language=agent.language,
        lexicon=agent.lexicon,
        turn_headers=recorder.turn_headers,
        api_key=NO_KEY,
        url=f"{configuration.tts_url}/tts/websocket",
        extra_headers=dict(recorder.call_headers()),
        settings=MouthService.Settings(voice=agent.voice, model="offhook", language=agent.language),
    )


def _sampling(agent: Agent, profile: Sampling) -> Sampling:
    wanted: Mapping[str, Any] = agent.sampling.model_dump(exclude_none=True)
    return profile.model_copy(update=dict(wanted))
