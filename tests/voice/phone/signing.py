"""Carriers' webhooks as each carrier signs them, sent as a proxy passes them on."""

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import jwt
from nacl.signing import SigningKey
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3
from twilio.request_validator import RequestValidator

from tests.voice.conftest import Gateway

PUBLIC = "https://voice.example.org"
TWILIO_TOKEN = "twilio-auth-token"
PLIVO_TOKEN = "plivo-auth-token"
VONAGE_SECRET = "vonage-signature-secret-of-enough-bytes"
SIP_SECRET = "whsec_" + base64.b64encode(b"sip-webhook-secret-24-by").decode()
TELNYX_KEY = SigningKey.generate()

#: What a proxy adds; whoever comes with it is not this machine itself.
PROXIED = {"x-forwarded-for": "192.0.2.9"}

Signed = tuple[dict[str, str], bytes]


def sign_twilio(url: str, form: dict[str, str], at: float) -> Signed:
    """Sign as Twilio does; there is no time in it."""
    signature = RequestValidator(TWILIO_TOKEN).compute_signature(url, form)
    return {"x-twilio-signature": signature}, urlencode(form).encode()


def sign_telnyx(url: str, form: dict[str, str], at: float) -> Signed:
    """Sign as Telnyx does."""
    body, sent = urlencode(form).encode(), str(int(at))
    signature = base64.b64encode(TELNYX_KEY.sign(f"{sent}|".encode() + body).signature).decode()
    return {"telnyx-signature-ed25519": signature, "telnyx-timestamp": sent}, body


def sign_plivo(url: str, form: dict[str, str], at: float) -> Signed:
    """Sign as Plivo does; there is no time in it."""
    nonce = secrets.token_hex(10)
    signature = get_signature_v3(PLIVO_TOKEN, construct_post_url(url, dict(form)).decode(), nonce).decode()
    return {"x-plivo-signature-v3": signature, "x-plivo-signature-v3-nonce": nonce}, urlencode(form).encode()


def sign_vonage(url: str, form: dict[str, str], at: float) -> Signed:
    """Sign as Vonage does, whose bodies are JSON."""
    body = json.dumps(form).encode()
    claims = {
        "iat": int(at),
        "jti": secrets.token_hex(16),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    token = jwt.encode(claims, VONAGE_SECRET, algorithm="HS256")
    return {"authorization": f"Bearer {token}", "content-type": "application/json"}, body


SIGN: dict[str, Callable[[str, dict[str, str], float], Signed]] = {
    "twilio": sign_twilio,
    "telnyx": sign_telnyx,
    "plivo": sign_plivo,
    "vonage": sign_vonage,
}
CALL_FIELD = {"twilio": "CallSid", "telnyx": "CallControlId", "plivo": "CallUUID", "vonage": "uuid"}
STATUS_FIELD = {"twilio": "CallStatus", "telnyx": "CallStatus", "plivo": "CallStatus", "vonage": "status"}


@dataclass
class Carriers:
    """A gateway that four carriers know, behind a proxy."""

    gateway: Gateway

    def signed(
        self, carrier: str, path: str, at: float | None = None, *, call_id: str = "", **form: str
    ) -> Signed:
        """Return headers and body of a signed request; without a name the call gets one."""
        call_id = call_id or f"call-{secrets.token_hex(6)}"
        fields = {CALL_FIELD[carrier]: call_id, "From": "+14155550100", **form}
        return SIGN[carrier](f"{PUBLIC}/phone/{carrier}/{path}", fields, at or time.time())

    def send(self, carrier: str, path: str, signed: Signed) -> httpx.Response:
        """Send it as the proxy passes it on."""
        headers, body = signed
        return httpx.post(
            f"{self.gateway.url}/phone/{carrier}/{path}",
            content=body,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                **headers,
                "host": "voice.example.org",
                **PROXIED,
            },
        )

    def refusals(self, carrier: str, cause: str) -> float:
        """Return how often a cause was counted."""
        return self.gateway.counted("voice_refusals_total", door=carrier, cause=cause)


def account_settings() -> dict[str, str]:
    """Return settings with an account at every carrier."""
    return {
        "OFFHOOK_PHONE__PUBLIC_URL": PUBLIC,
        "OFFHOOK_PHONE__TWILIO": json.dumps(
            {"account_sid": "AC1", "auth_token": TWILIO_TOKEN, "from_number": "+14155550100"}
        ),
        "OFFHOOK_PHONE__TELNYX": json.dumps(
            {"public_key": base64.b64encode(bytes(TELNYX_KEY.verify_key)).decode()}
        ),
        "OFFHOOK_PHONE__PLIVO": json.dumps({"auth_id": "MA1", "auth_token": PLIVO_TOKEN}),
        "OFFHOOK_PHONE__VONAGE": json.dumps({"signature_secret": VONAGE_SECRET}),
        "OFFHOOK_PHONE__SIP_WEBHOOK": json.dumps({"secret": SIP_SECRET}),
        "OFFHOOK_ACCESS__REQUESTS_PER_MINUTE": "100000",
    }


def media_of(document: str) -> tuple[str, str]:
    """Return path and query of the media socket, and the token, that an answer document names."""
    url = re.search(r"wss://voice\.example\.org(/phone/\w+/media[^\"'<]*)", document)
    token = re.search(r"(?:token=|name=\"token\" value=\")([\w-]+)", document)
    assert url, document
    assert token, document
    return url[1], token[1]
