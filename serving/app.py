"""The ASGI shell of a server: health, readiness, metrics, and the service's own lifetime."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from serving.errors import ServingError

logger = logging.getLogger(__name__)


class Service(Protocol):
    """What a room puts behind the shell."""

    name: str

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the service itself."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Load and warm up, call ``ready`` after a real inference, then live until cancelled.

        ``ready`` may be called again; it means nothing then.

        Raises:
            ServingError: it cannot, and the text says what its owner should do; anything else is a fault.

        """


class Readiness:
    """Whether a server takes new work: starting, ready, draining or failed."""

    def __init__(self) -> None:
        self.state = "starting"
        self.reason = "not warmed up yet"

    def ready(self) -> None:
        """Note that a real inference has run."""
        self.state, self.reason = "ready", ""

    def draining(self) -> None:
        """Note that the process has been asked to stop."""
        self.state, self.reason = "draining", "finishing the calls in progress, taking no new ones"

    def failed(self, reason: str) -> None:
        """Note that the service died."""
        self.state, self.reason = "failed", reason


def build_app(
    service: Service,
    *,
    on_ready: Callable[[], None] = lambda: None,
    on_failure: Callable[[], None] = lambda: None,
    impediment: Callable[[], str] = lambda: "",
) -> Starlette:
    """Build the ASGI application of ``service``.

    ``GET /healthz`` is 200 while the process lives, ``GET /readyz`` is 200 only once the service has
    warmed up and while it is not draining, ``GET /metrics`` is the Prometheus registry.
    ``on_ready`` is called once, before the service is said to be ready for the first time.
    ``on_failure`` is called when the service ends with an error; the process is expected to stop.
    ``impediment`` says what keeps a ready server from taking work for now; empty: nothing.
    """
    readiness = Readiness()

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive", "service": service.name})

    async def readyz(_: Request) -> Response:
        state, reason = readiness.state, readiness.reason
        if state == "ready" and (hindrance := impediment()):
            state, reason = "impeded", hindrance
        return JSONResponse(
            {"status": state, "service": service.name, "reason": reason},
            status_code=200 if state == "ready" else 503,
        )

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(REGISTRY), headers={"content-type": content_type})

    def ready() -> None:
        if readiness.state == "starting":
            on_ready()
            readiness.ready()

    async def supervise() -> None:
        try:
            await service.run(ready)
        except ServingError as error:
            readiness.failed(str(error))
            on_failure()
        except Exception as error:
            logger.exception("%s failed", service.name)
            readiness.failed(f"{type(error).__name__}: {error}")
            on_failure()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(supervise(), name=f"{service.name}-service")
            try:
                yield
            finally:
                task.cancel()

    shell = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    app = Starlette(routes=[*shell, *service.routes()], lifespan=lifespan)
    app.state.readiness = readiness
    return app
