"""The list of the last calls, for a terminal."""

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table

from telemetry.names import (
    CALL_AGENT,
    CALL_COST,
    CALL_COST_CURRENCY,
    CALL_DOOR,
    CALL_END_REASON,
    CALL_OUTCOME,
    CALL_TURNS,
    CALL_VERSION,
    VOICE_TO_VOICE,
)
from telemetry.store import StoredSpan


def table(calls: Sequence[StoredSpan]) -> Table:
    """Return one row a call, with its voice-to-voice p50 and p95."""
    rows = Table(box=None, pad_edge=False)
    for heading in (
        "trace",
        "began",
        "seconds",
        "door",
        "agent",
        "version",
        "turns",
        "p50 ms",
        "p95 ms",
        "cost",
        "outcome",
        "ended",
    ):
        rows.add_column(heading)
    for call in calls:
        attributes = call.attributes
        rows.add_row(
            call.trace_id[:8],
            datetime.fromtimestamp(call.start).isoformat(" ", "seconds"),
            f"{call.finish - call.start:.1f}",
            str(attributes.get(CALL_DOOR, "")),
            str(attributes.get(CALL_AGENT, "")),
            str(attributes.get(CALL_VERSION, "")),
            str(attributes.get(CALL_TURNS, "")),
            _milliseconds(attributes.get(f"{VOICE_TO_VOICE.name}.p50")),
            _milliseconds(attributes.get(f"{VOICE_TO_VOICE.name}.p95")),
            f"{attributes.get(CALL_COST, 0.0):.5f} {attributes.get(CALL_COST_CURRENCY, '')}".strip(),
            str(attributes.get(CALL_OUTCOME, "")),
            str(attributes.get(CALL_END_REASON, "")),
        )
    return rows


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"
