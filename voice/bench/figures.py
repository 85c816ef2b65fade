"""From calls to figures: percentiles of what the caller measured, and ratios between systems."""

import statistics
from collections.abc import Sequence
from typing import Any

from telemetry.names import FIGURES
from voice.bench.lab import HeldCall
from voice.bench.systems import OFFHOOK, WITHOUT_SPECULATION


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile, interpolated between the two nearest values; ``share`` is 0 to 1."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p90, p95 and the largest of ``values``; empty where there are none."""
    if not values:
        return {}
    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95}
    return {**{name: percentile(values, share) for name, share in shares.items()}, "max": max(values)}


def figures_of(calls: Sequence[HeldCall], failures: Sequence[str]) -> dict[str, Any]:
    """Return the figures of one system, seconds."""
    pairs = [pair for call in calls for pair in call.pairs]
    heard = [turn.voice_to_voice for turn, _ in pairs if turn.voice_to_voice is not None]
    told = [record for _, record in pairs if record]
    figures: dict[str, Any] = {
        "turns": len(pairs),
        "unanswered": sum(turn.voice_to_voice is None for turn, _ in pairs),
        "failed_calls": list(failures),
        "voice_to_voice_all": heard,
        "voice_to_voice": spread(heard),
    }
    if told:
        figures |= _told(told)
        figures["conversations"] = [call.record["turns"] for call in calls if call.record]
    return figures


def _told(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what a gateway's records add: stages, moments, speculation and its price."""
    stages = {}
    for figure in FIGURES:
        values = [record["seconds"][figure.key] for record in told if figure.key in record["seconds"]]
        if values:
            stages[figure.key] = spread(values)
    pairs = [
        (record["seconds"]["end_of_turn_delay"], record["seconds"]["voice_to_voice"])
        for record in told
        if {"end_of_turn_delay", "voice_to_voice"} <= set(record["seconds"])
    ]
    return {
        "stages": stages,
        "moments": _moments(told),
        "end_of_turn_share": statistics.median([delay / whole for delay, whole in pairs]) if pairs else None,
        "speculations": sum(record["speculations"] for record in told),
        "withdrawn": sum(record["withdrawn"] for record in told),
        "answers": [record["answered"] for record in told],
        "tokens": sum(record["tokens"]["output"] for record in told),
        "wasted_tokens": sum(record["tokens"]["wasted"] for record in told),
    }


def _moments(told: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the median of each moment of a turn, seconds after the caller's last sound."""
    names = {name for record in told for name in record["after_speech"]}
    return {
        name: statistics.median(
            record["after_speech"][name] for record in told if name in record["after_speech"]
        )
        for name in sorted(names)
    }


def ratios(systems: dict[str, dict[str, Any]], reference: str) -> dict[str, dict[str, float]]:
    """Return each system's voice-to-voice p50 and p95 as shares of the reference's."""
    base = systems.get(reference, {}).get("voice_to_voice")
    if not base:
        return {}
    return {
        name: {share: figures["voice_to_voice"][share] / base[share] for share in ("p50", "p95")}
        for name, figures in systems.items()
        if figures.get("voice_to_voice")
    }


def speculation(systems: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return what speculation gained and cost, where a run has both sides.

    ``p50_lower`` is a share of the p50 without. Answers are compared up to the first turn of a call that the two
    sides heard differently: from there on they hold different conversations.
    """
    on, off = systems.get(OFFHOOK, {}), systems.get(WITHOUT_SPECULATION, {})
    if not (on.get("voice_to_voice") and off.get("voice_to_voice")):
        return {}
    compared = same = 0
    for mine, theirs in zip(on.get("conversations", []), off.get("conversations", []), strict=False):
        for one, other in zip(mine, theirs, strict=False):
            if one["heard"] != other["heard"]:
                break
            compared += 1
            same += one["answered"] == other["answered"]
    return {
        "p50_lower": 1 - on["voice_to_voice"]["p50"] / off["voice_to_voice"]["p50"],
        "compared": compared,
        "same_answers": same,
        "speculations": on["speculations"],
        "withdrawn": on["withdrawn"],
        "tokens": on["tokens"],
        "wasted_tokens": on["wasted_tokens"],
        "wasted_share": on["wasted_tokens"] / max(1, on["tokens"] + on["wasted_tokens"]),
    }
