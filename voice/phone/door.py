"""The telephone's door: carriers' webhooks and media sockets, calls placed, and what may be done to them."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import wraps
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from orchestration.doors import PhoneSettings
from telemetry import metrics
from voice.access.gatekeeper import Gatekeeper, denial_response, read_body
from voice.access.tokens import OneTimeTokens, ReplayMemory
from voice.errors import AccessDeniedError, OutboundError
from voice.phone.carriers.base import Carrier, SignatureError, Webhook
from voice.phone.carriers.plivo import Plivo
from voice.phone.carriers.telnyx import Telnyx
from voice.phone.carriers.twilio import Twilio
from voice.phone.carriers.vonage import Vonage
from voice.phone.lines import Line, Lines
from voice.phone.outbound import CallingPolicy, e164
from voice.phone.rest import send
from voice.phone.sipwebhook import SipWebhook
from voice.phone.socket import MediaSocket
from voice.reception import Reception, RefusedError

logger = logging.getLogger(__name__)

#: Signatures without a time in them (Twilio's, Plivo's) are remembered this long, seconds: a day.
REPLAY_SECONDS = 86_400.0

Handler = Callable[["PhoneDoor", Request], Awaitable[Response]]


class DialBody(BaseModel):
    """``POST /calls``."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=3, max_length=32)


class KeysBody(BaseModel):
    """``POST /calls/{call_id}/keys``."""

    model_config = ConfigDict(extra="forbid")

    digits: str = Field(pattern=r"^[0-9*#]{1,32}$")


