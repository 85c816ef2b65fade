"""``realtime.call.incoming``: a SIP provider announces a call by Standard Webhooks, as OpenAI's does.

The provider holds the caller and asks what to do. Offhook has a mind of its own, so it does not let the provider's
model talk: it accepts the call and at once refers it (SIP REFER) to Offhook's own SIP door, or rejects it as busy.
https://platform.openai.com/docs/guides/realtime-sip, https://www.standardwebhooks.com
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import openai
from openai.types.webhooks.realtime_call_incoming_webhook_event import Data
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from orchestration.doors import SipWebhookSettings
from serving.tls import trusted
from telemetry import metrics
from voice.access.gatekeeper import Gatekeeper, denial_response
from voice.access.tokens import ReplayMemory
from voice.errors import AccessDeniedError
from voice.phone.carriers.base import SignatureError
from voice.reception import Reception, RefusedError

logger = logging.getLogger(__name__)

DOOR = "sip_webhook"
INCOMING = "realtime.call.incoming"
#: SIP's answer to a call that finds all lines busy (RFC 3261, 21.4.24).
BUSY_HERE = 486
#: The provider may take this long for one request, seconds; its caller hears it ring meanwhile.
PROVIDER_SECONDS = 5.0


class SipWebhook:
    """Reads announcements.

    Args:
        secret: Standard Webhooks secret, ``whsec_…``.
        seen: knows announcements that were made before.

    """

    def __init__(self, secret: str, seen: ReplayMemory) -> None:
        self._secret = secret
        self._seen = seen

    def take(self, body: bytes, headers: Mapping[str, str], now: float) -> str | None:
        """Return the name of the announced call; None for an event of another type.

        Raises:
            SignatureError: the provider did not send it.

        """
        if not self._secret:
            raise SignatureError("unconfigured", "[phone] sip_webhook.secret is not set")
        if not headers.get("webhook-signature"):
            raise SignatureError("unsigned", "no webhook-signature")
        try:
            event: Any = Webhook(self._secret).verify(body, dict(headers))
        except WebhookVerificationError as error:
            cause = "stale" if "timestamp" in str(error).lower() else "bad_signature"
            raise SignatureError(cause, "webhook-signature does not match") from None
        except (ValueError, TypeError):
            raise SignatureError("bad_signature", "the webhook cannot be read") from None
        if not self._seen.is_new(f"sip {headers['webhook-id']}", now):
            raise SignatureError("replayed", "this request was made before")
        if not isinstance(event, dict) or event.get("type") != INCOMING:
            return None
        try:
            return Data.model_validate(event.get("data")).call_id
        except ValidationError:
            raise SignatureError("bad_event", f"{INCOMING} without data.call_id") from None


class SipDoor:
    """Route of a SIP provider's announcements, and what is answered through its API.

    Args:
        reception: knows whether there is room.
        gatekeeper: admits people.
        settings: the provider.
        seen: knows announcements that were made before.

    """

    def __init__(
        self, reception: Reception, gatekeeper: Gatekeeper, settings: SipWebhookSettings, seen: ReplayMemory
    ) -> None:
        self._reception = reception
        self._gatekeeper = gatekeeper
        self._settings = settings
        self._webhook = SipWebhook(settings.secret.get_secret_value(), seen)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes."""
        return [Route("/phone/sip/incoming", self._incoming, methods=["POST"])]

    async def _incoming(self, request: Request) -> Response:
        try:
            self._gatekeeper.admit_unkeyed(request, door=DOOR)
            body = await self._gatekeeper.read(request, door=DOOR)
            call_id = self._webhook.take(body, dict(request.headers), time.monotonic())
        except AccessDeniedError as denial:
            return denial_response(denial)
        except SignatureError as error:
            logger.warning("sip webhook refused: %s", error)
            metrics.REFUSALS.labels(DOOR, error.cause).inc()
            return JSONResponse({"error": str(error)}, status_code=403)
        if call_id:
            await self._decide(call_id)
        return Response(status_code=200)

    async def _decide(self, call_id: str) -> None:
        """Tell the provider what becomes of a call; what goes wrong is logged and counted, and the call is lost."""
        settings = self._settings
        if not settings.base_url:
            logger.warning("sip call %.64r announced, but [phone] sip_webhook.base_url is not set", call_id)
            metrics.REFUSALS.labels(DOOR, "unconfigured").inc()
            return
        client = openai.AsyncOpenAI(
            base_url=settings.base_url,
            api_key=settings.api_key.get_secret_value(),
            timeout=PROVIDER_SECONDS,
            max_retries=1,
            http_client=openai.DefaultAsyncHttpxClient(verify=trusted()),
        )
        try:
            async with client:
                await self._answer(client, call_id)
        except openai.OpenAIError as error:
            status = getattr(error, "status_code", type(error).__name__)
            logger.error("sip call %.64r: the provider answered %s", call_id, status)
            metrics.REFUSALS.labels(DOOR, "provider_failed").inc()

    async def _answer(self, client: openai.AsyncOpenAI, call_id: str) -> None:
        calls = client.realtime.calls
        try:
            self._reception.require_room()
        except RefusedError as refusal:
            logger.warning("sip call %.64r refused: %s", call_id, refusal)
            metrics.REFUSALS.labels(DOOR, "at_capacity").inc()
            await calls.reject(call_id, status_code=BUSY_HERE)
            return
        # Only an accepted call can be referred; its own model is given nothing to say.
        await calls.accept(call_id, type="realtime", model=self._settings.model, output_modalities=["text"])
        await calls.refer(call_id, target_uri=self._settings.target_uri)
        logger.info("sip call %.64r referred to our own door", call_id)
