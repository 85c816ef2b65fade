"""The browser's door: SmallWebRTC signalling, session tokens, and the page."""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from importlib import resources
from typing import Any

from pipecat.processors.frameworks.rtvi import models as rtvi
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import IceServer, SmallWebRTCConnection
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from orchestration.doors import WebSettings
from orchestration.timeline import Turn
from telemetry import metrics
from telemetry.tracing import extract_context
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.errors import AccessDeniedError, SignallingError
from voice.mediawatch import MediaWatch
from voice.reception import Place, Reception, RefusedError
from voice.web.signalling import Offer, parse_offer, parse_patch
from voice.web.transport import BrowserTransport

logger = logging.getLogger(__name__)

DOOR = "web"
#: The pipeline's rate both ways, Hz: wideband, as the ear hears it.
SAMPLE_RATE = 16_000
#: pipecat counts output chunks in tens of milliseconds; 20 ms is one Opus packet.
OUTPUT_CHUNK_10MS = 2
#: After ``connect_seconds`` a connection is closed within this, seconds.
CLOSING_SECONDS = 5
#: How asyncio calls aioice's timer for a question that was not answered.
LATE_QUESTION = "Transaction.__retry"
#: The page runs its own script and styles only, and no other site may frame it.
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self)",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}

Handler = Callable[["WebDoor", Request], Awaitable[Response]]


def refusing(handler: Handler) -> Handler:
    """Answer what the door's own exceptions mean."""

    @wraps(handler)
    async def handle(door: "WebDoor", request: Request) -> Response:
        try:
            return await handler(door, request)
        except AccessDeniedError as denial:
            return denial_response(denial)
        except SignallingError as error:
            metrics.REFUSALS.labels(DOOR, "bad_signalling").inc()
            return JSONResponse({"error": str(error)}, status_code=400)
        except RefusedError as refusal:
            metrics.REFUSALS.labels(DOOR, "at_capacity").inc()
            return JSONResponse({"error": str(refusal)}, status_code=503, headers={"retry-after": "5"})

    return handle


