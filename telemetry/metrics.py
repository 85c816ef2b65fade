"""Prometheus collectors of the design's figures, and of calls.

Buckets resolve 10 ms to 10 s, finest where a caller can tell the difference. Label values come from
configuration (door, agent, version, model, replica) or from the fixed lists below, never from callers, so their
number is bounded.
"""

from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from telemetry.names import FIGURES, STAGE_METRIC, STAGES, TIME_TO_FIRST_SENTENCE, TIME_TO_FIRST_TOKEN, Figure

BUCKETS_SECONDS = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5,
    0.6, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0,
)  # fmt: skip
TOKEN_BUCKETS_SECONDS = (
    0.001,
    0.002,
    0.004,
    0.006,
    0.008,
    0.01,
    0.015,
    0.02,
    0.03,
    0.05,
    0.075,
    0.1,
    0.2,
    0.5,
)
#: Stages are shorter than what they add up to.
STAGE_BUCKETS_SECONDS = (0.001, 0.002, 0.005, *BUCKETS_SECONDS)


class CallLabels(NamedTuple):
    """The labels of everything that is counted by call."""

    door: str
    agent: str
    version: str


LABELS = CallLabels._fields
#: Figures that depend on the language model carry which one it was, and where.
ENGINE_LABELS = ("model", "replica")
ENGINE_FIGURES = frozenset({TIME_TO_FIRST_TOKEN, TIME_TO_FIRST_SENTENCE})

#: How a call ended: as it should; by the caller's line breaking or their breaking the protocol; by our fault.
CALL_OUTCOMES = ("completed", "caller", "fault")
#: What became of a turn: answered; cut off by the caller; the caller had gone; not answered at all.
TURN_OUTCOMES = ("answered", "interrupted", "abandoned", "unanswered")
SPECULATION_OUTCOMES = ("used", "withdrawn")
TOKEN_KINDS = ("input", "output", "cached", "wasted")
#: Parts of a cost; ``wasted`` is contained in the others.
COST_PARTS = ("machine", "asr", "llm", "tts", "wasted")
ENGINE_STAGES = ("asr", "llm", "tts", "wasted")


def _histogram(figure: Figure) -> Histogram:
    labels = (*LABELS, *ENGINE_LABELS) if figure in ENGINE_FIGURES else LABELS
    return Histogram(figure.metric, f"Seconds from {figure.meaning}.", labels, buckets=BUCKETS_SECONDS)


HISTOGRAMS = {figure: _histogram(figure) for figure in FIGURES}
INTER_TOKEN = Histogram(
    "voice_inter_token_seconds",
    "Mean seconds between two tokens of an answer, as they reached the gateway.",
    (*LABELS, *ENGINE_LABELS),
    buckets=TOKEN_BUCKETS_SECONDS,
)
STAGE_SECONDS = Histogram(
    STAGE_METRIC,
    "Seconds of a turn's voice to voice that went into a stage; the stages of a turn add up to it.",
    (*LABELS, "stage"),
    buckets=STAGE_BUCKETS_SECONDS,
)
CALLS_ACTIVE = Gauge("voice_calls_active", "Calls in progress.", LABELS)
CALLS_CAPACITY = Gauge("voice_calls_capacity", "Calls this gateway holds at once.")
TASKS = Gauge(
    "voice_gateway_tasks", "asyncio tasks of the gateway; it falls back to its idle value after every call."
)
CALLS = Counter("voice_calls", "Calls that have ended, by outcome.", (*LABELS, "outcome"))
CALL_SECONDS = Counter("voice_call_seconds", "Length of calls that have ended, seconds.", LABELS)
REFUSALS = Counter("voice_refusals", "Requests and calls turned away, by door and cause.", ("door", "cause"))
TURNS = Counter("voice_turns", "Turns the ear confirmed, by what became of them.", (*LABELS, "outcome"))
SPECULATIONS = Counter(
    "voice_speculations", "Answers begun before the turn was confirmed.", (*LABELS, "outcome")
)
TOKENS = Counter("voice_tokens", "Tokens the language model read and wrote.", (*LABELS, "kind"))
FAILOVERS = Counter("voice_failovers", "Answers that moved to another engine.", LABELS)
HEDGES = Counter("voice_hedges", "Answers for which a second engine was asked.", LABELS)
MODEL_CALLS = Counter("voice_model_calls", "Requests for an answer; tools ask again.", LABELS)
TOOLS = Counter("voice_tool_calls", "Tools called, by whether they failed.", (*LABELS, "failed"))
ENGINE_SECONDS = Counter(
    "voice_engine_seconds", "Seconds a stage worked for calls that have ended.", (*LABELS, "stage")
)
MACHINE_SECONDS = Counter(
    "voice_machine_seconds", "The machine's time as shared by calls that have ended, seconds.", LABELS
)
IDLE_SECONDS = Gauge(
    "voice_machine_idle_seconds", "Time without any call since the gateway started, seconds."
)
MACHINE_PRICE = Gauge(
    "voice_machine_hour_price",
    "What an hour of the machine with its GPUs costs, in the currency of the prices.",
)
COST = Counter(
    "voice_cost", "Cost of calls that have ended, in the currency of the prices.", (*LABELS, "part")
)
EXPORT_CPU = Counter(
    "telemetry_export_cpu_seconds",
    "Processor seconds that exporting spans took, redaction and storing included.",
    ("destination",),
)
SPANS_DROPPED = Counter(
    "telemetry_spans_dropped", "Spans that never reached where they should.", ("destination", "reason")
)


def observe(
    figure: Figure, seconds: float, labels: CallLabels, *, model: str = "", replica: str = "", trace_id: str
) -> None:
    """Record one measurement, with its trace as the exemplar; a call without a trace (all zeros) has none."""
    values = (*labels, model, replica) if figure in ENGINE_FIGURES else labels
    HISTOGRAMS[figure].labels(*values).observe(seconds, exemplar=_exemplar(trace_id))


def observe_stages(stages: Mapping[str, float], labels: CallLabels, *, trace_id: str) -> None:
    """Record the stages of one turn, by their keys, with their trace as the exemplar."""
    for stage, seconds in stages.items():
        STAGE_SECONDS.labels(*labels, stage).observe(seconds, exemplar=_exemplar(trace_id))


def _exemplar(trace_id: str) -> dict[str, str] | None:
    return {"trace_id": trace_id} if trace_id.strip("0") else None


def prepare(labels: CallLabels) -> None:
    """Make the counters of a door and agent exist at zero, so that the first event is a visible increase."""
    for outcome in CALL_OUTCOMES:
        CALLS.labels(*labels, outcome)
    for outcome in TURN_OUTCOMES:
        TURNS.labels(*labels, outcome)
    for outcome in SPECULATION_OUTCOMES:
        SPECULATIONS.labels(*labels, outcome)
    for kind in TOKEN_KINDS:
        TOKENS.labels(*labels, kind)
    for part in COST_PARTS:
        COST.labels(*labels, part)
    for stage in ENGINE_STAGES:
        ENGINE_SECONDS.labels(*labels, stage)
    for counter in (CALL_SECONDS, MACHINE_SECONDS, MODEL_CALLS, FAILOVERS, HEDGES):
        counter.labels(*labels)
    for failed in ("yes", "no"):
        TOOLS.labels(*labels, failed)
    for part_of_turn in STAGES:
        STAGE_SECONDS.labels(*labels, part_of_turn.key)
    for figure in FIGURES:
        if figure not in ENGINE_FIGURES:
            HISTOGRAMS[figure].labels(*labels)
