"""The telephone's door: carriers' webhooks and media sockets."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from orchestration.doors import PhoneSettings
from orchestration.trunk import SipSettings
from telemetry import metrics
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.access.tokens import OneTimeTokens, ReplayMemory
from voice.errors import AccessDeniedError
from voice.phone.carriers.base import Carrier, Document, MediaCarrier, SignatureError, Webhook
from voice.phone.carriers.plivo import Plivo
from voice.phone.carriers.telnyx import Telnyx
from voice.phone.carriers.twilio import Twilio
from voice.phone.carriers.vonage import Vonage
from voice.phone.desk import CallDesk, public_url
from voice.phone.lines import Lines
from voice.phone.media import ViolationError, parse_object
from voice.phone.sipwebhook import SipDoor
from voice.phone.socket import MediaSocket
from voice.phone.waiting import WaitingRoom
from voice.reception import Reception, RefusedError
from voice.sip.carrier import SipCarrier
from voice.sip.socket import SipSocket

logger = logging.getLogger(__name__)

#: Signatures without a time in them (Twilio's, Plivo's) are remembered this long, seconds: a day.
REPLAY_SECONDS = 86_400.0

#: A form has fewer fields than this.
MAX_FIELDS = 200
#: What carriers call a call that is not over (their status callbacks tell all kinds of things).
CALL_GOES_ON = frozenset(
    {"queued", "initiated", "started", "ringing", "answered", "in-progress", "inprogress", "in progress"}
)


class PhoneDoor:
    """Routes of the telephone's door.

    Args:
        reception: admits calls.
        gatekeeper: admits people.
        settings: section ``[phone]``.
        sip: section ``[sip]``.

    Raises:
        OutboundError: the do-not-call list or the hours cannot be used.

    """

    def __init__(
        self, reception: Reception, gatekeeper: Gatekeeper, settings: PhoneSettings, sip: SipSettings
    ) -> None:
        self._reception = reception
        self.gatekeeper = gatekeeper
        self._settings = settings
        self._tokens = OneTimeTokens(seconds=settings.media_token_seconds)
        self._seen = ReplayMemory(seconds=max(REPLAY_SECONDS, settings.webhook_tolerance_seconds))
        self._transfers = OneTimeTokens(seconds=settings.media_token_seconds)
        self._dialled = OneTimeTokens(seconds=settings.ring_seconds)
        self._waiting = WaitingRoom(settings.queue)
        self._lines = Lines()
        tolerance = settings.webhook_tolerance_seconds
        carriers: list[Carrier] = [
            Twilio(settings.twilio),
            Telnyx(settings.telnyx, tolerance_seconds=tolerance),
            Plivo(settings.plivo),
            Vonage(settings.vonage, tolerance_seconds=tolerance),
        ]
        self._carriers = {carrier.name: carrier for carrier in carriers}
        streaming: dict[str, MediaCarrier] = {**self._carriers}
        shared = (reception, gatekeeper, settings, self._tokens, self._transfers, self._lines)
        self._sockets = [MediaSocket(carrier, *shared) for carrier in carriers]
        if sip.enabled:
            streaming[SipCarrier.name] = process = SipCarrier(sip)
            self._sockets.append(SipSocket(process, *shared, sip=sip, dialled=self._dialled))
        self._desk = CallDesk(reception, gatekeeper, settings, streaming, self._lines, self._dialled)
        self._announced = SipDoor(reception, gatekeeper, settings.sip_webhook, self._seen)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [
            *(WebSocketRoute(f"/phone/{socket.door}/media", socket) for socket in self._sockets),
            *self._announced.routes(),
            Route("/phone/{carrier}/answer", self._answer, methods=["POST"]),
            Route("/phone/{carrier}/status", self._status, methods=["POST"]),
            Route("/phone/{carrier}/connect/{token}", self._connect, methods=["POST"]),
            *self._desk.routes(),
        ]

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
            body = await self.gatekeeper.read(request, door=carrier.name)
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
        form = _json_fields(body) if "json" in request.headers.get("content-type", "") else _form_fields(body)
        url = f"{public_url(self._settings, request)}{request.url.path}{query}"
        return Webhook(request.method, url, dict(request.headers), body, form)

    def _answer_document(self, carrier: Carrier, webhook: Webhook, request: Request) -> Response:
        """Answer a call that comes in, comes back from waiting, or was placed and has been picked up."""
        now, ticket = time.monotonic(), request.query_params.get("wait", "")
        facts = self._waiting.facts(ticket) or self._facts(request, carrier.call_id(webhook), now)
        promised = self._tokens.outstanding(now) + self._waiting.ahead(ticket, now)
        try:
            self._reception.require_room(promised=promised)
        except RefusedError as refusal:
            return self._wait_or_leave(carrier, request, ticket, facts, refusal)
        self._waiting.leave(ticket)
        token = self._tokens.mint(facts, now)
        media = f"ws{public_url(self._settings, request).removeprefix('http')}/phone/{carrier.name}/media"
        return _document(carrier.answer(media, token, facts["call_id"]))

    def _facts(self, request: Request, call_id: str, now: float) -> Mapping[str, str]:
        """Return what a media socket has to know of its call."""
        dialled = self._dialled.spend(request.query_params.get("dial", ""), now)
        return {"call_id": call_id, **(dialled or {"agent": request.query_params.get("agent", "")})}

    def _wait_or_leave(
        self,
        carrier: Carrier,
        request: Request,
        ticket: str,
        facts: Mapping[str, str],
        refusal: RefusedError,
    ) -> Response:
        if waiting := self._waiting.wait(ticket, facts, time.monotonic()):
            name, asks = waiting
            # A carrier's signature may cover nothing but the URL: each question has one of its own.
            again = (
                f"{public_url(self._settings, request)}/phone/{carrier.name}/answer?wait={name}&asks={asks}"
            )
            queue = self._settings.queue
            return _document(carrier.hold(queue.text, queue.every_seconds, again))
        logger.warning("call refused: %s", refusal)
        metrics.REFUSALS.labels(carrier.name, "at_capacity").inc()
        return _document(carrier.busy())

    def _take_status(self, carrier: Carrier, webhook: Webhook, request: Request) -> Response:
        status = webhook.field("CallStatus", "Status", "HangupCause", "status")
        call_id = carrier.call_id(webhook)
        logger.info("%s call %.64r: %.32r", carrier.name, call_id, status)
        if status.lower() not in CALL_GOES_ON:
            self._tokens.revoke("call_id", call_id)
            if line := self._lines.find(call_id):
                line.call.end("the carrier says the call is over")
        return Response(status_code=204)

    def _connect_document(self, carrier: Carrier, webhook: Webhook, request: Request) -> Response:
        facts = self._transfers.spend(request.path_params["token"], time.monotonic())
        if facts is None:
            raise SignatureError("no_token", "no such transfer")
        return _document(carrier.connect(facts["to"]))


def _document(document: Document) -> Response:
    return Response(document.content, media_type=document.media_type)


def _form_fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        return {}


def _json_fields(body: bytes) -> dict[str, str]:
    """Return the texts of a JSON object's own fields, as Vonage sends them."""
    try:
        fields = parse_object(body)
    except ViolationError:
        return {}
    texts = {name: value for name, value in fields.items() if isinstance(value, str)}
    # JSON can write halves of characters, which nothing after this expects.
    return {_whole(name): _whole(value) for name, value in texts.items()}


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
