"""The spans of one call, written from its turns: names and attributes are those of :mod:`telemetry.names`."""

import json
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from llm.client import Answer
from orchestration.timeline import Moment, Speculation, Turn
from telemetry import names
from telemetry.names import FIGURES
from telemetry.statistics import percentile
from telemetry.tracing import tracer

#: Moments shown as events of a span.
_EVENTS = {
    names.SPAN_ASR: (Moment.TRANSCRIBED, Moment.CONFIRMED),
    names.SPAN_LLM: (Moment.FIRST_TOKEN, Moment.FIRST_SENTENCE),
    names.SPAN_TTS: (Moment.FIRST_AUDIO, Moment.AUDIBLE),
}


class SpanWriter:
    """Writes the spans below one call's span.

    Args:
        call: the call's span.
        epoch: seconds since the epoch at monotonic zero.
        attributes: what every ``llm`` span of the call carries.
        content: whether spans say what was said.

    """

    def __init__(
        self, call: Span, *, epoch: float, attributes: dict[str, Any], content: bool = False
    ) -> None:
        self._content = content
        self._call = call
        self._epoch = epoch
        self._attributes = attributes

    def begin_turn(self, at: float) -> Span:
        """Return the span of a turn that began at ``at``."""
        return self._child(self._call, names.SPAN_TURN, at)

    def speculation(self, turn_span: Span, speculation: Speculation) -> Link:
        """Write an answer that was thrown away; return the link for what replaces it."""
        span = self._child(turn_span, names.SPAN_SPECULATION, speculation.began)
        span.set_attribute(names.SPECULATION_TOKENS, speculation.tokens)
        span.end(self.nanoseconds(speculation.withdrawn))
        return Link(span.get_span_context())

    def opening(self, greeting: str, instructions: str) -> None:
        """Write down what the agent was told and said before the first turn, where that is recorded."""
        if self._content:
            parts = [{"type": "text", "content": instructions}]
            self._call.set_attributes(
                {names.CALL_GREETING: greeting, names.GEN_AI_INSTRUCTIONS: json.dumps(parts)}
            )

    def tool(
        self,
        turn_span: Span | None,
        name: str,
        call_id: str,
        began: float,
        ended: float,
        error: str,
        arguments: str,
        result: str,
    ) -> None:
        """Write a tool's call; ``error`` is empty or a short class of what went wrong."""
        attributes = {
            names.GEN_AI_OPERATION: "execute_tool",
            names.GEN_AI_TOOL_NAME: name,
            names.GEN_AI_TOOL_CALL: call_id,
        }
        if self._content:
            attributes |= {
                names.GEN_AI_TOOL_ARGUMENTS: arguments[: names.MAX_CONTENT_CHARACTERS],
                names.GEN_AI_TOOL_RESULT: result[: names.MAX_CONTENT_CHARACTERS],
            }
        span = self._child(turn_span or self._call, names.SPAN_TOOL, began, attributes)
        _mark_error(span, error)
        span.end(self.nanoseconds(ended))

    def event(self, span: Span | None, name: str, at: float, attributes: dict[str, Any]) -> None:
        """Note an event on the turn's span, or on the call's where there is no turn."""
        (span or self._call).add_event(name, attributes, timestamp=self.nanoseconds(at))

    def end_turn(
        self, span: Span, turn: Turn, outcome: str, answer: Answer | None, replaced: list[Link]
    ) -> None:
        """Write a turn that is over, with its parts."""
        span.set_attributes({figure.name: seconds for figure, seconds in turn.figures().items()})
        stages = turn.stages()
        span.set_attributes({stage.name: stages[stage.key] for stage in names.STAGES if stage.key in stages})
        span.set_attributes(
            {
                names.TURN_INDEX: turn.index,
                names.TURN_SPECULATED: turn.speculations > turn.withdrawn,
                names.TURN_INTERRUPTED: turn.interrupted,
                names.TURN_OUTCOME: outcome,
                names.TURN_MODEL_CALLS: turn.model_calls,
                names.TURN_TOOL_CALLS: turn.tool_calls,
            }
        )
        if self._content:
            span.set_attributes({names.TURN_HEARD: turn.heard, names.TURN_SPOKEN: turn.spoken})
        self._part(span, turn, names.SPAN_ASR, Moment.SPEECH_ENDED, Moment.CONFIRMED)
        self._llm(span, turn, answer, replaced)
        self._part(span, turn, names.SPAN_TTS, Moment.TEXT_SENT, Moment.LAST_AUDIO)
        span.end(self.nanoseconds(max(turn.moments.values())))

    def nanoseconds(self, monotonic: float) -> int:
        """Return a moment as OpenTelemetry wants it."""
        return int((self._epoch + monotonic) * 1e9)

    def _llm(self, span: Span, turn: Turn, answer: Answer | None, replaced: list[Link]) -> None:
        attributes = {
            **self._attributes,
            names.GEN_AI_INPUT_TOKENS: turn.input_tokens,
            names.GEN_AI_OUTPUT_TOKENS: turn.output_tokens,
            names.GEN_AI_CACHED_TOKENS: turn.cached_tokens,
            **(_answer_attributes(answer) if answer else {}),
        }
        if (first := turn.figure(names.TIME_TO_FIRST_TOKEN)) is not None:
            attributes[names.GEN_AI_FIRST_CHUNK] = first
        if self._content:
            finish = "stop" if answer is not None and answer.complete else "error"
            attributes[names.GEN_AI_INPUT] = _message("user", turn.heard)
            attributes[names.GEN_AI_OUTPUT] = _message("assistant", turn.answered, finish_reason=finish)
        if turn.inter_token is not None:
            attributes[names.LLM_INTER_TOKEN] = turn.inter_token
        cut_short = answer is not None and not answer.complete and not turn.interrupted
        self._part(
            span,
            turn,
            names.SPAN_LLM,
            Moment.LLM_REQUESTED,
            Moment.LLM_FINISHED,
            attributes,
            replaced,
            error="incomplete" if cut_short else "",
        )

    def _part(
        self,
        span: Span,
        turn: Turn,
        name: str,
        start: Moment,
        end: Moment,
        attributes: dict[str, Any] | None = None,
        links: list[Link] | None = None,
        error: str = "",
    ) -> None:
        at = turn.moments
        if start not in at or end not in at:
            return
        kind = SpanKind.CLIENT if name == names.SPAN_LLM else SpanKind.INTERNAL
        part = self._child(span, name, at[start], attributes, links, kind)
        for moment in _EVENTS[name]:
            if moment in at:
                part.add_event(moment.value, timestamp=self.nanoseconds(at[moment]))
        _mark_error(part, error)
        part.end(self.nanoseconds(at[end]))

    def _child(
        self,
        parent: Span,
        name: str,
        start: float,
        attributes: dict[str, Any] | None = None,
        links: list[Link] | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> Span:
        return tracer.start_span(
            name,
            context=trace.set_span_in_context(parent, Context()),
            kind=kind,
            start_time=self.nanoseconds(start),
            attributes=attributes,
            links=links,
        )


def summary(turns: list[Turn]) -> dict[str, float | int]:
    """Return the attributes of a call's span that follow from its turns."""
    attributes: dict[str, float | int] = {
        names.CALL_TURNS: len(turns),
        names.CALL_SPECULATIONS: sum(turn.speculations for turn in turns),
        names.CALL_SPECULATIONS_WITHDRAWN: sum(turn.withdrawn for turn in turns),
        names.CALL_INPUT_TOKENS: sum(turn.input_tokens for turn in turns),
        names.CALL_OUTPUT_TOKENS: sum(turn.output_tokens for turn in turns),
        names.CALL_CACHED_TOKENS: sum(turn.cached_tokens for turn in turns),
        names.CALL_MODEL_CALLS: sum(turn.model_calls for turn in turns),
        names.CALL_TOOL_CALLS: sum(turn.tool_calls for turn in turns),
        names.CALL_WASTED_TOKENS: sum(turn.wasted_tokens for turn in turns),
    }
    for figure in FIGURES:
        values = [seconds for turn in turns if (seconds := turn.figures().get(figure)) is not None]
        if values:
            attributes[f"{figure.name}.p50"] = percentile(values, 0.5)
            attributes[f"{figure.name}.p95"] = percentile(values, 0.95)
            attributes[f"{figure.name}.max"] = max(values)
    return attributes


def replica_of(answer: Answer | None) -> str:
    """Return host and port of the engine that answered last; empty where none was asked."""
    return urlsplit(answer.tries[-1].url).netloc if answer and answer.tries else ""


def _answer_attributes(answer: Answer) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        names.LLM_ATTEMPTS: len(answer.tries),
        names.LLM_MOVES: answer.moves,
        names.LLM_HEDGES: answer.hedges,
    }
    if answer.tries and (address := urlsplit(answer.tries[-1].url)).hostname:
        attributes[names.SERVER_ADDRESS] = address.hostname
        attributes[names.SERVER_PORT] = address.port or {"https": 443}.get(address.scheme, 80)
    return attributes


def _message(role: str, text: str, **more: str) -> str:
    """Return one message as OpenTelemetry's conventions write a list of them."""
    content = text[: names.MAX_CONTENT_CHARACTERS]
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": content}], **more}])


def _mark_error(span: Span, error: str) -> None:
    if error:
        span.set_attribute(names.ERROR_TYPE, error)
        span.set_status(Status(StatusCode.ERROR))
