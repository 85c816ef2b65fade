"""What was promised against what happened, from the local store: figures of single turns, not buckets."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from telemetry import names
from telemetry.slo import Objective
from telemetry.statistics import percentile
from telemetry.store import SpanStore, StoredSpan

MACHINE_SECONDS = f"{names.CALL_USE}.machine_seconds"
#: How an objective's events can be split.
GROUPS = {"agent": names.CALL_AGENT, "door": names.CALL_DOOR, "version": names.CALL_VERSION}


@dataclass(frozen=True)
class Turn:
    """One turn, and the call it belongs to."""

    call: StoredSpan
    span: StoredSpan

    def seconds(self, attribute: str) -> float | None:
        """Return a figure of the turn."""
        value = self.span.attributes.get(attribute)
        return None if value is None else float(value)


class Event(NamedTuple):
    """Something an objective counts: whose call, when (seconds since the epoch), and whether it was bad."""

    call: StoredSpan
    at: float
    bad: bool


@dataclass(frozen=True)
class Standing:
    """How an objective stands for one group of events.

    Attributes:
        objective: which one.
        group: what the events have in common; empty for all.
        total: events seen.
        bad: events that broke the promise.

    """

    objective: Objective
    group: str
    total: int
    bad: int

    @property
    def good_share(self) -> float | None:
        """Share of events that kept the promise; None where there were none."""
        return 1 - self.bad / self.total if self.total else None

    @property
    def budget_left(self) -> float | None:
        """Share of the error budget that is left: 1 untouched, 0 used up, negative overdrawn."""
        return 1 - self.bad / self.total / self.objective.budget if self.total else None


class Calls:
    """Calls with their turns.

    Args:
        calls: spans of calls.
        turns: spans of turns; those of other calls are left out, and those the ear never confirmed.
        answers: spans of the language model's answers.

    """

    def __init__(
        self, calls: Sequence[StoredSpan], turns: Sequence[StoredSpan], answers: Sequence[StoredSpan] = ()
    ) -> None:
        self.calls = calls
        self.answers = answers
        by_trace = {call.trace_id: call for call in calls}
        self.turns = [
            Turn(by_trace[span.trace_id], span)
            for span in turns
            if span.trace_id in by_trace and names.TURN_OUTCOME in span.attributes
        ]

    @classmethod
    def stored(cls, store: SpanStore, *, since: float) -> Self:
        """Return the calls of ``store`` that began at ``since`` (seconds since the epoch) or later."""
        return cls(store.since(names.SPAN_CALL, since), store.since(names.SPAN_TURN, since))

    def began_since(self, start: float) -> Self:
        """Return those of the calls that began at ``start`` or later."""
        return type(self)(
            [call for call in self.calls if call.start >= start],
            [turn.span for turn in self.turns if turn.span.start >= start],
            [answer for answer in self.answers if answer.start >= start],
        )

    def standing(self, objective: Objective, *, group_by: str = "") -> list[Standing]:
        """Return how ``objective`` stands, as a whole or by one of :data:`GROUPS`.

        Calls that were turned away leave no trace, so ``calls_answered`` has no events here: Prometheus knows.
        """
        groups: dict[str, list[bool]] = {} if group_by else {"": []}
        for event in self.events(objective):
            key = str(event.call.attributes.get(GROUPS[group_by], "")) if group_by else ""
            groups.setdefault(key, []).append(event.bad)
        return [Standing(objective, key, len(bad), sum(bad)) for key, bad in sorted(groups.items())]

    def worst(self, limit: int) -> list[Turn]:
        """Return the turns with the longest voice to voice."""
        name = names.VOICE_TO_VOICE.name
        timed = [turn for turn in self.turns if turn.seconds(name) is not None]
        return sorted(timed, key=lambda turn: turn.seconds(name) or 0.0, reverse=True)[:limit]

    def figures(self) -> dict[str, dict[str, float]]:
        """Return p50, p95, max and count of every figure, by its short name."""
        found = {}
        for figure in names.FIGURES:
            values = [value for turn in self.turns if (value := turn.seconds(figure.name)) is not None]
            if values:
                found[figure.key] = {
                    "p50": percentile(values, 0.5),
                    "p95": percentile(values, 0.95),
                    "max": max(values),
                    "count": len(values),
                }
        return found

    def events(self, objective: Objective) -> list[Event]:
        """Return what counts for ``objective``; nothing for ``calls_answered``, see :meth:`standing`."""
        if objective.measured:
            name = objective.measured.name
            timed = ((turn, turn.seconds(name)) for turn in self.turns)
            return [
                Event(turn.call, turn.span.start, value > objective.under_seconds)
                for turn, value in timed
                if value is not None
            ]
        if objective.events == "calls_without_fault":
            return [
                Event(call, call.start, call.attributes.get(names.CALL_OUTCOME) == "fault")
                for call in self.calls
            ]
        return []


@dataclass(frozen=True)
class Spent:
    """What calls cost, as their spans say.

    Attributes:
        calls: how many.
        minutes: their length.
        total: their cost.
        parts: the same by part; ``wasted`` is contained in the others.
        currency: of all these.
        machine_seconds: their shares of the machine's time.

    """

    calls: int
    minutes: float
    total: float
    parts: dict[str, float]
    currency: str
    machine_seconds: float = 0.0

    @property
    def per_call(self) -> float | None:
        """Cost of a call; None without calls."""
        return self.total / self.calls if self.calls else None

    @property
    def per_minute(self) -> float | None:
        """Cost of a minute; None without calls."""
        return self.total / self.minutes if self.minutes else None

    @property
    def machine_hour(self) -> float | None:
        """What an hour of the machine cost, as the calls' shares of it say; None where they say nothing."""
        cost = self.parts.get("machine", 0.0)
        return cost / self.machine_seconds * 3600.0 if self.machine_seconds and cost else None

    @property
    def used_per_minute(self) -> float:
        """What is bought by use alone, per minute: all but the machine."""
        return (self.total - self.parts.get("machine", 0.0)) / self.minutes if self.minutes else 0.0


