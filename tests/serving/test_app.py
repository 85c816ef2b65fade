"""The ASGI shell: health, readiness and metrics around a service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest
from prometheus_client import Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from serving.app import build_app

SEEN = Counter("test_serving_seen", "Counted by a test.")


class GatedService:
    """Becomes ready, or fails, when told to."""

    name = "gated"

    def __init__(self) -> None:
        self.warm = asyncio.Event()
        self.again = asyncio.Event()
        self.fault: Exception | None = None
        self.ended = False

    def routes(self) -> Sequence[BaseRoute]:
        """Return one route of its own."""

        async def hello(_: object) -> PlainTextResponse:
            return PlainTextResponse("hello")

        return [Route("/hello", hello)]

    async def run(self, ready: Callable[[], None]) -> None:
        """Wait to be told."""
        try:
            await self.warm.wait()
            if self.fault:
                raise self.fault
            ready()
            await self.again.wait()
            ready()
            await asyncio.Event().wait()
        finally:
            self.ended = True


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application's lifespan and yield a client of it."""
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gated") as client,
    ):
        yield client


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_ready_only_after_the_service_says_so() -> None:
    """Alive from the start, ready after the warm-up."""
    service = GatedService()
    async with running(build_app(service)) as client:
        assert (await client.get("/healthz")).json() == {"status": "alive", "service": "gated"}
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {"status": "starting", "service": "gated", "reason": "not warmed up yet"}
        service.warm.set()
        await settle()
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["status"]) == (200, "ready")
        assert (await client.get("/hello")).text == "hello"


async def test_an_impediment_makes_a_ready_server_say_why() -> None:
    """What keeps it from taking work for now is told by /readyz, and goes away again."""
    service, hindrance = GatedService(), ["waiting for asr"]
    async with running(build_app(service, impediment=lambda: hindrance[0])) as client:
        service.warm.set()
        await settle()
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json() == {"status": "impeded", "service": "gated", "reason": "waiting for asr"}
        hindrance[0] = ""
        assert (await client.get("/readyz")).status_code == 200


async def test_what_loading_left_is_settled_once_before_the_first_work() -> None:
    """A service that says again that it is ready changes nothing."""
    service, seen = GatedService(), []
    app = build_app(service, on_ready=lambda: seen.append(app.state.readiness.state))
    async with running(app):
        assert seen == []
        service.warm.set()
        await settle()
        service.again.set()
        await settle()
    assert seen == ["starting"]


async def test_draining_is_not_ready() -> None:
    """A server asked to stop takes no new work but stays alive, whatever its service says meanwhile."""
    service = GatedService()
    app = build_app(service)
    async with running(app) as client:
        service.warm.set()
        await settle()
        app.state.readiness.draining()
        service.again.set()
        await settle()
        assert (await client.get("/readyz")).json()["status"] == "draining"
        assert (await client.get("/healthz")).status_code == 200


async def test_a_service_that_dies_is_told_and_reported() -> None:
    """Its reason stands in /readyz, and the process is told to stop."""
    service, stopped = GatedService(), asyncio.Event()
    service.fault = ValueError("the model is broken")
    async with running(build_app(service, on_failure=stopped.set)) as client:
        service.warm.set()
        await settle()
        assert stopped.is_set()
        response = await client.get("/readyz")
        assert response.status_code == 503
        assert response.json()["reason"] == "ValueError: the model is broken"


async def test_the_service_ends_with_the_application() -> None:
    """Leaving the lifespan cancels the service and waits for it."""
    service = GatedService()
    async with running(build_app(service)):
        await settle()
    assert service.ended


@pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("", "text/plain", parse_text),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", parse_openmetrics),
    ],
)
async def test_metrics_in_both_formats(accept: str, content_type: str, parse: Callable[..., object]) -> None:
    """Prometheus gets OpenMetrics, with exemplars, where it asks for it; the official parser reads both."""
    SEEN.inc(exemplar={"trace_id": "0" * 32})
    async with running(build_app(GatedService())) as client:
        response = await client.get("/metrics", headers={"accept": accept})
        assert response.headers["content-type"].startswith(content_type)
        families = {family.name: family for family in parse(response.text)}  # type: ignore[attr-defined]
        assert families["test_serving_seen"].type == "counter"
        assert ("trace_id" in response.text) == (parse is parse_openmetrics)
