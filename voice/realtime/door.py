"""``WS /v1/realtime`` and ``POST /v1/realtime/client_secrets``."""

import json
import logging
import math
import time
from collections.abc import Sequence
from typing import Any, Literal

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from orchestration.doors import RealtimeSettings
from telemetry import metrics
from telemetry.tracing import extract_context
from voice.access.gatekeeper import Gatekeeper, bearer, read_body
from voice.errors import AccessDeniedError
from voice.phone.socket import CallerSocket
from voice.realtime.config import SessionConfig
from voice.realtime.connection import Connection
from voice.realtime.errors import ClientEventError
from voice.realtime.ids import random_id
from voice.realtime.limits import SessionLimits
from voice.realtime.secrets import PREFIX, ClientSecrets, read_request
from voice.realtime.session import Session
from voice.realtime.transcriber import Transcriber
from voice.reception import Place, Reception, RefusedError

logger = logging.getLogger(__name__)

DOOR = "realtime"
SCOPE: Literal["realtime"] = "realtime"
#: The subprotocol browsers offer beside the one that carries their key.
SUBPROTOCOL = "realtime"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
#: When to try again at a gateway that is full, seconds.
RETRY_SECONDS = 5
#: OpenAI's error type and code of a refusal, by its HTTP status.
REFUSALS = {
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "permission_denied"),
    413: ("invalid_request_error", "request_too_large"),
    429: ("requests", "rate_limit_exceeded"),
}


class RealtimeDoor:
    """Routes of this door. Use it as an async context manager while it serves.

    Args:
        reception: admits calls.
        gatekeeper: admits people.
        settings: section ``[realtime]``.

    """

    def __init__(self, reception: Reception, gatekeeper: Gatekeeper, settings: RealtimeSettings) -> None:
        self._reception = reception
        self._gatekeeper = gatekeeper
        self._settings = settings
        self._secrets = ClientSecrets(gatekeeper.sessions)
        configuration = reception.configuration
        self._voices = frozenset(configuration.tts.voices)
        self._transcriber = Transcriber(
            configuration.asr_url, model=reception.agent.models.asr or configuration.asr.model
        )

    async def __aenter__(self) -> "RealtimeDoor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transcriber.close()

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [
            WebSocketRoute("/v1/realtime", _Endpoint(self)),
            Route("/v1/realtime/client_secrets", self._mint, methods=["POST"]),
        ]

    # Sessions.

    async def serve(self, socket: CallerSocket) -> None:
        """Hold one session, or refuse it before the websocket is accepted."""
        try:
            credential = credential_of(socket)
            visitor = self._gatekeeper.admit(
                socket, SCOPE, door=DOOR, credential=credential.removeprefix(PREFIX)
            )
            config = self._secrets.settings_of(credential) or self._defaults()
            with self._gatekeeper.hold(visitor, door=DOOR), self._reception.admit(DOOR) as place:
                offered = socket.scope.get("subprotocols", [])
                await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
                await self._hold(socket, place, config)
        except RefusedError as refusal:
            logger.warning("session refused: %s", refusal)
            metrics.REFUSALS.labels(DOOR, "at_capacity").inc()
            await socket.send_denial_response(at_capacity(refusal))
        except AccessDeniedError as denial:
            logger.warning("session refused: %s", denial)
            await socket.send_denial_response(denied(denial))

    async def _hold(self, socket: CallerSocket, place: Place, config: SessionConfig) -> None:
        agent = self._reception.agent
        if model := socket.query_params.get("model"):
            config = config.model_copy(update={"model": model[:200]})
        limit = agent.sampling.max_tokens or self._reception.sampling.max_tokens
        session = Session(
            config,
            voices=self._voices,
            limits=SessionLimits(
                max_items=self._settings.max_items,
                max_buffer_seconds=self._settings.max_buffer_seconds,
                max_asks=self._reception.configuration.llm.calls_per_call,
                token_limit=limit,
            ),
            expires_at=int(time.time() + self._settings.max_session_seconds),
        )
        connection = Connection(
            socket,
            place,
            session,
            place.recorder(session.id, parent=extract_context(dict(socket.headers))),
            agent=agent,
            settings=self._settings,
            transcriber=self._transcriber,
            start_seconds=self._reception.settings.handshake_seconds,
        )
        await connection.hold()

    def _defaults(self) -> SessionConfig:
        """Return the settings of a session that says nothing: the gateway's agent."""
        agent = self._reception.agent
        return SessionConfig().updated(
            {"instructions": agent.system_prompt, "audio": {"output": {"voice": agent.voice}}},
            voices=self._voices | {agent.voice},
        )

    # Secrets.

    async def _mint(self, request: Request) -> Response:
        """Mint an ephemeral client secret: a site's server asks for one and hands it to its page."""
        try:
            visitor = self._gatekeeper.admit(request, "sessions", door=DOOR)
            if visitor.key and SCOPE not in visitor.key.scopes:
                raise AccessDeniedError(403, "wrong_scope", f"this API key lacks the scope {SCOPE!r}")
            body = await read_body(request, self._gatekeeper.settings.max_body_bytes)
            wanted = read_request(_json(body))
            config = self._defaults().updated(wanted.session, voices=self._voices)
        except AccessDeniedError as denial:
            return denied(denial)
        except ClientEventError as error:
            metrics.REFUSALS.labels(DOOR, "bad_request").inc()
            return JSONResponse({"error": error.as_json()}, status_code=400)
        name = visitor.key.name if visitor.key else ""
        secret, expires = self._secrets.mint(name, wanted.expires_after, config)
        answer = {"value": secret, "expires_at": expires, "session": config.as_json(random_id("sess"), 0)}
        return JSONResponse(answer, headers={"cache-control": "no-store"})


class _Endpoint:
    """The websocket's ASGI application."""

    def __init__(self, door: RealtimeDoor) -> None:
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one websocket."""
        await self._door.serve(CallerSocket(scope, receive, send))


def credential_of(connection: HTTPConnection) -> str:
    """Return the key or secret a client shows: in the Authorization header, or as browsers must, in a subprotocol."""
    if credential := bearer(connection):
        return credential
    for offered in connection.scope.get("subprotocols", []):
        if isinstance(offered, str) and offered.startswith(KEY_SUBPROTOCOL):
            return offered.removeprefix(KEY_SUBPROTOCOL)
    return ""


def denied(denial: AccessDeniedError) -> Response:
    """Return a refusal as OpenAI writes it."""
    kind, code = REFUSALS.get(denial.status, ("invalid_request_error", denial.cause))
    headers = {"retry-after": str(math.ceil(denial.retry_after))} if denial.retry_after else {}
    if denial.status == 401:
        headers["www-authenticate"] = "Bearer"
    return _problem(denial.status, kind, code, str(denial), headers)


def at_capacity(refusal: RefusedError) -> Response:
    """Return that no session can be taken now, as OpenAI writes it."""
    return _problem(503, "server_error", "at_capacity", str(refusal), {"retry-after": str(RETRY_SECONDS)})


def _problem(status: int, kind: str, code: str, message: str, headers: dict[str, str]) -> Response:
    error = {"type": kind, "code": code, "message": message, "param": None}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        raise ClientEventError("the body is not JSON", code="invalid_json") from None
