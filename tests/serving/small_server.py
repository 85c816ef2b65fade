"""A server with a websocket that echoes and one that refuses: ``python -m tests.serving.small_server``."""

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from serving.process import serve


class SmallService:
    """Echoes; fails at its start where it is told to."""

    name = "small"

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def routes(self) -> Sequence[BaseRoute]:
        """Return the echo, the refusal, and how many objects are out of garbage collection."""
        return [
            WebSocketRoute("/echo", self._echo),
            WebSocketRoute("/closed", self._refuse),
            Route("/frozen", self._frozen),
        ]

    async def run(self, ready: Callable[[], None]) -> None:
        """Be ready at once, or fail."""
        if self._fault:
            raise RuntimeError(self._fault)
        ready()
        await asyncio.Event().wait()

    async def _frozen(self, _: Request) -> Response:
        return PlainTextResponse(str(gc.get_freeze_count()))

    async def _echo(self, socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return

    async def _refuse(self, socket: WebSocket) -> None:
        await socket.receive()
        await socket.send_denial_response(Response("not now", status_code=503))


if __name__ == "__main__":
    serve(
        SmallService(os.environ.get("FAULT", "")),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        drain_seconds=float(sys.argv[2]),
    )
