"""``/slo``: how the promises stand, where the time goes, the calls and their waterfalls, for people without Grafana.

The page asks for JSON of the local store and of this process's metrics; it loads nothing from anywhere else.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any

from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from telemetry import names
from telemetry.report import Calls, as_json, grouped, spent
from telemetry.slo import Objectives
from telemetry.store import SpanStore, StoredSpan
from telemetry.waterfall import trace_bars
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.errors import AccessDeniedError

SECONDS_PER_DAY = 86400.0
#: Calls listed.
MAX_CALLS = 100
#: Gauges shown as they are.
GAUGES = ("voice_calls_capacity", "voice_gateway_tasks", "voice_machine_idle_seconds")
#: No script, style or connection but the page's own.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

Handler = Callable[[Request], Awaitable[Response]]


class SloPage:
    """The page and what it asks for.

    Args:
        store: the local store of traces.
        objectives: what callers are promised.
        gatekeeper: lets in who may see calls.

    """

    def __init__(self, store: SpanStore, objectives: Objectives, gatekeeper: Gatekeeper) -> None:
        self._store = store
        self._objectives = objectives.all()
        self._gatekeeper = gatekeeper

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes to mount."""
        return [
            Route("/slo", self._page),
            Route("/api/slo", self._guarded(self._standing)),
            Route("/api/slo/calls", self._guarded(self._list)),
            Route("/api/slo/traces/{trace_id}", self._guarded(self._trace)),
        ]

    async def _page(self, _: Request) -> Response:
        text = (resources.files("voice.web") / "slo.html").read_text(encoding="utf-8")
        return HTMLResponse(text, headers=SECURITY_HEADERS)

    def _guarded(self, handler: Callable[[Request], Any]) -> Handler:
        """Answer ``handler``'s JSON, found on a thread, to those who may see calls."""

        async def answer(request: Request) -> Response:
            try:
                self._gatekeeper.admit(request, "calls", door="gateway")
            except AccessDeniedError as denial:
                return denial_response(denial)
            found = await asyncio.to_thread(handler, request)
            if found is None:
                return JSONResponse({"error": "no such trace, or too long ago"}, status_code=404)
            return JSONResponse(found)

        return answer

    def _standing(self, _: Request) -> dict[str, Any]:
        longest = max(objective.window_days for objective in self._objectives)
        calls = Calls(self._store, since=time.time() - longest * SECONDS_PER_DAY)
        report = as_json(calls, self._objectives)
        for row, objective in zip(report["objectives"], self._objectives, strict=True):
            row |= {"title": objective.title, "promised": objective.objective, "figure": objective.figure}
            row |= {"under_seconds": objective.under_seconds}
        total = spent(calls.calls)
        return {
            **report,
            "by_agent": {
                key: {"calls": len(group), "cost_per_minute": spent(group).per_minute}
                for key, group in grouped(calls.calls, "agent").items()
            },
            "voice_to_voice": [
                {"at": turn.span.start, "seconds": seconds, "trace_id": turn.span.trace_id}
                for turn in calls.turns
                if (seconds := turn.seconds(names.VOICE_TO_VOICE.name)) is not None
            ],
            "cost": {
                "currency": total.currency,
                "total": total.total,
                "per_minute": total.per_minute,
                "parts": total.parts,
            },
            "now": {"calls_active": _sum("voice_calls_active"), **{name: _sum(name) for name in GAUGES}},
        }

    def _list(self, _: Request) -> list[dict[str, Any]]:
        return [_call_json(call) for call in self._store.calls(MAX_CALLS)]

    def _trace(self, request: Request) -> dict[str, Any] | None:
        spans = self._store.trace(request.path_params["trace_id"])
        if not spans or len({span.trace_id for span in spans}) > 1:
            return None
        bars = [
            {"label": bar.label, "start": bar.start, "end": bar.end, "note": bar.note}
            for bar in trace_bars(spans)
        ]
        call = next((span for span in spans if span.name == names.SPAN_CALL), None)
        return {
            "trace_id": spans[0].trace_id,
            "call": _call_json(call) if call else None,
            "attributes": call.attributes if call else {},
            "bars": bars,
        }


def _call_json(call: StoredSpan) -> dict[str, Any]:
    attributes = call.attributes
    return {
        "trace_id": call.trace_id,
        "began": call.start,
        "seconds": call.finish - call.start,
        "door": attributes.get(names.CALL_DOOR),
        "agent": attributes.get(names.CALL_AGENT),
        "version": attributes.get(names.CALL_VERSION),
        "turns": attributes.get(names.CALL_TURNS),
        "p50": attributes.get(f"{names.VOICE_TO_VOICE.name}.p50"),
        "p95": attributes.get(f"{names.VOICE_TO_VOICE.name}.p95"),
        "outcome": attributes.get(names.CALL_OUTCOME),
        "ended": attributes.get(names.CALL_END_REASON),
        "cost": attributes.get(names.CALL_COST),
    }


def _sum(name: str) -> float:
    """Return the sum over all labels of a metric of this process."""
    return sum(
        sample.value for family in REGISTRY.collect() for sample in family.samples if sample.name == name
    )
