"""From calls to figures: percentiles of what the caller measured, and ratios between systems."""

import statistics
from collections.abc import Sequence
from typing import Any

from telemetry.names import FIGURES
from voice.bench.calls import SystemCalls
from voice.bench.systems import OFFHOOK, WITHOUT_SPECULATION


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile, interpolated between the two nearest values; ``share`` is 0 to 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def figures_of(calls: SystemCalls) -> dict[str, Any]:
    """Return the figures of one system, seconds."""
    heard = [turn.voice_to_voice for turn, _ in calls.turns if turn.voice_to_voice is not None]
    told = [record for _, record in calls.turns if record]
    figures: dict[str, Any] = {
        "turns": len(calls.turns),
        "unanswered": sum(turn.voice_to_voice is None for turn, _ in calls.turns),
        "failed_calls": calls.failures,
        "voice_to_voice_all": heard,
    }
    if heard:
        figures["voice_to_voice"] = {
            "p50": statistics.median(heard),
            "p90": percentile(heard, 0.9),
            "p95": percentile(heard, 0.95),
            "max": max(heard),
        }
    if told:
        figures["stages"] = _stages(told)
        figures["speculations"] = sum(record["speculations"] for record in told)
        figures["withdrawn"] = sum(record["withdrawn"] for record in told)
        figures["answers"] = [record["answered"] for record in told]
        figures["heard"] = [record["heard"] for record in told]
        figures["tokens"] = sum(record["tokens"]["output"] for record in told)
        figures["wasted_tokens"] = sum(record["tokens"]["wasted"] for record in told)
    return figures


def ratios(systems: dict[str, dict[str, Any]], reference: str) -> dict[str, dict[str, float]]:
    """Return each system's voice-to-voice p50 and p95 as shares of the reference's."""
    base = systems.get(reference, {}).get("voice_to_voice")
    if not base:
        return {}
    return {
        name: {share: figures["voice_to_voice"][share] / base[share] for share in ("p50", "p95")}
        for name, figures in systems.items()
        if "voice_to_voice" in figures
    }


def speculation(systems: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return what speculation gained and cost, where a run has both sides.

    ``p50_lower`` is a share of the p50 without; answers are compared where both sides heard the same.
    """
    on, off = systems.get(OFFHOOK, {}), systems.get(WITHOUT_SPECULATION, {})
    if "voice_to_voice" not in on or "voice_to_voice" not in off or "heard" not in on or "heard" not in off:
        return {}
    pairs = zip(on["heard"], off["heard"], on["answers"], off["answers"], strict=False)
    compared = [mine == theirs for heard, also, mine, theirs in pairs if heard == also]
    return {
        "p50_lower": 1 - on["voice_to_voice"]["p50"] / off["voice_to_voice"]["p50"],
        "compared": len(compared),
        "same_answers": sum(compared),
        "wasted_tokens": on["wasted_tokens"],
    }


def _stages(told: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    stages = {}
    for figure in FIGURES:
        values = [record["seconds"][figure.key] for record in told if figure.key in record["seconds"]]
        if values:
            stages[figure.key] = {"p50": statistics.median(values), "p95": percentile(values, 0.95)}
    return stages
