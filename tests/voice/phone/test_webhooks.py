"""Carriers' webhooks and media sockets on a real gateway, signed as each carrier signs."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3
from standardwebhooks import Webhook
from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.conftest import Stack
from tests.voice.conftest import Gateway, StartGateway
from tests.voice.phone.streams import STREAMS, Stream

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
    """Sign as Vonage does."""
    body = urlencode(form).encode()
    claims = {
        "iat": int(at),
        "jti": secrets.token_hex(16),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    return {"authorization": f"Bearer {jwt.encode(claims, VONAGE_SECRET, algorithm='HS256')}"}, body


SIGN: dict[str, Callable[[str, dict[str, str], float], Signed]] = {
    "twilio": sign_twilio,
    "telnyx": sign_telnyx,
    "plivo": sign_plivo,
    "vonage": sign_vonage,
}
CALL_FIELD = {"twilio": "CallSid", "telnyx": "CallControlId", "plivo": "CallUUID", "vonage": "uuid"}
EACH = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)


@dataclass
class Carriers:
    """A gateway that four carriers know, behind a proxy."""

    gateway: Gateway

    def signed(self, carrier: str, path: str, at: float | None = None, **form: str) -> Signed:
        """Return headers and body of a signed request."""
        fields = {CALL_FIELD[carrier]: f"call-{secrets.token_hex(6)}", "From": "+14155550100", **form}
        return SIGN[carrier](f"{PUBLIC}/phone/{carrier}/{path}", fields, at or time.time())

    def send(self, carrier: str, path: str, signed: Signed) -> httpx.Response:
        """Send it as the proxy passes it on."""
        headers, body = signed
        return httpx.post(
            f"{self.gateway.url}/phone/{carrier}/{path}",
            content=body,
            headers={
                **headers,
                "content-type": "application/x-www-form-urlencoded",
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


@pytest.fixture(scope="module")
def carriers(start_gateway: StartGateway) -> Iterator[Carriers]:
    """The gateway."""
    with start_gateway(**account_settings(), OFFHOOK_GATEWAY__MAX_CALLS="2") as gateway:
        yield Carriers(gateway)


def media_of(document: str) -> tuple[str, str]:
    """Return path and query of the media socket, and the token, that an answer document names."""
    url = re.search(r"wss://voice\.example\.org(/phone/\w+/media[^\"'<]*)", document)
    token = re.search(r"(?:token=|name=\"token\" value=\")([\w-]+)", document)
    assert url, document
    assert token, document
    return url[1], token[1]


@EACH
async def test_a_signed_call_is_answered(carriers: Carriers, stream: Stream) -> None:
    """The document leads to the media stream, where the agent speaks; its token opens it once."""
    answer = carriers.send(stream.name, "answer", carriers.signed(stream.name, "answer"))
    assert answer.status_code == 200, answer.text
    path, token = media_of(answer.text)
    call_id = f"answered-{stream.name}"
    async with connect(
        carriers.gateway.ws_url + path, compression=None, additional_headers=PROXIED
    ) as socket:
        for message in stream.start(call_id, token=token):
            await socket.send(message)
        async with asyncio.timeout(20):
            while not stream.sounded(await socket.recv()):
                await socket.send(stream.audio())
    async with connect(
        carriers.gateway.ws_url + path, compression=None, additional_headers=PROXIED
    ) as socket:
        for message in stream.start("again", token=token):
            await socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


@EACH
def test_unsigned_altered_and_replayed(carriers: Carriers, stream: Stream) -> None:
    """None of them gets a document; each is 403 and counted by its own cause."""
    name = stream.name
    headers, body = carriers.signed(name, "answer")
    wrong = {
        "unsigned": ({}, body),
        "bad_signature": (headers, body + b"&To=%2B19005550199"),
    }
    for cause, signed in wrong.items():
        before = carriers.refusals(name, cause)
        assert carriers.send(name, "answer", signed).status_code == 403
        assert carriers.refusals(name, cause) == before + 1
    assert carriers.send(name, "answer", (headers, body)).status_code == 200
    before = carriers.refusals(name, "replayed")
    assert carriers.send(name, "answer", (headers, body)).status_code == 403
    assert carriers.refusals(name, "replayed") == before + 1


@pytest.mark.parametrize("name", ["telnyx", "vonage"])
def test_stale(carriers: Carriers, name: str) -> None:
    """A signature with an old time in it is no longer good."""
    assert (
        carriers.send(name, "answer", carriers.signed(name, "answer", time.time() - 400)).status_code == 403
    )
    assert carriers.refusals(name, "stale") == 1


@EACH
def test_a_carrier_without_a_secret_is_closed(stack: Stack, stream: Stream) -> None:
    """The refusal names the setting that is missing."""
    response = httpx.post(f"{stack.gateway_url}/phone/{stream.name}/answer", content=b"CallSid=1")
    assert response.status_code == 403
    assert f"[phone] {stream.name}." in response.json()["error"]


async def test_no_stream_without_a_token(carriers: Carriers) -> None:
    """A stream that comes through the proxy needs a token."""
    url = f"{carriers.gateway.ws_url}/phone/twilio/media"
    async with connect(url, compression=None, additional_headers=PROXIED) as socket:
        for message in STREAMS[0].start("stranger"):
            await socket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert carriers.refusals("twilio", "no_media_token") >= 1


async def test_at_capacity(carriers: Carriers) -> None:
    """When all lines are busy the webhook gets the carrier's busy document, and the socket a refusal."""
    url = f"{carriers.gateway.ws_url}/phone/twilio/media"
    async with connect(url, compression=None) as first, connect(url, compression=None) as second:
        for socket, call_id in ((first, "one"), (second, "two")):
            for message in STREAMS[0].start(call_id):
                await socket.send(message)
            await asyncio.wait_for(socket.recv(), 20)
        for stream, word in zip(STREAMS, ("Reject", "Reject", "Hangup", "busy"), strict=True):
            answer = carriers.send(stream.name, "answer", carriers.signed(stream.name, "answer"))
            assert word in answer.text
            assert "wss://" not in answer.text
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, compression=None)
        assert refused.value.response.status_code == 503


