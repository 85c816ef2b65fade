"""Writes one call down: its trace, its metrics, and the conversation for whoever asks within minutes.

A thin shell around :class:`~orchestration.timeline.Timeline`: it adds the clock's epoch, OpenTelemetry spans
and Prometheus observations. The texts it keeps stay in memory; they are in no log, and in spans only where the
owner turned that on.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, format_trace_id

from llm.client import Answer
from llm.tools import CANCELLED
from orchestration.audioclock import AudioClock
from orchestration.callrecord import CallRecord
from orchestration.callspans import SpanWriter, replica_of, summary
from orchestration.outcomes import call_outcome, last_turn_outcome, turn_outcome
from orchestration.patience import Wait, Waiting
from orchestration.playback import Playback
from orchestration.timeline import Moment, Turn
from telemetry import logs, metrics, names
from telemetry.cost import MachineShare, Prices, Use, cost_of
from telemetry.tracing import inject_context, tracer
from tts.clauses import ClauseSplitter

#: This gateway's machine, shared by its calls.
MACHINE = MachineShare(time.monotonic())
metrics.IDLE_SECONDS.set_function(lambda: MACHINE.idle_seconds(time.monotonic()))
BYTES_PER_SAMPLE = 2
#: Agent audio older than this has been heard out: whoever speaks now interrupts nobody, seconds.
SPEAKING_SECONDS = 0.2
#: An answer that the caller cut off has been reported as such, and its last sound has left, within this, seconds.
CUT_OFF_SECONDS = 0.5


@dataclass(frozen=True)
class EngineIdentity:
    """Which language model answers: OpenTelemetry's provider name, and the model."""

    provider: str = "offhook"
    model: str = "offhook"

    @property
    def charges_by_token(self) -> bool:
        """Whether it is somebody else's, where every prompt costs."""
        return self.provider == "openai"


@dataclass
class _OpenTurn:
    """A turn's span while the turn is written, and what is known of the answer that stands."""

    span: Span
    answer: Answer | None = None
    replaced: list[Link] = field(default_factory=list)


