"""Telnyx, through TeXML. https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming"""

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from pipecat.serializers.telnyx import TelnyxFrameSerializer

from orchestration.doors import TelnyxSettings
from voice.phone.carriers import stream
from voice.phone.carriers.base import Document, RestRequest, SignatureError, Webhook
from voice.phone.media import SAMPLE_RATE, Event, StreamStart, identifier, part, require_format

XML = "application/xml"
ENCODING = "PCMU"


class Telnyx:
    """Telnyx's documents, stream, signatures and REST API.

    Args:
        settings: the account.
        tolerance_seconds: signed webhooks older than this are stale.

    """

    name = "telnyx"
    api_base = "https://api.telnyx.com"

    def __init__(self, settings: TelnyxSettings, *, tolerance_seconds: float) -> None:
        self._settings = settings
        self._tolerance_seconds = tolerance_seconds
        # The SDK takes seconds to import: at the start, and only for who uses this carrier.
        self._is_signed = _signature_check() if settings.public_key else _nothing_is_signed

    def verify(self, webhook: Webhook, now: float) -> str:
        """Check the Ed25519 signature over time and body."""
        if not self._settings.public_key:
            raise SignatureError("unconfigured", "[phone] telnyx.public_key is not set")
        signature = webhook.headers.get("telnyx-signature-ed25519", "")
        sent = webhook.headers.get("telnyx-timestamp", "")
        if not signature or not sent:
            raise SignatureError("unsigned", "no Telnyx-Signature-Ed25519 or no Telnyx-Timestamp")
        if not sent.isascii() or not sent.isdigit() or abs(now - int(sent[:15])) > self._tolerance_seconds:
            raise SignatureError("stale", "Telnyx-Timestamp is too old")
        if not self._is_signed(webhook.body, webhook.headers, self._settings.public_key):
            raise SignatureError("bad_signature", "Telnyx-Signature-Ed25519 does not match")
        return signature

    def call_id(self, webhook: Webhook) -> str:
        """Return the call's control id."""
        return webhook.field("CallControlId", "CallSid")

    def answer(self, media_url: str, token: str, call_id: str) -> Document:
        """Return TeXML with a bidirectional stream of mu-law."""
        response = Element("Response")
        media = SubElement(
            SubElement(response, "Connect"),
            "Stream",
            url=f"{media_url}?token={token}",
            bidirectionalMode="rtp",
            bidirectionalCodec=ENCODING,
            codec=ENCODING,
        )
        SubElement(media, "Parameter", name="token", value=token)
        return _document(response)

    def busy(self) -> Document:
        """Return TeXML that rejects the call."""
        response = Element("Response")
        SubElement(response, "Reject", reason="busy")
        return _document(response)

    def hold(self, text: str, seconds: int, again_url: str) -> Document:
        """Return TeXML that says ``text`` and comes back."""
        response = Element("Response")
        SubElement(response, "Say").text = text
        SubElement(response, "Pause", length=str(seconds))
        SubElement(response, "Redirect", method="POST").text = again_url
        return _document(response)

    def connect(self, to: str) -> Document:
        """Return TeXML that dials ``to``."""
        response = Element("Response")
        SubElement(SubElement(response, "Dial"), "Number").text = to
        return _document(response)

    def parse_start(self, message: str | bytes, query: Mapping[str, str]) -> StreamStart | None:
        """Read ``connected`` and ``start``."""
        parsed = stream.opening("Telnyx", message)
        if parsed is None:
            return None
        start = part(parsed, "start")
        promised = part(start, "media_format")
        require_format(
            self.name,
            (promised.get("encoding"), promised.get("sample_rate"), promised.get("channels")),
            (ENCODING, SAMPLE_RATE, 1),
        )
        return StreamStart(
            identifier(parsed, "stream_id"),
            identifier(start, "call_control_id", "call_session_id"),
            {**query, **stream.parameters(start, "custom_parameters")},
        )

    def parse(self, message: str | bytes) -> Event:
        """Read a message of the stream."""
        return stream.event_in(message, ignored={"connected", "error"})

    def serializer(self, start: StreamStart) -> TelnyxFrameSerializer:
        """Return pipecat's serializer; hanging up is the door's business."""
        return TelnyxFrameSerializer(
            start.stream_id,
            ENCODING,
            ENCODING,
            call_control_id=start.call_id,
            params=TelnyxFrameSerializer.InputParams(auto_hang_up=False),
        )

    def mark(self, start: StreamStart, name: str) -> dict[str, Any]:
        """Return a ``mark`` message."""
        return {"event": "mark", "mark": {"name": name}}

    def dial(self, base: str, to: str, answer_url: str, status_url: str) -> RestRequest:
        """Create a TeXML call; where its status goes is a setting of the TeXML application."""
        body = {"To": to, "From": self._settings.from_number, "Method": "POST", "Url": answer_url}
        return self._request(base, f"/v2/texml/calls/{self._settings.connection_id}", json=body)

    def dialled(self, reply: Mapping[str, Any]) -> str:
        """Return the call's name."""
        inner = part(reply, "data") or reply
        return str(inner.get("call_sid") or inner.get("call_control_id") or inner.get("sid") or "")

    def hang_up(self, base: str, call_id: str) -> RestRequest:
        """End the call."""
        return self._request(base, f"/v2/calls/{call_id}/actions/hangup", json={})

    def transfer(self, base: str, call_id: str, to: str, url: str) -> RestRequest:
        """Transfer the call."""
        return self._request(base, f"/v2/calls/{call_id}/actions/transfer", json={"to": to})

    def _request(self, base: str, path: str, **body: Any) -> RestRequest:
        headers = {"authorization": f"Bearer {self._settings.api_key.get_secret_value()}"}
        return RestRequest("POST", base + path, headers=headers, **body)


def _signature_check() -> Callable[[bytes, Mapping[str, str], str], bool]:
    from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

    def is_signed(body: bytes, headers: Mapping[str, str], public_key: str) -> bool:
        try:
            verify_webhook_signature(body, headers, public_key)
        except WebhookVerificationError:
            return False
        return True

    return is_signed


def _nothing_is_signed(*_: object) -> bool:
    return False


def _document(root: Element) -> Document:
    return Document('<?xml version="1.0" encoding="UTF-8"?>' + tostring(root, encoding="unicode"), XML)
