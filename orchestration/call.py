"""One call: runs its pipeline until a reason to end comes, and says which."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from pipecat.frames.frames import EndFrame, Frame, LLMMessagesAppendFrame, TTSSpeakFrame
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frameworks.rtvi import RTVIObserverParams
from pipecat.workers.runner import WorkerRunner

from orchestration.agent import Agent
from orchestration.callrecord import CallRecord
from orchestration.control import HeardFrame
from orchestration.patience import HangUp, Patience, Say
from orchestration.pipeline import CallPipeline
from orchestration.recorder import CallRecorder
from orchestration.screening import Screening

logger = logging.getLogger(__name__)

#: How often the limits of a call are looked at, seconds.
WATCH_SECONDS = 0.25
#: How long a cancelled pipeline may take to drain, seconds.
CANCEL_SECONDS = 3.0
#: How long a goodbye is given to be heard, seconds.
GOODBYE_SECONDS = 2.0
#: Longest message left on a machine, seconds.
MESSAGE_SECONDS = 60.0


def _rtvi_events() -> RTVIObserverParams:
    """Return what a client is told: what was heard and said, and nothing of answers that may be withdrawn."""
    return RTVIObserverParams(bot_llm_enabled=False, user_llm_enabled=False, metrics_enabled=False)


class Call:
    """A call in progress.

    Args:
        agent: who answers.
        pipeline: as :func:`orchestration.pipeline.build_pipeline` builds it.
        recorder: writes the call down.
        sample_rate: of the door's audio, both ways, Hz.
        rtvi: whether the other side is told of the conversation by RTVI messages.

    """

    def __init__(
        self,
        agent: Agent,
        pipeline: CallPipeline,
        recorder: CallRecorder,
        *,
        sample_rate: int,
        rtvi: bool = False,
    ) -> None:
        self._agent = agent
        self._prefill = pipeline.prefill
        self._say = pipeline.say
        self._screening = pipeline.screening
        self._patience = Patience(agent.silence)
        self._recorder = recorder
        self._ended = asyncio.Event()
        self._reason = "pipeline ended"
        #: Told why the call ends, while its connection still stands.
        self.on_end: Callable[[str], None] = lambda _: None
        self._worker = PipelineWorker(
            pipeline.pipeline,
            params=PipelineParams(
                audio_in_sample_rate=sample_rate,
                audio_out_sample_rate=sample_rate,
                enable_usage_metrics=False,
            ),
            enable_rtvi=rtvi,
            rtvi_observer_params=_rtvi_events() if rtvi else None,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            cancel_timeout_secs=CANCEL_SECONDS,
        )

        self._worker.add_event_handler("on_pipeline_finished", self._finished)
        if self._screening:
            self._screening.add_event_handler("on_conversation_detected", self._meet_person)
            self._screening.add_event_handler("on_voicemail_detected", self._meet_machine)

    def end(self, reason: str) -> None:
        """End the call; the first reason given stands."""
        if not self._ended.is_set():
            self._reason = reason
            self._ended.set()

    async def _finished(self, _: PipelineWorker, frame: Frame) -> None:
        # All else cancels a pipeline; in order it is ended by RTVI's disconnect-bot alone.
        if isinstance(frame, EndFrame):
            self.end("caller hung up")

    async def queue(self, frame: Frame) -> None:
        """Put a frame into the call, as if its caller's side had sent it."""
        await self._worker.queue_frame(frame)

    async def run(self) -> CallRecord:
        """Hold the call until it ends; return what happened."""
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch(), name="call-watch")
                group.create_task(self._cancel_when_ended(), name="call-end")
                self._recorder.opening(self._agent.greeting, self._agent.system_prompt)
                if not self._screening:
                    await self._greet()
                ahead = group.create_task(self._prefill(), name="call-prefill")
                await runner.run()
                ahead.cancel()
                watch.cancel()
                self.end(self._reason)
        finally:
            record = self._recorder.finish(self._reason)
            logger.info(
                "call %s ended: %s; %d turns, trace %s",
                record.call_id, record.end_reason, len(record.turns), record.trace_id,
            )  # fmt: skip
        return record

    async def _greet(self) -> None:
        if self._agent.greeting:
            await self._worker.queue_frame(TTSSpeakFrame(self._agent.greeting))

    async def _meet_person(self, screening: Screening) -> None:
        """A person has picked up: the greeting answers their first words, or else the mind does."""
        logger.info("call %s: a person picked up", self._recorder.record.call_id)
        if self._agent.greeting:
            await self._greet()
        else:
            await self._worker.queue_frame(
                LLMMessagesAppendFrame(messages=[{"role": "user", "content": screening.heard}], run_llm=True)
            )

    async def _meet_machine(self, screening: Screening) -> None:
        """A machine has picked up: leave the message, or hang up at once."""
        logger.info("call %s: a machine picked up", self._recorder.record.call_id)
        voicemail = self._agent.voicemail
        if voicemail.action != "message":
            self.end("a machine picked up")
            return
        # Behind the screening, which lets nothing more through.
        behind = HeardFrame()
        await screening.push_frame(TTSSpeakFrame(voicemail.message, append_to_context=False))
        await screening.push_frame(behind)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MESSAGE_SECONDS):
                await behind.heard.wait()
        await asyncio.sleep(GOODBYE_SECONDS)
        self.end("a machine picked up and has the message")

    async def _cancel_when_ended(self) -> None:
        await self._ended.wait()
        self.on_end(self._reason)
        await self._worker.cancel(reason=self._reason)

    async def _watch(self) -> None:
        limits = self._agent.limits
        began = time.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            if now - began > limits.max_call_seconds:
                self.end(f"reached max_call_seconds = {limits.max_call_seconds:g}")
            if now - self._recorder.last_activity > limits.idle_seconds:
                self.end(f"nobody spoke for idle_seconds = {limits.idle_seconds:g}")
            await self._be_patient(now)

    async def _be_patient(self, now: float) -> None:
        for action in self._patience.look(self._recorder.waiting(now)):
            match action:
                case Say(text):
                    self._recorder.set_phrase(now)
                    await self._say(text)
                case HangUp(reason):
                    await asyncio.sleep(GOODBYE_SECONDS)
                    self.end(reason)
