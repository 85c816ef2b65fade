"""``/slo``: how the promises stand, where the time goes, the engines, the cost, and every call's waterfall.

For people without Grafana: the page asks for JSON of the local store, of this process's metrics and of the servers'
own; it loads nothing from anywhere else.
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
from telemetry.cost import Prices
from telemetry.recent import RecentCalls
from telemetry.slo import UNANSWERED_CAUSES, Objectives
from telemetry.store import SpanStore, StoredSpan
from telemetry.views import views
from telemetry.waterfall import rows
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.engine_metrics import EngineMetrics
from voice.errors import AccessDeniedError

SECONDS_PER_HOUR = 3600.0
#: How far back the page looks, hours: at first, and at most.
DEFAULT_HOURS = 24.0
MAX_HOURS = 90 * 24.0
#: What was computed is good for this long, however many people look, seconds.
KEPT_SECONDS = 3.0
#: Calls listed.
MAX_CALLS = 200
#: No script, style or connection but the gateway's own.
SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
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
        engines: asks the servers what they say of themselves.
        prices: what the owner pays.
        records_content: whether calls begin with what is said being recorded.

    """

    def __init__(
        self,
        store: SpanStore,
        objectives: Objectives,
        gatekeeper: Gatekeeper,
        *,
        engines: EngineMetrics,
        prices: Prices,
        records_content: bool = False,
    ) -> None:
        self._store = store
        self._recent = RecentCalls(store)
        self._objectives = objectives.all()
        self._gatekeeper = gatekeeper
        self._engines = engines
        self._prices = prices
        self._records_content = records_content
        #: What was computed last, by hours, and when.
        self._computed: dict[float, tuple[float, dict[str, Any]]] = {}

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes to mount."""
        return [
            Route("/slo", self._page),
            Route("/api/slo", self._guarded(self._standing)),
            Route("/api/slo/engines", self._guarded(self._servers)),
            Route("/api/slo/calls", self._guarded(self._list)),
            Route("/api/slo/traces/{trace_id}", self._guarded(self._trace)),
        ]

    async def _page(self, _: Request) -> Response:
        text = (resources.files("voice.web") / "static" / "slo" / "slo.html").read_text(encoding="utf-8")
        return HTMLResponse(text, headers=SECURITY_HEADERS)

    def _guarded(self, handler: Callable[[Request], Awaitable[Response]]) -> Handler:
        """Let only those who may see calls have ``handler``'s answer."""

        async def answer(request: Request) -> Response:
            try:
                self._gatekeeper.admit(request, "calls", door="gateway")
            except AccessDeniedError as denial:
                return denial_response(denial)
            return await handler(request)

        return answer

    async def _standing(self, request: Request) -> Response:
        try:
            hours = float(request.query_params.get("hours", DEFAULT_HOURS))
        except ValueError:
            hours = 0.0
        if not 0 < hours <= MAX_HOURS:
            return JSONResponse(
                {"error": f"hours is a number above 0, at most {MAX_HOURS:g}"}, status_code=400
            )
        return JSONResponse(await asyncio.to_thread(self._compute, hours))

    def _compute(self, hours: float) -> dict[str, Any]:
        now = time.time()
        when, known = self._computed.get(hours, (0.0, {}))
        if now - when < KEPT_SECONDS:
            return known
        windows = [objective.window_days * 24 * SECONDS_PER_HOUR for objective in self._objectives]
        calls = self._recent.since(now - max(hours * SECONDS_PER_HOUR, *windows))
        found = views(calls, self._objectives, since=now - hours * SECONDS_PER_HOUR, now=now)
        for row in found["objectives"]:
            if self._events_of(row["objective"]) == "calls_answered":
                row |= self._answered(row["promised"])
        found["live"] = self._live()
        self._computed = {hours: (now, found)}
        return found

    def _events_of(self, name: str) -> str:
        return next(objective.events for objective in self._objectives if objective.name == name)

    def _answered(self, promised: float) -> dict[str, Any]:
        """Return how many callers were turned away since this gateway started; they leave no trace."""
        refused = _sum("voice_refusals_total", cause=UNANSWERED_CAUSES)
        total = refused + _sum("voice_calls_total")
        share = 1 - refused / total if total else None
        left = None if share is None else 1 - (1 - share) / (1 - promised)
        return {
            "events": total, "bad": refused, "good_share": share, "budget_left": left, "since_start": True,
        }  # fmt: skip

    def _live(self) -> dict[str, Any]:
        """Return what this gateway's own gauges say right now."""
        return {
            "calls": _sum("voice_calls_active"),
            "capacity": _sum("voice_calls_capacity"),
            "tasks": _sum("voice_gateway_tasks"),
            "idle_seconds": _sum("voice_machine_idle_seconds"),
            "gpus": self._prices.gpus,
            "hour_price": self._prices.hour,
            "currency": self._prices.currency,
            "spans_dropped": _sum("telemetry_spans_dropped_total"),
            "export_cpu_seconds": _sum("telemetry_export_cpu_seconds_total"),
            "gpu_utilization": [
                sample.value
                for family in REGISTRY.collect()
                for sample in family.samples
                if sample.name == "gpu_utilization_ratio"
            ],
        }

    async def _servers(self, _: Request) -> Response:
        return JSONResponse(await self._engines.read())

    async def _list(self, _: Request) -> Response:
        calls = await asyncio.to_thread(self._store.calls, MAX_CALLS)
        return JSONResponse([_call_json(call) for call in calls])

    async def _trace(self, request: Request) -> Response:
        spans = await asyncio.to_thread(self._store.trace, request.path_params["trace_id"])
        if not spans or len({span.trace_id for span in spans}) > 1:
            return JSONResponse({"error": "no such trace, or too long ago"}, status_code=404)
        call = next((span for span in spans if span.name == names.SPAN_CALL), None)
        return JSONResponse(
            {
                "trace_id": spans[0].trace_id,
                "call": _call_json(call) if call else None,
                "attributes": {
                    name: value for name, value in call.attributes.items() if name not in names.CONTENT
                }
                if call
                else {},
                "spans": [_span_json(span, depth, spans[0].start) for span, depth in rows(spans)],
                "transcript": _transcript(call, spans),
                "records_content": self._records_content,
            }
        )


