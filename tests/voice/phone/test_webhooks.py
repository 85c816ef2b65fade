"""Carriers' webhooks and media sockets on a real gateway, signed as each carrier signs."""

import asyncio
import base64
import hashlib
import hmac
import html
import json
import re
import time
from collections.abc import Iterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.conftest import Stack
from tests.voice.conftest import StartGateway
from tests.voice.phone.signing import (
    PLIVO_TOKEN,
    PROXIED,
    PUBLIC,
    SIGN,
    SIP_SECRET,
    STATUS_FIELD,
    TWILIO_TOKEN,
    VONAGE_SECRET,
    Carriers,
    account_settings,
    media_of,
)
from tests.voice.phone.streams import STREAMS, Stream

EACH = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)


@pytest.fixture(scope="module")
def carriers(start_gateway: StartGateway) -> Iterator[Carriers]:
    """The gateway."""
    queue = json.dumps({"size": len(STREAMS), "every_seconds": 20})
    settings = {"OFFHOOK_GATEWAY__MAX_CALLS": "2", "OFFHOOK_PHONE__QUEUE": queue}
    with start_gateway(**account_settings(), **settings) as gateway:
        yield Carriers(gateway)


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
    headers, body = carriers.signed(name, "answer", call_id=f"replayed-{name}")
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
    over = carriers.signed(name, "status", call_id=f"replayed-{name}", **{STATUS_FIELD[name]: "completed"})
    assert carriers.send(name, "status", over).status_code == 204


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


async def test_waiting_for_a_line(carriers: Carriers) -> None:
    """Callers hear that they wait, get in in the order they came, and one too many gets the busy signal."""
    url = f"{carriers.gateway.ws_url}/phone/twilio/media"
    async with connect(url, compression=None) as first, connect(url, compression=None) as second:
        for socket, call_id in ((first, "one"), (second, "two")):
            for message in STREAMS[0].start(call_id):
                await socket.send(message)
            await asyncio.wait_for(socket.recv(), 20)
        again = [_again(carriers, stream.name, "answer") for stream in STREAMS]
        busy = carriers.send("twilio", "answer", carriers.signed("twilio", "answer"))
        assert "Reject" in busy.text
        assert carriers.refusals("twilio", "at_capacity") == 1
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, compression=None)
        assert refused.value.response.status_code == 503
    await _until_free(carriers)
    for stream, path in list(zip(STREAMS, again, strict=True))[2:]:
        _again(carriers, stream.name, path)
    for stream, path in list(zip(STREAMS, again, strict=True))[:2]:
        media_of(carriers.send(stream.name, path, carriers.signed(stream.name, path)).text)


def _again(carriers: Carriers, carrier: str, path: str) -> str:
    """Ask to be answered, be told to wait, and return what is asked next."""
    document = carriers.send(carrier, path, carriers.signed(carrier, path)).text
    assert "All lines are busy. Please hold the line." in document
    assert "wss://" not in document
    found = re.search(rf"{PUBLIC}/phone/{carrier}/(answer[?]wait=[^\"<]+)", html.unescape(document))
    assert found, document
    assert found[1] != path
    return found[1]


async def _until_free(carriers: Carriers) -> None:
    async with asyncio.timeout(20):
        while carriers.gateway.counted("voice_calls_active", door="twilio") > 0:
            await asyncio.sleep(0.05)


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


def test_signature_of_the_wrong_secret(carriers: Carriers) -> None:
    """An HMAC of another secret is no signature."""
    url = f"{PUBLIC}/phone/twilio/answer"
    other = base64.b64encode(hmac.new(b"other", url.encode(), hashlib.sha1).digest()).decode()
    assert carriers.send("twilio", "answer", ({"x-twilio-signature": other}, b"")).status_code == 403


def test_secrets_are_nowhere(carriers: Carriers, stack: Stack) -> None:
    """Carriers' secrets, their signatures and our tokens are in no log, no metric, no trace and no error text."""
    answered = [carriers.signed(name, "answer") for name in SIGN]
    documents = [carriers.send(name, "answer", signed) for name, signed in zip(SIGN, answered, strict=True)]
    again = [carriers.send(name, "answer", signed) for name, signed in zip(SIGN, answered, strict=True)]
    assert [answer.status_code for answer in again] == [403] * len(SIGN)
    tokens = [token for document in documents for token in re.findall(r"token=([\w-]{20,})", document.text)]
    signatures = [
        value for headers, _ in answered for name, value in headers.items() if name != "content-type"
    ]
    secrets = {*tokens, *signatures, TWILIO_TOKEN, PLIVO_TOKEN, VONAGE_SECRET, SIP_SECRET}
    metrics = httpx.get(f"{carriers.gateway.url}/metrics").text
    traces = (stack.folder / "calls.sqlite").read_bytes().decode("latin-1")
    for text in (carriers.gateway.log(), metrics, traces, *(answer.text for answer in again)):
        assert not [secret for secret in secrets if len(secret) > 15 and secret in text]