def spent(calls: Sequence[StoredSpan]) -> Spent:
    """Add up what ``calls`` cost."""
    prefix = f"{names.CALL_COST}."
    parts: dict[str, float] = {}
    for call in calls:
        for name, value in call.attributes.items():
            if name.startswith(prefix) and name != names.CALL_COST_CURRENCY:
                parts[name.removeprefix(prefix)] = parts.get(name.removeprefix(prefix), 0.0) + float(value)
    return Spent(
        calls=len(calls),
        minutes=sum(float(call.attributes.get(names.CALL_SECONDS, 0.0)) for call in calls) / 60,
        total=sum(float(call.attributes.get(names.CALL_COST, 0.0)) for call in calls),
        parts=parts,
        currency=str(calls[-1].attributes.get(names.CALL_COST_CURRENCY, "")) if calls else "",
        machine_seconds=sum(float(call.attributes.get(MACHINE_SECONDS, 0.0)) for call in calls),
    )


def grouped(calls: Sequence[StoredSpan], group_by: str) -> dict[str, list[StoredSpan]]:
    """Return ``calls`` by one of :data:`GROUPS`."""
    groups: dict[str, list[StoredSpan]] = {}
    for call in calls:
        groups.setdefault(str(call.attributes.get(GROUPS[group_by], "")), []).append(call)
    return dict(sorted(groups.items()))


def calls_at_objective(turns: Sequence[Turn], objective: Objective) -> int:
    """Return the largest number of calls held at once at which ``objective`` was still kept.

    A turn counts at the number of calls that were in progress when it began; a number counts as kept when the
    turns at it and below it keep the objective.
    """
    assert objective.measured is not None
    name = objective.measured.name
    calls = {turn.call.trace_id: turn.call for turn in turns}.values()
    begun, over = sorted(call.start for call in calls), sorted(call.finish for call in calls)
    by_load: dict[int, list[bool]] = {}
    for turn in turns:
        if (value := turn.seconds(name)) is not None:
            at = turn.span.start
            load = bisect_right(begun, at) - bisect_left(over, at)
            by_load.setdefault(load, []).append(value <= objective.under_seconds)
    kept = 0
    for load in sorted(by_load):
        if sum(by_load[load]) / len(by_load[load]) < objective.objective:
            break
        kept = load
    return kept


Json = dict[str, Any]


def as_json(calls: Calls, objectives: Sequence[Objective], *, group_by: str = "", worst: int = 5) -> Json:
    """Return the report as JSON values."""
    row: Callable[[Standing], Json] = lambda standing: {  # noqa: E731 - one expression
        "objective": standing.objective.name,
        "group": standing.group,
        "events": standing.total,
        "bad": standing.bad,
        "good_share": standing.good_share,
        "budget_left": standing.budget_left,
    }
    return {
        "calls": len(calls.calls),
        "turns": len(calls.turns),
        "figures": calls.figures(),
        "objectives": [
            row(standing)
            for objective in objectives
            for standing in calls.standing(objective, group_by=group_by)
        ],
        "worst": [
            {
                "trace_id": turn.span.trace_id,
                "turn": turn.span.attributes.get(names.TURN_INDEX),
                **{group: turn.call.attributes.get(attribute) for group, attribute in GROUPS.items()},
                "voice_to_voice": turn.seconds(names.VOICE_TO_VOICE.name),
            }
            for turn in calls.worst(worst)
        ],
    }