def _call_json(call: StoredSpan) -> dict[str, Any]:
    attributes = call.attributes
    return {
        "trace_id": call.trace_id,
        "call_id": attributes.get(names.CALL_ID),
        "began": call.start,
        "seconds": call.finish - call.start,
        "door": attributes.get(names.CALL_DOOR),
        "agent": attributes.get(names.CALL_AGENT),
        "version": attributes.get(names.CALL_VERSION),
        "turns": attributes.get(names.CALL_TURNS),
        "p50": attributes.get(f"{names.VOICE_TO_VOICE.name}.p50"),
        "p95": attributes.get(f"{names.VOICE_TO_VOICE.name}.p95"),
        "max": attributes.get(f"{names.VOICE_TO_VOICE.name}.max"),
        "outcome": attributes.get(names.CALL_OUTCOME),
        "ended": attributes.get(names.CALL_END_REASON),
        "cost": attributes.get(names.CALL_COST),
        "currency": attributes.get(names.CALL_COST_CURRENCY),
    }


def _span_json(span: StoredSpan, depth: int, zero: float) -> dict[str, Any]:
    """Return a row of the waterfall; times are seconds after ``zero``."""
    return {
        "name": span.name,
        "service": span.service.removeprefix("offhook-"),
        "depth": depth,
        "start": span.start - zero,
        "end": span.finish - zero,
        "error": span.attributes.get(names.ERROR_TYPE),
        "events": [{"name": event["name"], "at": event["at"] - zero} for event in span.events],
        "attributes": {name: value for name, value in span.attributes.items() if name not in names.CONTENT},
    }


def _transcript(call: StoredSpan | None, spans: Sequence[StoredSpan]) -> list[dict[str, Any]]:
    """Return what was said, where it was recorded: already redacted when it was stored."""
    lines = []
    if call and (greeting := call.attributes.get(names.CALL_GREETING)):
        lines.append({"who": "agent", "text": greeting, "at": 0.0})
    for turn in sorted((span for span in spans if span.name == names.SPAN_TURN), key=lambda span: span.start):
        at = turn.start - spans[0].start
        index = turn.attributes.get(names.TURN_INDEX)
        for who, name in (("caller", names.TURN_HEARD), ("agent", names.TURN_SPOKEN)):
            if text := turn.attributes.get(name):
                lines.append({"who": who, "text": text, "at": at, "turn": index})
    return lines


def _sum(name: str, **wanted: Sequence[str]) -> float:
    """Return the sum of a metric of this process over all labels, or those whose values are ``wanted``."""
    return sum(
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name and all(sample.labels.get(key) in values for key, values in wanted.items())
    )
