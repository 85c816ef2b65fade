"""The owner's desk: places calls, and does things to those in progress."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from orchestration.doors import PhoneSettings
from telemetry import metrics
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.access.tokens import OneTimeTokens
from voice.errors import AccessDeniedError, OutboundError
from voice.phone.carriers.base import MediaCarrier
from voice.phone.lines import Line, Lines
from voice.phone.outbound import CallingPolicy, ask_owner, e164, is_sip
from voice.phone.rest import send
from voice.reception import Reception

Handler = Callable[["CallDesk", Request], Awaitable[Response]]


class DialBody(BaseModel):
    """``POST /calls``."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=3, max_length=128, description="A number, or a `sip:` URI.")
    agent: str = Field("", max_length=40, description="Who calls; empty: the gateway's own agent.")


class KeysBody(BaseModel):
    """``POST /calls/{call_id}/keys``."""

    model_config = ConfigDict(extra="forbid")

    digits: str = Field(pattern=r"^[0-9*#]{1,32}$")


class TransferBody(BaseModel):
    """``POST /calls/{call_id}/transfer``."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=3, max_length=128, description="A number; a `sip:` URI over SIP.")
    announce: str = Field(
        "", max_length=300, description="Said to the caller first; empty: a blind transfer."
    )


def for_owners(handler: Handler) -> Handler:
    """Ask for the scope ``calls``, and answer what goes wrong."""

    @wraps(handler)
    async def handle(door: "CallDesk", request: Request) -> Response:
        try:
            door.gatekeeper.admit(request, "calls", door="phone")
            return await handler(door, request)
        except AccessDeniedError as denial:
            return denial_response(denial)
        except ValidationError as error:
            item = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in item["loc"])
            return JSONResponse({"error": f"{where or 'body'}: {item['msg']}"}, status_code=400)
        except OutboundError as error:
            metrics.REFUSALS.labels("phone", "outbound").inc()
            return JSONResponse({"error": str(error)}, status_code=409)

    return handle


class CallDesk:
    """Routes below ``/calls``.

    Args:
        reception: knows the agents.
        gatekeeper: admits people.
        settings: section ``[phone]``.
        carriers: by name.
        lines: the calls in progress.
        dialled: tokens of the calls placed.

    Raises:
        OutboundError: the do-not-call list or the hours cannot be used.

    """

    def __init__(
        self,
        reception: Reception,
        gatekeeper: Gatekeeper,
        settings: PhoneSettings,
        carriers: Mapping[str, MediaCarrier],
        lines: Lines,
        dialled: OneTimeTokens,
    ) -> None:
        self._reception = reception
        self.gatekeeper = gatekeeper
        self._settings = settings
        self._policy = CallingPolicy.from_settings(settings)
        self._carriers = carriers
        self._lines = lines
        self._dialled = dialled

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [
            Route("/calls", self._dial, methods=["POST"]),
            Route("/calls/{call_id}/hangup", self._hang_up, methods=["POST"]),
            Route("/calls/{call_id}/transfer", self._transfer, methods=["POST"]),
            Route("/calls/{call_id}/keys", self._keys, methods=["POST"]),
        ]

    @for_owners
    async def _dial(self, request: Request) -> Response:
        body = DialBody.model_validate_json(await self.gatekeeper.read(request, door="phone"))
        carrier, number = self._callee(body.to)
        agent = self._reception.agent_named(body.agent)
        if agent is None:
            raise OutboundError(f"no agent {body.agent!r}; there are: {', '.join(self._reception.agents)}")
        self._policy.check(number, datetime.now(UTC))
        if self._settings.check_url:
            await ask_owner(self._settings.check_url, number, agent.name)
        base = f"{public_url(self._settings, request)}/phone/{carrier.name}"
        token = self._dialled.mint({"agent": agent.name, "screened": "yes"}, time.monotonic())
        answer_url = f"{base}/answer?dial={token}"
        reply = await send(
            carrier.dial(api_base(self._settings, carrier), number, answer_url, f"{base}/status")
        )
        return JSONResponse({"call_id": carrier.dialled(reply), "to": number}, status_code=201)

    @for_owners
    async def _hang_up(self, request: Request) -> Response:
        line = self._line(request)
        await line.hang_up()
        return JSONResponse({"status": "hung up"})

    @for_owners
    async def _transfer(self, request: Request) -> Response:
        body = TransferBody.model_validate_json(await self.gatekeeper.read(request, door="phone"))
        line = self._line(request)
        if body.announce:
            await line.say(body.announce)
        number = await line.transfer(body.to)
        return JSONResponse({"status": "transferred", "to": number})

    @for_owners
    async def _keys(self, request: Request) -> Response:
        """Press keys on the other side's menu."""
        body = KeysBody.model_validate_json(await self.gatekeeper.read(request, door="phone"))
        await self._line(request).press(body.digits)
        return JSONResponse({"status": "pressed", "digits": body.digits})

    def _callee(self, to: str) -> tuple[MediaCarrier, str]:
        """Return through which carrier to call, and whom: a number, or a ``sip:`` URI."""
        name = "sip" if is_sip(to) else self._settings.outbound
        if not name:
            raise OutboundError("[phone] outbound names no carrier to call through")
        carrier = self._carriers.get(name)
        if carrier is None:
            raise OutboundError("[sip] enabled is false, so nobody is called over SIP")
        return carrier, to if is_sip(to) else e164(to)

    def _line(self, request: Request) -> Line:
        line = self._lines.find(request.path_params["call_id"])
        if line is None:
            raise OutboundError("no such call in progress over a carrier")
        return line


def api_base(settings: PhoneSettings, carrier: MediaCarrier) -> str:
    """Return where the carrier's REST API is."""
    return settings.api_base or carrier.api_base


def public_url(settings: PhoneSettings, connection: HTTPConnection) -> str:
    """Return the base URL under which carriers reach this gateway."""
    scheme = "https" if connection.url.scheme in ("https", "wss") else "http"
    return settings.public_url or f"{scheme}://{connection.headers.get('host', '')}"
