"""The four views of the gateway's own page, as JSON values: those of the Grafana dashboards, from single turns.

Everything is computed from spans; percentiles are those of :mod:`telemetry.statistics`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from telemetry import names
from telemetry.metrics import BUCKETS_SECONDS
from telemetry.report import GROUPS, Calls, Standing, Turn, as_json, calls_at_objective, grouped, spent
from telemetry.slo import Objective
from telemetry.statistics import percentile
from telemetry.store import StoredSpan

#: Points of a curve over time.
BINS = 48
SECONDS_PER_DAY = 86400.0
SHARES = (0.5, 0.95)
#: Windows over which the page says how fast a budget burns, seconds: the long ones of the alerts.
BURN_WINDOWS = {"1h": 3600.0, "6h": 6 * 3600.0, "3d": 72 * 3600.0}

Json = dict[str, Any]


def views(calls: Calls, objectives: Sequence[Objective], *, since: float, now: float) -> Json:
    """Return what the page shows of the calls that began between ``since`` and ``now``, epoch seconds."""
    shown = calls.began_since(since)
    return {
        "since": since,
        "now": now,
        **as_json(shown, []),
        "objectives": promises(calls, objectives, now=now),
        "callers": _callers(shown, since=since, now=now),
        "time": _time(shown, since=since, now=now),
        "engines": _engines(shown.answers),
        "cost": _cost(shown, objectives),
    }


def promises(calls: Calls, objectives: Sequence[Objective], *, now: float) -> list[Json]:
    """Return how each objective stands over its own window, and how fast its budget burns."""
    rows = []
    for objective in objectives:
        events = [e for e in calls.events(objective) if e.at >= now - objective.window_days * SECONDS_PER_DAY]
        standing = Standing(objective, "", len(events), sum(event.bad for event in events))
        burns = {}
        for name, seconds in BURN_WINDOWS.items():
            recent = [event.bad for event in events if event.at >= now - seconds]
            burns[name] = sum(recent) / len(recent) / objective.budget if recent else None
        rows.append(
            {
                "objective": objective.name,
                "title": objective.title,
                "figure": objective.figure,
                "under_seconds": objective.under_seconds,
                "window_days": objective.window_days,
                "promised": objective.objective,
                "events": standing.total,
                "bad": standing.bad,
                "good_share": standing.good_share,
                "budget_left": standing.budget_left,
                "burn": burns,
            }
        )
    return rows


def _callers(calls: Calls, *, since: float, now: float) -> Json:
    name = names.VOICE_TO_VOICE.name
    bins = _binned(calls.turns, since=since, now=now)
    heat = []
    for turns in bins:
        counts = [0] * (len(BUCKETS_SECONDS) + 1)
        for value in _values(turns, name):
            counts[sum(value > bound for bound in BUCKETS_SECONDS)] += 1
        heat.append(counts)
    return {
        "voice_to_voice": {
            _key(share): [_percentile(_values(turns, name), share) for turns in bins]
            for share in (*SHARES, 0.99)
        },
        "turns": [len(turns) for turns in bins],
        "heat": {"bounds": list(BUCKETS_SECONDS), "counts": heat},
        "by": {group: _by(calls, attribute) for group, attribute in GROUPS.items()},
        "turn_outcomes": _count(turn.span.attributes.get(names.TURN_OUTCOME) for turn in calls.turns),
        "call_outcomes": _count(call.attributes.get(names.CALL_OUTCOME) for call in calls.calls),
    }


def _by(calls: Calls, attribute: str) -> list[Json]:
    groups: dict[str, list[Turn]] = {}
    for turn in calls.turns:
        groups.setdefault(str(turn.call.attributes.get(attribute, "")), []).append(turn)
    counts = _count(call.attributes.get(attribute, "") for call in calls.calls)
    return [
        {"name": name, "calls": counts.get(name, 0), **_spread(turns, names.VOICE_TO_VOICE.name)}
        for name, turns in sorted(groups.items())
    ]


def _time(calls: Calls, *, since: float, now: float) -> Json:
    bins = _binned(calls.turns, since=since, now=now)
    return {
        "meanings": {stage.key: stage.meaning for stage in names.STAGES},
        "stages": {
            _key(share): {
                stage.key: _percentile(_values(calls.turns, stage.name), share) for stage in names.STAGES
            }
            for share in SHARES
        },
        "over_time": {
            _key(share): {
                stage.key: [_percentile(_values(turns, stage.name), share) for turns in bins]
                for stage in names.STAGES
            }
            for share in SHARES
        },
        "figures": [
            {"name": figure.key, "meaning": figure.meaning, **_spread(calls.turns, figure.name)}
            for figure in names.FIGURES
        ],
    }


def _engines(answers: Sequence[StoredSpan]) -> list[Json]:
    """Return one row a model and replica."""
    groups: dict[tuple[str, str], list[StoredSpan]] = {}
    for answer in answers:
        found = answer.attributes
        place = f"{found.get(names.SERVER_ADDRESS, '')}:{found.get(names.SERVER_PORT, '')}".strip(":")
        groups.setdefault((str(found.get(names.GEN_AI_MODEL, "")), place), []).append(answer)
    rows = []
    for (model, replica), spans in sorted(groups.items()):
        read = _sum(spans, names.GEN_AI_INPUT_TOKENS)
        rows.append(
            {
                "model": model,
                "replica": replica,
                "answers": len(spans),
                "first_token": _spread_of(_attributes(spans, names.GEN_AI_FIRST_CHUNK)),
                "inter_token": _spread_of(_attributes(spans, names.LLM_INTER_TOKEN)),
                "input_tokens": read,
                "output_tokens": _sum(spans, names.GEN_AI_OUTPUT_TOKENS),
                "cached_share": _sum(spans, names.GEN_AI_CACHED_TOKENS) / read if read else None,
                "moves": _sum(spans, names.LLM_MOVES),
                "hedges": _sum(spans, names.LLM_HEDGES),
            }
        )
    return rows


def _cost(calls: Calls, objectives: Sequence[Objective]) -> Json:
    total = spent(calls.calls)
    use = f"{names.CALL_USE}."
    return {
        "currency": total.currency,
        "total": total.total,
        "minutes": total.minutes,
        "per_minute": total.per_minute,
        "per_call": total.total / total.calls if total.calls else None,
        "used_per_minute": total.used_per_minute,
        "parts": total.parts,
        "by_agent": {
            agent: {
                "calls": len(group),
                "minutes": spent(group).minutes,
                "total": spent(group).total,
                "per_minute": spent(group).per_minute,
            }
            for agent, group in grouped(calls.calls, "agent").items()
        },
        "use": {
            part: _sum(calls.calls, f"{use}{part}")
            for part in ("machine_seconds", "heard_seconds", "llm_seconds", "wasted_llm_seconds", "tts_seconds",
                         "input_tokens", "cached_tokens", "output_tokens", "wasted_tokens", "characters")
        },
        "speculations": _sum(calls.calls, names.CALL_SPECULATIONS),
        "speculations_withdrawn": _sum(calls.calls, names.CALL_SPECULATIONS_WITHDRAWN),
        "calls_at_objective": [
            {"title": objective.title, "calls": calls_at_objective(calls.turns, objective)}
            for objective in objectives
            if objective.measured
        ],
    }  # fmt: skip


def _binned(turns: Sequence[Turn], *, since: float, now: float) -> list[list[Turn]]:
    """Return the turns by :data:`BINS` equal stretches of time."""
    bins: list[list[Turn]] = [[] for _ in range(BINS)]
    width = max(1e-9, now - since) / BINS
    for turn in turns:
        bins[min(BINS - 1, max(0, int((turn.span.start - since) / width)))].append(turn)
    return bins


def _values(turns: Iterable[Turn], name: str) -> list[float]:
    return [value for turn in turns if (value := turn.seconds(name)) is not None]


def _attributes(spans: Sequence[StoredSpan], name: str) -> list[float]:
    return [float(span.attributes[name]) for span in spans if name in span.attributes]


def _sum(spans: Sequence[StoredSpan], name: str) -> float:
    return sum(_attributes(spans, name))


def _spread(turns: Sequence[Turn], name: str) -> Json:
    return _spread_of(_values(turns, name))


def _spread_of(values: Sequence[float]) -> Json:
    largest: Callable[[Sequence[float]], float | None] = lambda some: max(some, default=None)  # noqa: E731
    return {
        "count": len(values),
        **{_key(share): _percentile(values, share) for share in SHARES},
        "max": largest(values),
    }


def _percentile(values: Sequence[float], share: float) -> float | None:
    return percentile(values, share) if values else None


def _key(share: float) -> str:
    return f"p{share * 100:g}"


def _count(values: Iterable[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[str(value)] = counts.get(str(value), 0) + 1
    return counts
