"""The SIP process: calls between the SIP stack and the gateway, and the gateway's orders."""

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from websockets.asyncio.client import ClientConnection

from orchestration.restart import RestartBackoff, RestartPolicy
from orchestration.settings import Configuration
from orchestration.trunk import REGISTERING
from serving.errors import ServingError
from telemetry import metrics
from voice.access.gatekeeper import bearer, read_body
from voice.closing import close_reason
from voice.errors import AccessDeniedError, SipError
from voice.sip.bridge import Bridge
from voice.sip.call import Ending, SipCall
from voice.sip.stack import Handlers, SipStack
from voice.sip.uplink import DOOR, TurnedAwayError, Uplink

logger = logging.getLogger(__name__)

#: An answered call must be acknowledged within this (64 x T1 of RFC 3261), seconds.
ACK_SECONDS = 32.0
#: Largest body of an order, bytes.
MAX_BODY_BYTES = 4096
#: When to try again where the registrar did not register us.
REGISTER_AGAIN = RestartPolicy(first_delay_seconds=2.0, max_delay_seconds=60.0)
#: A registrar that answers so means it: the settings are wrong.
DEFINITE = range(400, 405)
TARGET = r"^(sips?:[^\s<>\"]{1,120}|\+?[0-9]{2,20})$"

Handler = Callable[["SipService", Request], Awaitable[Response]]