class CallRecorder:
    """Takes the events of one call; see the module's text.

    Args:
        call_id: the door's own identifier of the call.
        door: which door it came through.
        agent: name of the agent that answers.
        language: BCP 47 tag of what the agent says.
        parent: trace context the caller sent, or an empty one.
        version: of the agent's definition.
        engine: which language model answers.
        prices: what the owner pays.
        record_content: whether the trace says what was said; whoever exports it redacts it.

    """

    def __init__(
        self,
        *,
        call_id: str,
        door: str,
        agent: str,
        language: str,
        parent: Context,
        version: str = "",
        engine: EngineIdentity | None = None,
        prices: Prices | None = None,
        record_content: bool = False,
    ) -> None:
        engine = engine or EngineIdentity()
        self._prices = prices or Prices()
        self._language = language
        self._epoch = time.time() - time.monotonic()
        self._started = time.monotonic()
        self._labels = metrics.CallLabels(door, agent, version)
        self._model = engine.model
        self._span = tracer.start_span(
            names.SPAN_CALL,
            context=parent,
            start_time=int((self._epoch + self._started) * 1e9),
            attributes={
                names.CALL_ID: call_id,
                names.CALL_DOOR: door,
                names.CALL_AGENT: agent,
                names.CALL_VERSION: version,
            },
        )
        self._writer = SpanWriter(
            self._span,
            epoch=self._epoch,
            attributes=_llm_attributes(call_id, agent, engine),
            content=record_content,
        )
        self.record = CallRecord(
            call_id=call_id,
            door=door,
            agent=agent,
            trace_id=format_trace_id(self._span.get_span_context().trace_id),
            started=self._epoch + self._started,
            version=version,
        )
        self._timeline = self.record.timeline
        self._open: _OpenTurn | None = None
        #: The turn before, whose answer may still be reported as cut off.
        self._closing: tuple[Turn, _OpenTurn] | None = None
        self._ear_clock = AudioClock()
        #: How the carrier plays what it is sent.
        self.playback = Playback()
        self._clauses = ClauseSplitter(language)
        self._last_audible = float("-inf")
        self._heard_seconds = self._llm_seconds = self._wasted_llm_seconds = 0.0
        self._unanswered = self._tools_running = 0
        self._set_phrase, self._phrases_due = False, 0
        self.last_activity = self._started
        #: Told of a turn when its answer begins to be heard, and when it is over.
        self.on_turn: Callable[[Turn], None] = lambda _: None
        #: Told how long the caller waited for an answer (voice to voice, seconds), when it begins to be heard.
        self.on_answered: Callable[[float], None] = lambda _: None
        logs.bind(self._context(self._span), call_id=call_id)
        metrics.prepare(self._labels)
        metrics.CALLS_ACTIVE.labels(*self._labels).inc()
        self._machine_mark = MACHINE.begin(self._started)

    def opening(self, greeting: str, instructions: str) -> None:
        """The agent has been told its instructions and says ``greeting``."""
        self.record.greeting = greeting
        self._writer.opening(greeting, instructions)

    # What the call tells the servers.

    def call_headers(self) -> dict[str, str]:
        """Return the trace context of the call, as headers."""
        return inject_context(self._context(self._span))

    def turn_headers(self) -> dict[str, str]:
        """Return the trace context of the current turn, as headers; of the call where there is none."""
        return inject_context(self._context(self._open.span if self._open else self._span))

    @staticmethod
    def _context(span: Span) -> Context:
        return trace.set_span_in_context(span, Context())

    # The ear.

    def barged_in(self, began: float) -> None:
        """The caller took the turn from the agent; their first speech sample passed at ``began``."""
        self._timeline.mark(Moment.BARGED_IN, began)
        self._event(names.EVENT_BARGE_IN, began)

    def resumed(self, now: float) -> None:
        """What silenced the agent was nothing; it goes on with its sentence."""
        self.record.false_alarms += 1
        self._event(names.EVENT_RESUME, now)

    def ear_audio(self, audio: bytes | None, sample_rate: int, now: float) -> None:
        """Audio (mono 16-bit PCM) went to the ear; None: a new stream begins."""
        if audio is None:
            self._ear_clock = AudioClock()
        else:
            self._ear_clock.advance(audio, sample_rate, now)
            self._heard_seconds += len(audio) / BYTES_PER_SAMPLE / sample_rate

    @property
    def silent_seconds(self) -> float:
        """How much silence the audio that went to the ear ends with."""
        return self._ear_clock.silent_seconds

    def turn_info(self, message: Mapping[str, Any], now: float) -> None:
        """Take a TurnInfo message of the ear."""
        self.last_activity = now
        match message.get("event"):
            case "StartOfTurn":
                self._start_turn(now)
            case "Update":
                # While the caller speaks nobody waits: a good time to write the turn before down.
                turn = self._timeline.current
                if turn and now - turn.moments[Moment.TURN_STARTED] > CUT_OFF_SECONDS:
                    self._settle(turn_outcome)
            case "EagerEndOfTurn":
                self._settle(turn_outcome)
                self._timeline.eager(
                    str(message["transcript"]), speech_ended=self._speech_end(message, now), at=now
                )
            case "TurnResumed":
                self._withdraw(now)
            case "EndOfTurn":
                self._settle(turn_outcome)
                text = str(message["transcript"])
                if (
                    (turn := self._timeline.current)
                    and turn.speculations > turn.withdrawn
                    and turn.heard != text
                ):
                    self._withdraw(now)
                self._timeline.confirmed(text, speech_ended=self._speech_end(message, now), at=now)

    def given(self, text: str, *, speech_ended: float | None, now: float) -> None:
        """Take a turn that the caller's client ended itself.

        Args:
            text: what was said or written.
            speech_ended: when the client ended it; None where it was written.
            now: when it was understood.

        """
        self.last_activity = now
        self._start_turn(now if speech_ended is None else speech_ended)
        self._settle(turn_outcome)
        self._timeline.confirmed(text, speech_ended=speech_ended, at=now)

    def _speech_end(self, message: Mapping[str, Any], now: float) -> float:
        """Return when the last audible sample of the turn's speech passed the gateway."""
        position = message.get("last_speech")
        if position is None:
            return now
        return self._ear_clock.time_of(self._ear_clock.last_audible(float(position))) or now

    def _start_turn(self, now: float) -> None:
        if now - self._last_audible < SPEAKING_SECONDS:
            self._timeline.mark(Moment.INTERRUPTED, now)
        self._settle(turn_outcome)
        self._phrases_due = 0
        self._close(self._timeline.turn_started(now))
        self._open = _OpenTurn(self._writer.begin_turn(now))

    def _withdraw(self, now: float) -> None:
        turn = self._timeline.current
        if turn and turn.speculations > turn.withdrawn:
            self._timeline.withdrawn(now)
            thrown_away = turn.thrown_away[-1]
            metrics.SPECULATIONS.labels(*self._labels, "withdrawn").inc()
            metrics.TOKENS.labels(*self._labels, "wasted").inc(thrown_away.tokens)
            self._event(names.EVENT_SPECULATION_WITHDRAWN, now)
            if self._open:
                self._open.answer = None
                self._open.replaced.append(self._writer.speculation(self._open.span, thrown_away))

    # The mind and the mouth.

    def llm_requested(self, now: float) -> None:
        """The mind was asked."""
        self._clauses = ClauseSplitter(self._language)
        self._timeline.mark(Moment.LLM_REQUESTED, now)

    def llm_text(self, text: str, now: float) -> None:
        """A token came."""
        self._timeline.mark(Moment.FIRST_TOKEN, now)
        if self._clauses.feed(text, now):
            self._timeline.mark(Moment.FIRST_SENTENCE, now)
        if turn := self._timeline.current:
            turn.answered += text
            turn.streamed_tokens += 1

    def llm_finished(self, answer: Answer) -> None:
        """The mind has finished an answer, or it was cut off."""
        ended = answer.finished or answer.sent
        self._llm_seconds += ended - answer.sent
        turn, opened = self._turn_of(answer)
        if answer.tries:
            metrics.MODEL_CALLS.labels(*self._labels).inc()
            if turn:
                turn.model_calls += 1
        if turn and turn.thrown_away and answer.sent <= turn.thrown_away[-1].withdrawn:
            self._wasted_llm_seconds += ended - answer.sent
            return
        for kind, count in (
            ("input", answer.prompt_tokens),
            ("output", answer.completion_tokens),
            ("cached", answer.cached_tokens),
        ):
            metrics.TOKENS.labels(*self._labels, kind).inc(count)
        if not (turn and opened):
            return
        if answer.completion_tokens:
            turn.mark(Moment.FIRST_SENTENCE, ended)
        turn.mark(Moment.LLM_FINISHED, ended)
        turn.failed = not answer.complete and not turn.answered
        turn.input_tokens += answer.prompt_tokens
        turn.output_tokens += answer.completion_tokens
        turn.cached_tokens += answer.cached_tokens
        opened.answer = answer
        self._note_trouble(opened.span, answer)

    def _turn_of(self, answer: Answer) -> tuple[Turn | None, _OpenTurn | None]:
        """Return the turn that ``answer`` belongs to: the one before, where it was asked before this one began."""
        current = self._timeline.current
        if self._closing and (current is None or answer.sent < current.moments[Moment.TURN_STARTED]):
            return self._closing
        return current, self._open

    def _note_trouble(self, span: Span, answer: Answer) -> None:
        metrics.FAILOVERS.labels(*self._labels).inc(answer.moves)
        metrics.HEDGES.labels(*self._labels).inc(answer.hedges)
        name = names.EVENT_FAILOVER if answer.moves else names.EVENT_HEDGE
        for further in answer.tries[1:]:
            self._writer.event(span, name, further.asked, {names.SERVER_ADDRESS: further.url})

    def tool_begun(self) -> None:
        """A tool begins; until it has ended, the call waits for it."""
        self._tools_running += 1

    def tool_called(
        self,
        name: str,
        call_id: str,
        began: float,
        ended: float,
        error: str = "",
        arguments: str = "",
        result: str = "",
    ) -> None:
        """A tool has ended; ``error`` is a short class of what went wrong, never its text.

        ``arguments`` and ``result`` are JSON texts, in the trace only where what is said is recorded.
        """
        self._tools_running -= 1
        self.last_activity = ended
        if turn := self._timeline.current:
            turn.tool_calls += 1
        span = self._open.span if self._open else None
        self._writer.tool(span, name, call_id, began, ended, error, arguments, result)
        # One that was broken off with the answer it was for has not failed.
        failed = error not in ("", CANCELLED)
        metrics.TOOLS.labels(*self._labels, "yes" if failed else "no").inc()

    def mouth_text(self, now: float) -> None:
        """Text went to the mouth."""
        self._timeline.mark(Moment.TEXT_SENT, now)

    def mouth_audio(self, now: float) -> None:
        """Audio came from the mouth."""
        if (turn := self._timeline.current) and Moment.TEXT_SENT in turn.moments:
            self._timeline.mark(Moment.FIRST_AUDIO, now)

    def said(self, text: str) -> None:
        """Words of the agent have been heard."""
        if (turn := self._timeline.current) and Moment.CONFIRMED in turn.moments and not self._set_phrase:
            turn.spoken = f"{turn.spoken} {text}".strip()

    def handed_over(self, now: float, written: str = "") -> None:
        """The turn is answered otherwise than by sound; see :class:`~orchestration.timeline.Turn`."""
        self.last_activity = now
        if (turn := self._timeline.current) and Moment.CONFIRMED in turn.moments:
            turn.handed_over = True
            turn.spoken += written

    def audible(self, now: float) -> None:
        """Sound that can be heard left the gateway."""
        self.last_activity = self._last_audible = now
        if self._closing and self._closing[0].interrupted:
            self._closing[0].mark(Moment.LAST_AUDIO, now)
        if (turn := self._timeline.current) and Moment.CONFIRMED in turn.moments and not self._set_phrase:
            first = Moment.AUDIBLE not in turn.moments
            self._timeline.mark(Moment.AUDIBLE, now)
            self._timeline.mark(Moment.LAST_AUDIO, now)
            if first:
                self.on_turn(turn)
                if (waited := turn.figures().get(names.VOICE_TO_VOICE)) is not None:
                    self.on_answered(waited)

    def set_phrase(self, now: float) -> None:
        """A phrase that answers nothing is going to be said: its sound is no answer."""
        self._phrases_due += 1
        self.last_activity = now

    def speech_begins(self, *, of_conversation: bool) -> None:
        """Speech begins to leave; ``of_conversation``: the mind is told of it, so it is no set phrase."""
        if of_conversation:
            self._set_phrase = False
        elif self._phrases_due:
            self._phrases_due -= 1
            self._set_phrase = True

    def waiting(self, now: float) -> Wait:
        """Return whom the call waits for, and since when."""
        quiet = now - self.last_activity
        turn = self._timeline.current
        if self._tools_running and turn and Moment.AUDIBLE in turn.moments:
            return Wait(Waiting.NOBODY, 0.0, turn.index)
        if turn is None or Moment.AUDIBLE in turn.moments or turn.handed_over:
            return Wait(Waiting.CALLER, quiet, turn.index if turn else -1, quiet=quiet)
        if confirmed := turn.moments.get(Moment.CONFIRMED):
            return Wait(Waiting.ENGINE, now - confirmed, turn.index, failed=turn.failed, quiet=quiet)
        return Wait(Waiting.NOBODY, 0.0, turn.index)

    # The end of things.

    def finish(self, reason: str) -> CallRecord:
        """End the call's trace and return its record."""
        now = time.monotonic()
        self._settle(turn_outcome)
        self._close(self._timeline.finish())
        self._settle(lambda turn: last_turn_outcome(turn, reason))
        record = self.record
        record.end_reason = reason
        record.outcome = call_outcome(reason, unanswered=self._unanswered)
        record.seconds = now - self._started
        self._account(now)
        self._span.set_attributes(
            {
                names.CALL_END_REASON: reason,
                names.CALL_OUTCOME: record.outcome,
                names.CALL_SECONDS: record.seconds,
                names.CALL_UNANSWERED: self._unanswered,
                names.CALL_SPECULATIONS_DECLINED: record.declined,
                **summary(record.turns),
            }
        )
        self._span.end(self._writer.nanoseconds(now))
        metrics.CALLS_ACTIVE.labels(*self._labels).dec()
        metrics.CALLS.labels(*self._labels, record.outcome).inc()
        metrics.CALL_SECONDS.labels(*self._labels).inc(record.seconds)
        return record

    def _account(self, now: float) -> None:
        """Say what the call used and cost, in its span and in the metrics."""
        turns = self.record.turns
        use = Use(
            seconds=self.record.seconds,
            machine_seconds=MACHINE.end(self._machine_mark, now),
            heard_seconds=self._heard_seconds,
            llm_seconds=self._llm_seconds,
            wasted_llm_seconds=self._wasted_llm_seconds,
            tts_seconds=sum(_stage(turn, Moment.TEXT_SENT, Moment.LAST_AUDIO) for turn in turns),
            input_tokens=sum(turn.input_tokens for turn in turns),
            cached_tokens=sum(turn.cached_tokens for turn in turns),
            output_tokens=sum(turn.output_tokens for turn in turns),
            wasted_tokens=sum(turn.wasted_tokens for turn in turns),
            characters=len(self.record.greeting) + sum(len(turn.answered) for turn in turns),
        )
        self.record.cost = cost = cost_of(use, self._prices)
        self._span.set_attributes(
            {
                names.CALL_COST: cost.total,
                names.CALL_COST_CURRENCY: self._prices.currency,
                **{f"{names.CALL_COST}.{part}": value for part, value in cost.parts().items()},
                **{f"{names.CALL_USE}.{part}": value for part, value in use.parts().items()},
            }
        )
        for part, value in cost.parts().items():
            metrics.COST.labels(*self._labels, part).inc(value)
        for stage, seconds in (
            ("asr", use.heard_seconds),
            ("llm", use.llm_seconds),
            ("tts", use.tts_seconds),
            ("wasted", use.wasted_llm_seconds),
        ):
            metrics.ENGINE_SECONDS.labels(*self._labels, stage).inc(max(0.0, seconds))
        metrics.MACHINE_SECONDS.labels(*self._labels).inc(use.machine_seconds)

    def _close(self, turn: Turn | None) -> None:
        """Take leave of the current turn; its answer may still be reported as cut off."""
        opened, self._open = self._open, None
        if turn is None:
            if opened:
                opened.span.set_attribute(names.TURN_UNCONFIRMED, True)
                opened.span.end()
            return
        self.record.turns.append(turn)
        self.on_turn(turn)
        if opened:
            self._closing = (turn, opened)

    def _settle(self, outcome_of: Callable[[Turn], str]) -> None:
        """Write down the turn that was taken leave of."""
        if self._closing is None:
            return
        (turn, opened), self._closing = self._closing, None
        outcome = outcome_of(turn)
        self._unanswered += outcome == "unanswered"
        metrics.TURNS.labels(*self._labels, outcome).inc()
        if turn.speculations > turn.withdrawn:
            metrics.SPECULATIONS.labels(*self._labels, "used").inc()
        for figure, seconds in turn.figures().items():
            metrics.observe(
                figure,
                seconds,
                self._labels,
                model=self._model,
                replica=replica_of(opened.answer),
                trace_id=self.record.trace_id,
            )
        if turn.inter_token is not None:
            engine = (self._model, replica_of(opened.answer))
            metrics.INTER_TOKEN.labels(*self._labels, *engine).observe(turn.inter_token)
        metrics.observe_stages(turn.stages(), self._labels, trace_id=self.record.trace_id)
        self._writer.end_turn(opened.span, turn, outcome, opened.answer, opened.replaced)

    def _event(self, name: str, at: float, attributes: dict[str, Any] | None = None) -> None:
        self._writer.event(self._open.span if self._open else None, name, at, attributes or {})


def _stage(turn: Turn, start: Moment, end: Moment) -> float:
    at = turn.moments
    return max(0.0, at[end] - at[start]) if start in at and end in at else 0.0


def _llm_attributes(call_id: str, agent: str, engine: EngineIdentity) -> dict[str, Any]:
    return {
        names.GEN_AI_OPERATION: "chat",
        names.GEN_AI_PROVIDER: engine.provider,
        names.GEN_AI_MODEL: engine.model,
        names.GEN_AI_STREAM: True,
        names.GEN_AI_CONVERSATION: call_id,
        names.GEN_AI_AGENT: agent,
    }