async def test_keys_reach_the_agent(stack: Stack) -> None:
    """What the caller presses is put to the agent, who answers it."""
    async with connect(stack.media_url, compression=None) as socket:
        stream = STREAMS[0]
        for message in stream.start("keypad"):
            await socket.send(message)
        began, asked, heard_again = time.monotonic(), False, False
        while time.monotonic() < began + 25 and not heard_again:
            await socket.send(stream.audio())
            try:
                sounded = stream.sounded(await asyncio.wait_for(socket.recv(), 0.02))
            except TimeoutError:
                continue
            if not asked and time.monotonic() > began + 4:
                asked = True
                for digit in "42#":
                    await socket.send(stream.digit(digit))
                quiet_since = time.monotonic()
            heard_again = asked and sounded and time.monotonic() > quiet_since + 0.5
    assert heard_again


def test_status_ends_the_call(carriers: Carriers) -> None:
    """A signed status callback is taken; an unsigned one is not."""
    signed = carriers.signed("twilio", "status", CallStatus="completed")
    assert carriers.send("twilio", "status", signed).status_code == 204
    assert carriers.send("twilio", "status", ({}, b"CallStatus=completed")).status_code == 403


def test_a_sip_providers_announcement(carriers: Carriers) -> None:
    """`realtime.call.incoming`, signed as Standard Webhooks says, is taken once."""
    from datetime import UTC, datetime

    body = json.dumps({"type": "realtime.call.incoming", "data": {"call_id": "rtc_1", "sip_headers": []}})
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "wh_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SIP_SECRET).sign("wh_1", now, body),
    }

    def send(changed: dict[str, str]) -> int:
        url = f"{carriers.gateway.url}/phone/sip/incoming"
        return httpx.post(url, content=body, headers=headers | changed).status_code

    assert send({"webhook-signature": "v1,AAAA"}) == 403
    assert send({"webhook-timestamp": "1"}) == 403
    assert send({}) == 200
    assert send({}) == 403


BODIES = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(sorted(CALL_FIELD.values())), st.text(max_size=20)).map(
        lambda form: urlencode(form, errors="replace").encode("utf-8", "replace")
    ),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        name: st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=60).map(str.strip)
        for name in (
            "authorization", "x-twilio-signature", "telnyx-signature-ed25519", "telnyx-timestamp",
            "x-plivo-signature-v3", "x-plivo-signature-v3-nonce", "webhook-id", "webhook-timestamp",
            "webhook-signature",
        )
    },
)  # fmt: skip
TARGETS = [f"/phone/{name}/{what}" for name in SIGN for what in ("answer", "status", "connect/x")]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.sampled_from([*TARGETS, "/phone/sip/incoming", "/phone/acme/answer"]),
    body=BODIES,
    headers=HEADERS,
)
def test_whatever_is_posted(carriers: Carriers, target: str, body: bytes, headers: dict[str, str]) -> None:
    """No body and no header opens a door or breaks it."""
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    response = httpx.post(carriers.gateway.url + target, content=body, headers=encoded)
    assert response.status_code in (403, 404)


def test_signature_of_the_wrong_secret(carriers: Carriers) -> None:
    """An HMAC of another secret is no signature."""
    url = f"{PUBLIC}/phone/twilio/answer"
    other = base64.b64encode(hmac.new(b"other", url.encode(), hashlib.sha1).digest()).decode()
    assert carriers.send("twilio", "answer", ({"x-twilio-signature": other}, b"")).status_code == 403
