"""``realtime.call.incoming``: a SIP provider announces a call by Standard Webhooks, as OpenAI's does.

https://platform.openai.com/docs/guides/realtime-sip, https://www.standardwebhooks.com
"""

import json
from collections.abc import Mapping
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from orchestration.doors import SipWebhookSettings
from voice.access.tokens import ReplayMemory
from voice.phone.carriers.base import SignatureError

INCOMING = "realtime.call.incoming"


class SipWebhook:
    """Reads announcements.

    Args:
        settings: the secret.
        seen: knows announcements that were made before.

    """

    def __init__(self, settings: SipWebhookSettings, seen: ReplayMemory) -> None:
        self._secret = settings.secret.get_secret_value()
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
        except (ValueError, TypeError, json.JSONDecodeError):
            raise SignatureError("bad_signature", "the webhook cannot be read") from None
        if not self._seen.is_new(f"sip {headers['webhook-id']}", now):
            raise SignatureError("replayed", "this request was made before")
        if not isinstance(event, dict) or event.get("type") != INCOMING:
            return None
        data = event.get("data")
        return str(data.get("call_id", "")) if isinstance(data, dict) else ""
