"""Plivo. https://www.plivo.com/docs/voice/xml/the-stream-element"""

from collections.abc import Mapping
from typing import Any

from pipecat.serializers.plivo import PlivoFrameSerializer
from plivo import plivoxml
from plivo.utils.signature_v3 import validate_v3_signature

from orchestration.doors import PlivoSettings
from voice.phone.carriers import stream
from voice.phone.carriers.base import Document, RestRequest, SignatureError, Webhook
from voice.phone.media import SAMPLE_RATE, Event, StreamStart, identifier, part, require_format

ENCODING = "audio/x-mulaw"
XML = "application/xml"


class Plivo:
    """Plivo's documents, stream, signatures and REST API.

    Args:
        settings: the account.

    """

    name = "plivo"
    api_base = "https://api.plivo.com"

    def __init__(self, settings: PlivoSettings) -> None:
        self._settings = settings

    def verify(self, webhook: Webhook, now: float) -> str:
        """Check the V3 signature over URL, form and nonce."""
        secret = self._settings.auth_token.get_secret_value()
        if not secret:
            raise SignatureError("unconfigured", "[phone] plivo.auth_token is not set")
        signature = webhook.headers.get("x-plivo-signature-v3", "")
        nonce = webhook.headers.get("x-plivo-signature-v3-nonce", "")
        if not signature or not nonce:
            raise SignatureError("unsigned", "no X-Plivo-Signature-V3 or no X-Plivo-Signature-V3-Nonce")
        try:
            good = validate_v3_signature(
                webhook.method, webhook.url, nonce, secret, signature, dict(webhook.form)
            )
        except (
            Exception
        ):  # the library raises its own validation error for odd URLs, and others for odd bytes
            good = False
        if not good:
            raise SignatureError("bad_signature", "X-Plivo-Signature-V3 does not match")
        return nonce

    def call_id(self, webhook: Webhook) -> str:
        """Return the CallUUID."""
        return webhook.field("CallUUID")

    def answer(self, media_url: str, token: str, call_id: str) -> Document:
        """Return Plivo XML with a bidirectional stream."""
        response = plivoxml.ResponseElement()
        response.add(
            plivoxml.StreamElement(
                f"{media_url}?token={token}",
                bidirectional=True,
                keepCallAlive=True,
                contentType=f"{ENCODING};rate={SAMPLE_RATE}",
            )
        )
        return Document(response.to_string(), XML)

    def busy(self) -> Document:
        """Return Plivo XML that rejects the call."""
        response = plivoxml.ResponseElement()
        response.add(plivoxml.HangupElement(reason="busy"))
        return Document(response.to_string(), XML)

    def hold(self, text: str, seconds: int, again_url: str) -> Document:
        """Return Plivo XML that says ``text`` and comes back."""
        response = plivoxml.ResponseElement()
        response.add(plivoxml.SpeakElement(text))
        response.add(plivoxml.WaitElement(length=seconds))
        response.add(plivoxml.RedirectElement(again_url, method="POST"))
        return Document(response.to_string(), XML)

    def connect(self, to: str) -> Document:
        """Return Plivo XML that dials ``to``."""
        response = plivoxml.ResponseElement()
        response.add(plivoxml.DialElement().add(plivoxml.NumberElement(to)))
        return Document(response.to_string(), XML)

    def parse_start(self, message: str | bytes, query: Mapping[str, str]) -> StreamStart | None:
        """Read ``start``."""
        parsed = stream.opening("Plivo", message)
        if parsed is None:
            return None
        start = part(parsed, "start")
        promised = part(start, "mediaFormat")
        require_format(
            self.name, (promised.get("encoding"), promised.get("sampleRate"), 1), (ENCODING, SAMPLE_RATE, 1)
        )
        return StreamStart(identifier(start, "streamId"), identifier(start, "callId"), dict(query))

    def parse(self, message: str | bytes) -> Event:
        """Read a message of the stream."""
        return stream.event_in(message, ignored={"clearedAudio", "error"})

    def serializer(self, start: StreamStart) -> PlivoFrameSerializer:
        """Return pipecat's serializer; hanging up is the door's business."""
        return PlivoFrameSerializer(
            start.stream_id, start.call_id, params=PlivoFrameSerializer.InputParams(auto_hang_up=False)
        )

    def mark(self, start: StreamStart, name: str) -> dict[str, Any]:
        """Return a ``checkpoint`` message."""
        return {"event": "checkpoint", "streamId": start.stream_id, "name": name}

    def dial(self, base: str, to: str, answer_url: str, status_url: str) -> RestRequest:
        """Create a call."""
        body = {
            "from": self._settings.from_number,
            "to": to,
            "answer_url": answer_url,
            "answer_method": "POST",
            "hangup_url": status_url,
        }
        return self._request("POST", base, "", body)

    def dialled(self, reply: Mapping[str, Any]) -> str:
        """Return the request's UUID, which becomes the CallUUID."""
        return str(reply.get("request_uuid", ""))

    def hang_up(self, base: str, call_id: str) -> RestRequest:
        """End the call."""
        return self._request("DELETE", base, f"{call_id}/", None)

    def transfer(self, base: str, call_id: str, to: str, url: str) -> RestRequest:
        """Give the call other XML, from ``url``."""
        return self._request("POST", base, f"{call_id}/", {"legs": "aleg", "aleg_url": url})

    def _request(self, method: str, base: str, path: str, body: dict[str, str] | None) -> RestRequest:
        account = self._settings.auth_id
        return RestRequest(
            method,
            f"{base}/v1/Account/{account}/Call/{path}",
            auth=(account, self._settings.auth_token.get_secret_value()),
            json=body,
        )