class WebDoor:
    """Routes of the browser's door; its calls live in :meth:`run`.

    Args:
        reception: admits calls.
        gatekeeper: admits people.
        settings: section ``[web]``.

    """

    def __init__(self, reception: Reception, gatekeeper: Gatekeeper, settings: WebSettings) -> None:
        self._reception = reception
        self._gatekeeper = gatekeeper
        self._settings = settings
        self._connections: dict[str, SmallWebRTCConnection] = {}
        self._calls: asyncio.TaskGroup | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [
            Route("/", self._page),
            Mount(
                "/api",
                routes=[
                    Route("/offer", self._offer, methods=["POST"]),
                    Route("/offer", self._patch, methods=["PATCH"]),
                    Route("/ice", self._ice),
                    Route("/sessions", self._session, methods=["POST"]),
                ],
                middleware=[self._cross_origin()],
            ),
            Mount("/static", StaticFiles(packages=[("voice.web", "static")])),
        ]

    def _cross_origin(self) -> Middleware:
        """Let pages of the allowed origins read what they are answered (CORS)."""
        return Middleware(
            CORSMiddleware,
            allow_origins=list(self._gatekeeper.settings.allowed_origins),
            allow_methods=["GET", "POST", "PATCH"],
            allow_headers=["authorization", "content-type"],
        )

    async def run(self) -> None:
        """Hold the calls of this door until cancelled."""
        asyncio.get_running_loop().set_exception_handler(_note_failure)
        async with asyncio.TaskGroup() as group:
            self._calls = group
            await asyncio.get_running_loop().create_future()

    async def _page(self, _: Request) -> Response:
        page = (resources.files("voice.web") / "static" / "index.html").read_bytes()
        return Response(page, media_type="text/html", headers=PAGE_HEADERS)

    @refusing
    async def _ice(self, request: Request) -> Response:
        """Tell a page that may call which STUN and TURN servers to use."""
        self._gatekeeper.admit(request, "web", door=DOOR)
        servers: list[dict[str, str]] = []
        for server in self._settings.ice_servers:
            entry = {"urls": server.urls}
            if server.username:
                entry |= {"username": server.username, "credential": server.credential.get_secret_value()}
            servers.append(entry)
        return JSONResponse({"iceServers": servers}, headers={"cache-control": "no-store"})

    @refusing
    async def _session(self, request: Request) -> Response:
        """Mint a session token: a site's own server asks for one and hands it to its page."""
        visitor = self._gatekeeper.admit(request, "sessions", door=DOOR)
        if visitor.key is None:
            return JSONResponse(
                {"error": "this gateway has no API keys, so nobody needs a token"}, status_code=409
            )
        token, expires = self._gatekeeper.sessions.mint(visitor.key.name, "web", time.time())
        return JSONResponse({"token": token, "expires_at": expires}, headers={"cache-control": "no-store"})

    @refusing
    async def _offer(self, request: Request) -> Response:
        """Answer an offer: hold a new call, or carry an old one over a new connection."""
        visitor = self._gatekeeper.admit(request, "web", door=DOOR)
        offer = parse_offer(await self._gatekeeper.read(request, door=DOOR))
        if offer.pc_id and (known := self._connections.get(offer.pc_id)):
            return await self._renegotiate(known, offer)
        with contextlib.ExitStack() as holding:
            holding.enter_context(self._gatekeeper.hold(visitor, door=DOOR))
            place = holding.enter_context(self._reception.admit(DOOR))
            connection = await self._connect(offer)
            assert self._calls is not None
            held = holding.pop_all()
            self._calls.create_task(
                self._hold(connection, place, held, dict(request.headers)), name="web-call"
            )
        return JSONResponse(connection.get_answer())

    async def _connect(self, offer: Offer) -> SmallWebRTCConnection:
        servers = [
            IceServer(
                urls=server.urls,
                username=server.username or None,
                credential=server.credential.get_secret_value() or None,
            )
            for server in self._settings.ice_servers
        ]
        connection = SmallWebRTCConnection(
            ice_servers=servers,
            # This door gives up first: two that close a connection at once get into each other's way.
            connection_timeout_secs=math.ceil(self._settings.connect_seconds) + CLOSING_SECONDS,
        )
        try:
            await connection.initialize(sdp=offer.sdp, type=offer.type)
        except Exception as error:  # aiortc's parser raises whatever its code happens to run into
            await _disconnect(connection)
            raise SignallingError(f"sdp: cannot be answered ({type(error).__name__})") from None
        self._connections[connection.pc_id] = connection
        return connection

    async def _renegotiate(self, connection: SmallWebRTCConnection, offer: Offer) -> Response:
        try:
            await connection.renegotiate(sdp=offer.sdp, type=offer.type, restart_pc=bool(offer.restart_pc))
        except Exception as error:  # as above
            raise SignallingError(f"sdp: cannot be answered ({type(error).__name__})") from None
        self._connections[connection.pc_id] = connection
        return JSONResponse(connection.get_answer())

    @refusing
    async def _patch(self, request: Request) -> Response:
        """Take ICE candidates that the browser has found since."""
        self._gatekeeper.admit(request, "web", door=DOOR)
        patch = parse_patch(await self._gatekeeper.read(request, door=DOOR))
        connection = self._connections.get(patch.pc_id)
        if connection is None:
            metrics.REFUSALS.labels(DOOR, "unknown_connection").inc()
            return JSONResponse({"error": "no such connection"}, status_code=404)
        for candidate in [candidate.parsed() for candidate in patch.candidates]:
            try:
                await connection.add_ice_candidate(candidate)
            except Exception as error:  # as above
                raise SignallingError(f"candidate: cannot be used ({type(error).__name__})") from None
        return JSONResponse({"status": "success"})

    async def _hold(
        self,
        connection: SmallWebRTCConnection,
        place: Place,
        held: contextlib.ExitStack,
        headers: dict[str, str],
    ) -> None:
        with held:
            try:
                if await self._is_connected(connection):
                    await self._converse(connection, place, headers)
                else:
                    logger.warning("call ended before it began: the browser did not connect")
            except Exception:
                logger.exception("call %s failed", connection.pc_id)
            finally:
                for name in [name for name, known in self._connections.items() if known is connection]:
                    del self._connections[name]
                await _disconnect(connection)

    async def _is_connected(self, connection: SmallWebRTCConnection) -> bool:
        changed = asyncio.Event()
        connection.pc.on("connectionstatechange", changed.set)
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                while (state := connection.pc.connectionState) in ("new", "connecting"):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        return bool(state == "connected")

    async def _converse(
        self, connection: SmallWebRTCConnection, place: Place, headers: dict[str, str]
    ) -> None:
        watch = MediaWatch(timeout_seconds=self._reception.settings.media_timeout_seconds)
        recorder = place.recorder(connection.pc_id, parent=extract_context(headers))
        recorder.on_turn = lambda turn: _tell(connection, _turn_message(turn))
        params = TransportParams(
            audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=OUTPUT_CHUNK_10MS
        )
        transport = BrowserTransport(
            connection,
            params,
            on_audio=watch.seen,
            on_audible=recorder.audible,
            leaves=recorder.playback.leaves,
        )

        async def gone(*_: object) -> None:
            call.end("caller hung up")

        transport.add_event_handler("on_client_disconnected", gone)
        call = place.call(transport, recorder, sample_rate=SAMPLE_RATE, rtvi=True)
        call.on_end = lambda reason: _tell(connection, {"type": "ended", "reason": reason})
        await watch.hold(call)


def _turn_message(turn: Turn) -> dict[str, Any]:
    return {
        "type": "turn",
        "index": turn.index,
        "heard": turn.heard,
        "answered": turn.answered,
        "seconds": {figure.key: seconds for figure, seconds in turn.figures().items()},
        "interrupted": turn.interrupted,
    }


def _tell(connection: SmallWebRTCConnection, data: dict[str, Any]) -> None:
    """Send the page an RTVI server message; one that cannot be sent any more is of no use to anybody."""
    with contextlib.suppress(Exception):
        connection.send_app_message(rtvi.ServerMessage(data=data).model_dump())


async def _disconnect(connection: SmallWebRTCConnection) -> None:
    """Close a connection; aiortc raises where it was never whole, or is being closed already."""
    try:
        await connection.disconnect()
    except Exception as error:
        logger.info("connection %s could not be closed in order: %s", connection.pc_id, type(error).__name__)


def _note_failure(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what failed in a callback; aioice asks once more after its socket has been closed, which is nothing."""
    if LATE_QUESTION not in repr(context.get("handle")):
        loop.default_exception_handler(context)
