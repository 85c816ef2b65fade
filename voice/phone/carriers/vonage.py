"""Vonage. https://developer.vonage.com/en/voice/voice-api/concepts/websockets"""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from pipecat.serializers.vonage import VonageFrameSerializer

from orchestration.doors import VonageSettings
from voice.errors import HandshakeError
from voice.phone.carriers.base import Document, RestRequest, SignatureError, Webhook
from voice.phone.media import (
    SAMPLE_RATE,
    Audio,
    Event,
    Mark,
    Other,
    StreamStart,
    ViolationError,
    digit_of,
    parse_object,
    part,
    require_format,
)

ENCODING = "audio/l16"
CONTENT_TYPE = f"{ENCODING};rate={SAMPLE_RATE}"
JSON = "application/json"
BYTES_PER_SAMPLE = 2
#: A token for one REST request lives this long, seconds.
REST_TOKEN_SECONDS = 60


class Vonage:
    """Vonage's documents, stream, signatures and REST API.

    Args:
        settings: the account.
        tolerance_seconds: signed webhooks older than this are stale.

    """

    name = "vonage"
    api_base = "https://api.nexmo.com"

    def __init__(self, settings: VonageSettings, *, tolerance_seconds: float) -> None:
        self._settings = settings
        self._tolerance_seconds = tolerance_seconds

    def verify(self, webhook: Webhook, now: float) -> str:
        """Check the JWT of the Authorization header, and the hash of the body in it."""
        secret = self._settings.signature_secret.get_secret_value()
        if not secret:
            raise SignatureError("unconfigured", "[phone] vonage.signature_secret is not set")
        scheme, _, token = webhook.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise SignatureError("unsigned", "no signed Authorization")
        try:
            claims = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                options={"require": ["iat", "jti", "payload_hash"], "verify_iat": False, "verify_aud": False},
            )
            age = now - float(claims["iat"])
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise SignatureError("bad_signature", "the Authorization does not match") from None
        if abs(age) > self._tolerance_seconds:
            raise SignatureError("stale", "the Authorization is too old")
        if claims["payload_hash"] != hashlib.sha256(webhook.body).hexdigest():
            raise SignatureError("bad_signature", "the body is not the one that was signed")
        return str(claims["jti"])

    def call_id(self, webhook: Webhook) -> str:
        """Return the call's UUID."""
        return webhook.field("uuid", "conversation_uuid")

    def answer(self, media_url: str, token: str, call_id: str) -> Document:
        """Return an NCCO that connects the call to the stream."""
        endpoint = {
            "type": "websocket",
            "uri": f"{media_url}?token={token}",
            "content-type": CONTENT_TYPE,
            "headers": {"call": call_id},
        }
        return Document(json.dumps([self._connection(endpoint)]), JSON)

    def busy(self) -> Document:
        """Return an NCCO that says so; it knows no busy tone."""
        return Document(
            json.dumps([{"action": "talk", "text": "All lines are busy. Please call again later."}]), JSON
        )

    def hold(self, text: str, seconds: int, again_url: str) -> Document:
        """Return an NCCO that says ``text``, is silent for a while, and asks for the next NCCO."""
        again = {
            "action": "notify",
            "payload": {"waiting": True},
            "eventUrl": [again_url],
            "eventMethod": "POST",
        }
        ncco = [{"action": "talk", "text": text}, {"action": "wait", "timeout": seconds}, again]
        return Document(json.dumps(ncco), JSON)

    def connect(self, to: str) -> Document:
        """Return an NCCO that dials ``to``."""
        return Document(json.dumps([self._to_number(to)]), JSON)

    def parse_start(self, message: str | bytes, query: Mapping[str, str]) -> StreamStart | None:
        """Read ``websocket:connected``."""
        try:
            if isinstance(message, bytes):
                raise ViolationError("sound")
            parsed = parse_object(message)
        except ViolationError as violation:
            raise HandshakeError(f"the stream began with {violation}") from None
        if parsed.get("event") != "websocket:connected":
            raise HandshakeError("expected Vonage's websocket:connected")
        encoding, _, rate = str(parsed.get("content-type", "")).partition(";rate=")
        require_format(
            self.name, (encoding, int(rate) if rate in ("8000", "16000", "24000") else rate, 1),
            (ENCODING, SAMPLE_RATE, 1),
        )  # fmt: skip
        call = parsed.get("call")
        identity = call if isinstance(call, str) and 0 < len(call) <= 64 else f"vonage-{secrets.token_hex(8)}"
        return StreamStart(identity, identity, dict(query))

    def parse(self, message: str | bytes) -> Event:
        """Read a message of the stream: bytes are sound."""
        return parse_message(message)

    def serializer(self, start: StreamStart) -> VonageFrameSerializer:
        """Return pipecat's serializer, at 8 kHz."""
        return VonageFrameSerializer(VonageFrameSerializer.InputParams(vonage_sample_rate=SAMPLE_RATE))

    def mark(self, start: StreamStart, name: str) -> dict[str, Any]:
        """Return a ``notify`` message, which comes back once what was sent before is played."""
        return {"action": "notify", "payload": {"name": name}}

    def dial(self, base: str, to: str, answer_url: str, status_url: str) -> RestRequest:
        """Create a call."""
        body = {
            "to": [{"type": "phone", "number": to.lstrip("+")}],
            "from": {"type": "phone", "number": self._settings.from_number.lstrip("+")},
            "answer_url": [answer_url],
            "answer_method": "POST",
            "event_url": [status_url],
        }
        return self._request("POST", f"{base}/v1/calls", body)

    def dialled(self, reply: Mapping[str, Any]) -> str:
        """Return the call's UUID."""
        return str(reply.get("uuid", ""))

    def hang_up(self, base: str, call_id: str) -> RestRequest:
        """End the call."""
        return self._request("PUT", f"{base}/v1/calls/{call_id}", {"action": "hangup"})

    def transfer(self, base: str, call_id: str, to: str, url: str) -> RestRequest:
        """Give the call another NCCO."""
        destination = {"type": "ncco", "ncco": [self._to_number(to)]}
        body = {"action": "transfer", "destination": destination}
        return self._request("PUT", f"{base}/v1/calls/{call_id}", body)

    def _to_number(self, to: str) -> dict[str, Any]:
        return self._connection({"type": "phone", "number": to.lstrip("+")})

    def _connection(self, endpoint: Mapping[str, Any]) -> dict[str, Any]:
        """Return the action that connects the call, which has to say whose number the other side sees."""
        number = self._settings.from_number.lstrip("+")
        shown = {"from": number} if number else {"randomFromNumber": True}
        return {"action": "connect", "endpoint": [endpoint], **shown}

    def _request(self, method: str, url: str, body: dict[str, Any]) -> RestRequest:
        now = int(time.time())
        claims = {
            "application_id": self._settings.application_id,
            "iat": now,
            "exp": now + REST_TOKEN_SECONDS,
            "jti": secrets.token_hex(16),
        }
        key = Path(self._settings.private_key_file).read_text(encoding="utf-8")
        token = jwt.encode(claims, key, algorithm="RS256")
        return RestRequest(method, url, headers={"authorization": f"Bearer {token}"}, json=body)


def parse_message(message: str | bytes) -> Event:
    """Return the event in a message of a media stream: bytes are sound.

    Raises:
        ViolationError: the protocol does not allow it.

    """
    if isinstance(message, bytes):
        if len(message) % BYTES_PER_SAMPLE:
            raise ViolationError("half a sample")
        return Audio(len(message) // BYTES_PER_SAMPLE)
    parsed = parse_object(message)
    match parsed.get("event"):
        case "websocket:dtmf":
            return digit_of(parsed.get("digit") or part(parsed, "dtmf").get("digit"))
        case "websocket:notify":
            return Mark(str(part(parsed, "payload").get("name", "")))
        case "websocket:cleared" | "websocket:media:update":
            return Other()
        case _:
            raise ViolationError("a message of an unknown event")
