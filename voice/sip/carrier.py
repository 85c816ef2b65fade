"""The SIP process as the gateway's phone door sees it: a carrier on this machine.

Its media stream is Vonage's protocol; it has no webhooks, and takes orders over HTTP.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipecat.serializers.vonage import VonageFrameSerializer

from orchestration.trunk import SipSettings
from voice.errors import HandshakeError
from voice.phone.carriers.base import RestRequest
from voice.phone.carriers.vonage import ENCODING, parse_message
from voice.phone.media import Event, StreamStart, ViolationError, identifier, parse_object

#: What the stack's codecs are decoded to: G.711, and Opus.
SAMPLE_RATES = {"8000": 8000, "16000": 16000}
#: Beyond the outcome of a transfer itself, the SIP process may take this long to tell it, seconds.
MARGIN_SECONDS = 5.0
#: A pressed key and the pause after it, seconds.
KEY_SECONDS = 0.25


class SipCarrier:
    """The SIP process' stream and orders.

    Args:
        settings: section ``[sip]``.

    """

    name = "sip"

    def __init__(self, settings: SipSettings) -> None:
        self._settings = settings
        self.api_base = f"http://127.0.0.1:{settings.http_port}"

    def parse_start(self, message: str | bytes, query: Mapping[str, str]) -> StreamStart | None:
        """Read ``websocket:connected``."""
        try:
            parsed = parse_object(message)
        except ViolationError as violation:
            raise HandshakeError(f"the stream began with {violation}") from None
        encoding, _, rate = str(parsed.get("content-type", "")).partition(";rate=")
        if parsed.get("event") != "websocket:connected" or encoding != ENCODING or rate not in SAMPLE_RATES:
            raise HandshakeError("the SIP process speaks another protocol; run the same release of both")
        call_id = identifier(parsed, "call")
        return StreamStart(call_id, call_id, dict(query), SAMPLE_RATES[rate])

    def parse(self, message: str | bytes) -> Event:
        """Read a message of the stream."""
        return parse_message(message)

    def serializer(self, start: StreamStart) -> VonageFrameSerializer:
        """Return pipecat's serializer, at the call's own rate."""
        return VonageFrameSerializer(VonageFrameSerializer.InputParams(vonage_sample_rate=start.sample_rate))

    def mark(self, start: StreamStart, name: str) -> dict[str, Any]:
        """Return a ``notify`` message."""
        return {"action": "notify", "payload": {"name": name}}

    def dial(self, base: str, to: str, answer_url: str, status_url: str) -> RestRequest:
        """Place a call; of the document's URL it needs the token alone."""
        token = parse_qs(urlsplit(answer_url).query).get("dial", [""])[0]
        return self._order("/calls", {"to": to, "token": token})

    def dialled(self, reply: Mapping[str, Any]) -> str:
        """Return the call's name."""
        return str(reply.get("call_id", ""))

    def hang_up(self, base: str, call_id: str) -> RestRequest:
        """End the call (BYE)."""
        return self._order(f"/calls/{call_id}/hangup", {})

    def transfer(self, base: str, call_id: str, to: str, url: str) -> RestRequest:
        """Let the caller's phone call ``to`` (REFER)."""
        seconds = self._settings.transfer_seconds + MARGIN_SECONDS
        return self._order(f"/calls/{call_id}/transfer", {"to": to}, seconds=seconds)

    def keys(self, call_id: str, digits: str) -> RestRequest:
        """Press keys (RFC 4733)."""
        seconds = len(digits) * KEY_SECONDS + MARGIN_SECONDS
        return self._order(f"/calls/{call_id}/keys", {"digits": digits}, seconds=seconds)

    def _order(self, path: str, body: dict[str, Any], *, seconds: float = MARGIN_SECONDS) -> RestRequest:
        secret = self._settings.bridge_secret.get_secret_value()
        headers = {"authorization": f"Bearer {secret}"}
        return RestRequest("POST", f"{self.api_base}{path}", headers=headers, json=body, seconds=seconds)
