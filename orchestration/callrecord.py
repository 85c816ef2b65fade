"""What is known of a call while it lasts and shortly after, as ``GET /api/calls/{id}`` tells it."""

from dataclasses import dataclass, field
from typing import Any

from orchestration.timeline import Moment, Timeline, Turn
from telemetry.cost import Cost


@dataclass
class CallRecord:
    """What is known of a call while it lasts and shortly after."""

    call_id: str
    door: str
    agent: str
    trace_id: str
    started: float
    greeting: str = ""
    version: str = ""
    end_reason: str | None = None
    outcome: str = ""
    seconds: float = 0.0
    cost: Cost | None = None
    false_alarms: int = 0
    declined: int = 0
    turns: list[Turn] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON values; figures by their short names, in seconds."""
        return {
            "call_id": self.call_id,
            "door": self.door,
            "agent": self.agent,
            "trace_id": self.trace_id,
            "greeting": self.greeting,
            "version": self.version,
            "end_reason": self.end_reason,
            "outcome": self.outcome,
            "cost": {**self.cost.parts(), "total": self.cost.total} if self.cost else None,
            "false_alarms": self.false_alarms,
            "speculations_declined": self.declined,
            "turns": [_turn_json(turn) for turn in (*self.turns, self.timeline.answering) if turn],
        }


def _turn_json(turn: Turn) -> dict[str, Any]:
    zero = turn.moments.get(Moment.SPEECH_ENDED, turn.moments[Moment.TURN_STARTED])
    return {
        "index": turn.index,
        "heard": turn.heard,
        "answered": turn.answered,
        "spoken": turn.spoken,
        "seconds": {figure.key: seconds for figure, seconds in turn.figures().items()},
        "after_speech": {moment.value: at - zero for moment, at in turn.moments.items()},
        "speculations": turn.speculations,
        "withdrawn": turn.withdrawn,
        "interrupted": turn.interrupted,
        "model_calls": turn.model_calls,
        "tool_calls": turn.tool_calls,
        "tokens": {
            "input": turn.input_tokens,
            "output": turn.output_tokens,
            "cached": turn.cached_tokens,
            "wasted": turn.wasted_tokens,
        },
    }