class TransferBody(BaseModel):
    """``POST /calls/{call_id}/transfer``."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=3, max_length=32)
    announce: str = Field(
        "", max_length=300, description="Said to the caller first; empty: a blind transfer."
    )


def for_owners(handler: Handler) -> Handler:
    """Ask for the scope ``calls``, and answer what goes wrong."""

    @wraps(handler)
    async def handle(door: "PhoneDoor", request: Request) -> Response:
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


class PhoneDoor:
    """Routes of the telephone's door.

    Args:
        reception: admits calls.
        gatekeeper: admits people.
        settings: section ``[phone]``.

    Raises:
        OutboundError: the do-not-call list or the hours cannot be used.

    """

    def __init__(self, reception: Reception, gatekeeper: Gatekeeper, settings: PhoneSettings) -> None:
        self._reception = reception
        self.gatekeeper = gatekeeper
        self._settings = settings
        self._policy = CallingPolicy.from_settings(settings)
        self._tokens = OneTimeTokens(seconds=settings.media_token_seconds)
        self._seen = ReplayMemory(seconds=max(REPLAY_SECONDS, settings.webhook_tolerance_seconds))
        self._lines = Lines()
        tolerance = settings.webhook_tolerance_seconds
        carriers: list[Carrier] = [
            Twilio(settings.twilio),
            Telnyx(settings.telnyx, tolerance_seconds=tolerance),
            Plivo(settings.plivo),
            Vonage(settings.vonage, tolerance_seconds=tolerance),
        ]
        self._carriers = {carrier.name: carrier for carrier in carriers}
        self._sip = SipWebhook(settings.sip_webhook, self._seen)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        sockets = [
            WebSocketRoute(
                f"/phone/{carrier.name}/media",
                MediaSocket(carrier, self._reception, self.gatekeeper, self._tokens, self._lines),
            )
            for carrier in self._carriers.values()
        ]
        return [
            *sockets,
            Route("/phone/sip/incoming", self._sip_incoming, methods=["POST"]),
            Route("/phone/{carrier}/answer", self._answer, methods=["POST"]),
            Route("/phone/{carrier}/status", self._status, methods=["POST"]),
            Route("/phone/{carrier}/connect/{token}", self._connect, methods=["POST"]),
            Route("/calls", self._dial, methods=["POST"]),
            Route("/calls/{call_id}/hangup", self._hang_up, methods=["POST"]),
            Route("/calls/{call_id}/transfer", self._transfer, methods=["POST"]),
            Route("/calls/{call_id}/keys", self._keys, methods=["POST"]),
        ]

    # What carriers ask.

    async def _answer(self, request: Request) -> Response:
        return await self._webhook(request, self._answer_document)

    async def _status(self, request: Request) -> Response:
        return await self._webhook(request, self._take_status)

    async def _connect(self, request: Request) -> Response:
        return await self._webhook(request, self._connect_document)

    async def _webhook(
        self, request: Request, handle: Callable[[Carrier, Webhook, Request], Response]
    ) -> Response:
        carrier = self._carriers.get(request.path_params["carrier"])
        if carrier is None:
            return JSONResponse({"error": f"carriers: {', '.join(self._carriers)}"}, status_code=404)
        try:
            self.gatekeeper.admit_unkeyed(request, door=carrier.name)
            body = await read_body(request, self.gatekeeper.settings.max_body_bytes)
            webhook = self._as_sent(request, body)
            unique = carrier.verify(webhook, time.time())
            if not self._seen.is_new(f"{carrier.name} {request.url.path} {unique}", time.monotonic()):
                raise SignatureError("replayed", "this request was made before")
            return handle(carrier, webhook, request)
        except AccessDeniedError as denial:
            return denial_response(denial)
        except SignatureError as error:
            logger.warning("%s webhook refused: %s", carrier.name, error)
            metrics.REFUSALS.labels(carrier.name, error.cause).inc()
            return JSONResponse({"error": str(error)}, status_code=403)

    def _as_sent(self, request: Request, body: bytes) -> Webhook:
        """Return the request as the carrier made it: what it signed is the public URL."""
        query = f"?{request.url.query}" if request.url.query else ""
        try:
            form = dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=200))
        except ValueError:
            form = {}
        url = f"{self._public_url(request)}{request.url.path}{query}"
        return Webhook(request.method, url, dict(request.headers), body, form)

    def _public_url(self, request: Request) -> str:
        return self._settings.public_url or f"{request.url.scheme}://{request.headers.get('host', '')}"

    def _answer_document(self, carrier: Carrier, webhook: Webhook, request: Request) -> Response:
        try:
            self._reception.require_room()
        except RefusedError as refusal:
            logger.warning("call refused: %s", refusal)
            metrics.REFUSALS.labels(carrier.name, "at_capacity").inc()
            document = carrier.busy()
            return Response(document.content, media_type=document.media_type)
        call_id = carrier.call_id(webhook)
        token = self._tokens.mint({"call_id": call_id}, time.monotonic())
        media = f"ws{self._public_url(request).removeprefix('http')}/phone/{carrier.name}/media"
        document = carrier.answer(media, token, call_id)
        return Response(document.content, media_type=document.media_type)

    def _take_status(self, carrier: Carrier, webhook: Webhook, request: Request) -> Response:
        status = webhook.field("CallStatus", "Status", "HangupCause", "status")
        logger.info("%s call %.64r: %.32r", carrier.name, carrier.call_id(webhook), status)
        if line := self._lines.find(carrier.call_id(webhook)):
            line.call.end("the carrier says the call is over")
        return Response(status_code=204)

    def _connect_document(self, carrier: Carrier, webhook: Webhook, request: Request) -> Response:
        facts = self._tokens.spend(request.path_params["token"], time.monotonic())
        if facts is None:
            raise SignatureError("no_token", "no such transfer")
        document = carrier.connect(facts["to"])
        return Response(document.content, media_type=document.media_type)

    async def _sip_incoming(self, request: Request) -> Response:
        try:
            self.gatekeeper.admit_unkeyed(request, door="sip")
            body = await read_body(request, self.gatekeeper.settings.max_body_bytes)
            event = self._sip.take(body, dict(request.headers), time.monotonic())
        except AccessDeniedError as denial:
            return denial_response(denial)
        except SignatureError as error:
            metrics.REFUSALS.labels("sip", error.cause).inc()
            return JSONResponse({"error": str(error)}, status_code=403)
        if event is not None:
            logger.info("sip call %.64r announced", event)
        return Response(status_code=200)

    # What the owner asks.

    @for_owners
    async def _dial(self, request: Request) -> Response:
        body = DialBody.model_validate_json(await read_body(request, self.gatekeeper.settings.max_body_bytes))
        carrier = self._outbound_carrier()
        number = e164(body.to)
        self._policy.check(number, datetime.now(UTC))
        base = f"{self._public_url(request)}/phone/{carrier.name}"
        reply = await send(carrier.dial(self._api_base(carrier), number, f"{base}/answer", f"{base}/status"))
        return JSONResponse({"call_id": carrier.dialled(reply), "to": number}, status_code=201)

    @for_owners
    async def _hang_up(self, request: Request) -> Response:
        line = self._line(request)
        await send(line.carrier.hang_up(self._api_base(line.carrier), line.start.call_id))
        line.call.end("hung up by request")
        return JSONResponse({"status": "hung up"})

    @for_owners
    async def _transfer(self, request: Request) -> Response:
        body = TransferBody.model_validate_json(
            await read_body(request, self.gatekeeper.settings.max_body_bytes)
        )
        line, number = self._line(request), e164(body.to)
        if body.announce:
            await line.say(body.announce)
        token = self._tokens.mint({"to": number}, time.monotonic())
        url = f"{self._public_url(request)}/phone/{line.carrier.name}/connect/{token}"
        await send(line.carrier.transfer(self._api_base(line.carrier), line.start.call_id, number, url))
        line.call.end("transferred")
        return JSONResponse({"status": "transferred", "to": number})

    @for_owners
    async def _keys(self, request: Request) -> Response:
        """Press keys on the other side's menu, as tones in the sound."""
        body = KeysBody.model_validate_json(await read_body(request, self.gatekeeper.settings.max_body_bytes))
        await self._line(request).press(body.digits)
        return JSONResponse({"status": "pressed", "digits": body.digits})

    def _outbound_carrier(self) -> Carrier:
        if not self._settings.outbound:
            raise OutboundError("[phone] outbound names no carrier to call through")
        return self._carriers[self._settings.outbound]

    def _api_base(self, carrier: Carrier) -> str:
        return self._settings.api_base or carrier.api_base

    def _line(self, request: Request) -> Line:
        line = self._lines.find(request.path_params["call_id"])
        if line is None:
            raise OutboundError("no such call in progress over a carrier")
        return line