class Target(BaseModel):
    """Whom to call or to transfer to: a ``sip:`` URI, or a number through the trunk."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(pattern=TARGET)


class Dial(Target):
    """A call to place."""

    token: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,128}$", description="By which the gateway knows it again."
    )


class Keys(BaseModel):
    """Keys to press."""

    model_config = ConfigDict(extra="forbid")

    digits: str = Field(pattern=r"^[0-9*#]{1,32}$")


def for_gateway(handler: Handler) -> Handler:
    """Let nobody but the gateway in, and answer what goes wrong."""

    @wraps(handler)
    async def handle(service: "SipService", request: Request) -> Response:
        if not service.is_gateway(request):
            return JSONResponse({"error": "only the gateway may do this"}, status_code=403)
        try:
            return await handler(service, request)
        except AccessDeniedError as error:
            return JSONResponse({"error": str(error)}, status_code=error.status)
        except ValidationError as error:
            item = error.errors(include_url=False, include_input=False)[0]
            return JSONResponse(
                {"error": f"{'.'.join(map(str, item['loc']))}: {item['msg']}"}, status_code=400
            )
        except (SipError, TurnedAwayError) as error:
            return JSONResponse({"error": str(error)}, status_code=409)

    return handle


class SipService:
    """The SIP process as a :class:`serving.app.Service`.

    Args:
        configuration: the whole configuration.

    Raises:
        SipError: SIP is off, no secret is shared with the gateway, or the installed stack is not the pinned one.

    """

    name = "sip"

    def __init__(self, configuration: Configuration) -> None:
        self._settings = configuration.sip
        if not self._settings.enabled:
            raise SipError("[sip] enabled is false: no calls are taken over SIP")
        if not self._settings.bridge_secret.get_secret_value():
            raise SipError("[sip] bridge_secret is not set; gateway and SIP process must share one")
        self._uplink = Uplink(configuration)
        self._calls: dict[str, SipCall] = {}
        self._group: asyncio.TaskGroup | None = None
        self._draining = False
        self._dead = asyncio.Event()
        self._unregistered = REGISTERING if self._settings.registers else ""
        self._stack = SipStack(
            self._settings,
            Handlers(self._incoming, self._refused, self._registered, self._dead.set),
            max_calls=configuration.gateway.max_calls,
            media_timeout_seconds=configuration.gateway.media_timeout_seconds,
        )

    def impediment(self) -> str:
        """Return why no call can come in for now; empty: nothing."""
        return self._unregistered

    def busy(self) -> bool:
        """Return whether calls go on."""
        return bool(self._calls)

    def drain(self) -> None:
        """Take no new calls."""
        self._draining = True

    def is_gateway(self, request: Request) -> bool:
        """Return whether a request has the shared secret."""
        secret = self._settings.bridge_secret.get_secret_value()
        return hmac.compare_digest(bearer(request).encode(), secret.encode())

    def routes(self) -> Sequence[BaseRoute]:
        """Return what the gateway orders."""
        return [
            Route("/calls", self._dial, methods=["POST"]),
            Route("/calls/{call_id}/hangup", self._hang_up, methods=["POST"]),
            Route("/calls/{call_id}/transfer", self._transfer, methods=["POST"]),
            Route("/calls/{call_id}/keys", self._keys, methods=["POST"]),
        ]

    async def run(self, ready: Callable[[], None]) -> None:
        """Listen and carry calls until cancelled.

        Raises:
            ServingError: the port is taken, the registrar refuses us, or the stack has died.

        """
        try:
            await self._stack.start()
        except SipError as error:
            raise ServingError(str(error)) from None
        try:
            async with asyncio.TaskGroup() as self._group:
                if self._settings.registers:
                    self._group.create_task(self._register(), name="sip-register")
                ready()
                logger.info("SIP calls are taken at %s:%d", self._settings.host, self._settings.port)
                await self._dead.wait()
                raise SipError("the SIP stack has died")
        except* SipError as errors:
            raise ServingError(str(errors.exceptions[0])) from None
        finally:
            await self._stack.close()

    async def _register(self) -> None:
        backoff = RestartBackoff(REGISTER_AGAIN)
        while self._unregistered:
            try:
                await self._stack.register()
            except SipError as error:
                self._unregistered = f"not registered: {error}"
                if error.status in DEFINITE:
                    raise SipError(
                        f"{error}; see [sip] domain, user, auth_user and password", status=error.status
                    ) from None
                await asyncio.sleep(backoff.ended(uptime_seconds=0.0))

    def _registered(self, registered: bool) -> None:
        if registered and self._unregistered:
            logger.info("registered at %s", self._settings.domain)
        self._unregistered = "" if registered else "not registered any more"

    def _refused(self, cause: str) -> None:
        metrics.REFUSALS.labels(DOOR, cause).inc()

    # Calls that come in.

    def _incoming(self, call: SipCall) -> None:
        assert self._group
        self._group.create_task(self._take(call), name="sip-call")

    async def _take(self, call: SipCall) -> None:
        try:
            if self._draining:
                raise TurnedAwayError(full=False)
            socket = await self._uplink.open(agent=call.called)
            async with socket:
                await self._answer(call, socket)
        except TurnedAwayError as error:
            logger.warning("SIP call refused: %s", error)
            await self._turn_away(call, full=error.full)
        except Exception:
            logger.exception("a SIP call failed")
            await call.hang_up()

    async def _answer(self, call: SipCall, socket: ClientConnection) -> None:
        try:
            await call.answer(ACK_SECONDS)
        except SipError as error:
            logger.info("SIP call %s ended before it began: %s", call.name, error)
            await call.hang_up()
            await socket.close(Ending.NOT_ANSWERED)
        else:
            await self._carry(call, socket)

    async def _turn_away(self, call: SipCall, *, full: bool) -> None:
        if full and self._settings.when_full == "busy":
            await call.refuse(486, "Busy Here")
        else:
            await call.refuse(503, "Service Unavailable", retry_after=self._settings.retry_after_seconds)

    async def _carry(self, call: SipCall, socket: ClientConnection) -> None:
        self._calls[call.name] = call
        try:
            await Bridge(call, socket).run()
        finally:
            self._calls.pop(call.name, None)

    # What the gateway orders.

    @for_gateway
    async def _dial(self, request: Request) -> Response:
        order = Dial.model_validate_json(await read_body(request, MAX_BODY_BYTES))
        async with contextlib.AsyncExitStack() as holding:
            socket = await self._uplink.open(dial=order.token)
            await holding.enter_async_context(socket)
            call = await self._stack.dial(order.to)
            assert self._group
            held = holding.pop_all()
            self._group.create_task(self._ring(call, socket, held), name="sip-dial")
        return JSONResponse({"call_id": call.name}, status_code=201)

    async def _ring(self, call: SipCall, socket: ClientConnection, held: contextlib.AsyncExitStack) -> None:
        async with held:
            try:
                self._calls[call.name] = call
                await call.wait_answered(self._settings.ring_seconds)
                await self._carry(call, socket)
            except SipError as error:
                logger.info("SIP call %s was not answered: %s", call.name, error)
                await socket.close(Ending.NOT_ANSWERED, close_reason(str(error)))
            except Exception:
                logger.exception("a SIP call failed")
                await call.hang_up()
            finally:
                self._calls.pop(call.name, None)

    @for_gateway
    async def _hang_up(self, request: Request) -> Response:
        call = self._call(request)
        call.ending = Ending.BY_REQUEST
        await call.hang_up()
        return JSONResponse({"status": "hung up"})

    @for_gateway
    async def _transfer(self, request: Request) -> Response:
        target = Target.model_validate_json(await read_body(request, MAX_BODY_BYTES))
        call = self._call(request)
        uri = self._stack.target(target.to)
        call.ending = Ending.TRANSFERRED
        try:
            await call.transfer(uri, self._settings.transfer_seconds)
        except SipError:
            call.ending = Ending.CALLER
            raise
        return JSONResponse({"status": "transferred"})

    @for_gateway
    async def _keys(self, request: Request) -> Response:
        keys = Keys.model_validate_json(await read_body(request, MAX_BODY_BYTES))
        await self._call(request).press(keys.digits)
        return JSONResponse({"status": "pressed"})

    def _call(self, request: Request) -> SipCall:
        call = self._calls.get(request.path_params["call_id"])
        if call is None:
            raise SipError("no such call in progress over SIP")
        return call
