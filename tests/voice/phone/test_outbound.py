"""Calls placed, transferred and hung up through a stand-in of each carrier's REST API."""

import asyncio
import base64
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import av
import httpx
import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from orchestration.doors import CallingHours
from tests.conftest import Stack, run_offhook
from tests.voice.conftest import StartGateway
from tests.voice.phone.streams import STREAMS, Stream
from voice.errors import OutboundError
from voice.phone.outbound import CallingPolicy, e164

ALWAYS = {"first_hour": 0, "last_hour": 24}
VONAGE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class FakeCarrier:
    """Answers every carrier's REST API, and remembers what it was asked."""

    asked: list[tuple[str, str, dict[str, Any], str]] = field(default_factory=list)
    url: str = ""

    def take(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer one request as that API would."""
        if "json" in headers.get("content-type", ""):
            fields = json.loads(body or b"{}")
        else:
            fields = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        self.asked.append((method, path, fields, headers.get("authorization", "")))
        replies = {
            "/2010": {"sid": "CA1"},
            "/v2/te": {"data": {"call_sid": "v3:1"}},
            "/v1/A": {"request_uuid": "p1"},
            "/v1/c": {"uuid": "v1"},
        }
        return 201, next((reply for start, reply in replies.items() if path.startswith(start)), {})


@pytest.fixture(scope="module")
def fake_carrier() -> Iterator[FakeCarrier]:
    """A running stand-in."""
    fake = FakeCarrier()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, reply = fake.take(self.command, self.path, self.headers, body)
            content = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names the base class looks for

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield fake
    server.shutdown()


def accounts(folder: Path, base: str) -> dict[str, str]:
    """Return settings with an account at every carrier, whose API is the stand-in."""
    key_file = folder / "vonage.pem"
    key_file.write_bytes(
        VONAGE_KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    do_not_call = folder / "do-not-call.txt"
    do_not_call.write_text("# never\n+1 415 555 0199\n")
    number = {"from_number": "+14155550100"}
    return {
        "OFFHOOK_PHONE__API_BASE": base,
        "OFFHOOK_PHONE__DO_NOT_CALL_FILE": str(do_not_call),
        "OFFHOOK_PHONE__HOURS": json.dumps(ALWAYS),
        "OFFHOOK_PHONE__TWILIO": json.dumps({"account_sid": "AC1", "auth_token": "t", **number}),
        "OFFHOOK_PHONE__TELNYX": json.dumps({"api_key": "KEY1", "connection_id": "7", **number}),
        "OFFHOOK_PHONE__PLIVO": json.dumps({"auth_id": "MA1", "auth_token": "p", **number}),
        "OFFHOOK_PHONE__VONAGE": json.dumps(
            {"application_id": "app", "private_key_file": str(key_file), **number}
        ),
    }


def check_auth(name: str, authorization: str) -> None:
    """Check credentials as the carrier would."""
    match name:
        case "twilio":
            assert base64.b64decode(authorization.split()[1]) == b"AC1:t"
        case "plivo":
            assert base64.b64decode(authorization.split()[1]) == b"MA1:p"
        case "telnyx":
            assert authorization == "Bearer KEY1"
        case _:
            claims = jwt.decode(authorization.split()[1], VONAGE_KEY.public_key(), algorithms=["RS256"])
            assert claims["application_id"] == "app"


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
async def test_dial_transfer_hang_up(
    start_gateway: StartGateway, fake_carrier: FakeCarrier, tmp_path: Path, stream: Stream
) -> None:
    """Each is the carrier's own request with its own credentials; the agent announces a transfer first."""
    settings = accounts(tmp_path, fake_carrier.url) | {"OFFHOOK_PHONE__OUTBOUND": stream.name}
    fake_carrier.asked.clear()
    with start_gateway(**settings) as gateway:
        async with httpx.AsyncClient(base_url=gateway.url, timeout=40) as http:
            placed = await http.post("/calls", json={"to": "+1 (415) 555-0123"})
            assert placed.status_code == 201, placed.text
            assert placed.json()["call_id"]
            _, _, fields, authorization = fake_carrier.asked[-1]
            check_auth(stream.name, authorization)
            assert "4155550123" in json.dumps(fields)
            assert f"/phone/{stream.name}/answer" in json.dumps(fields)
            await in_a_call(
                gateway.ws_url, stream, http, "transfer", {"to": "+14155550124", "announce": "One moment."}
            )
            _, path, fields, _ = fake_carrier.asked[-1]
            assert "call-transfer" in path
            assert "4155550124" in json.dumps(fields) or "connect/" in json.dumps(fields)
            await in_a_call(gateway.ws_url, stream, http, "hangup", {})
            assert "call-hangup" in fake_carrier.asked[-1][1]
            forbidden = await http.post("/calls", json={"to": "+14155550199"})
            assert forbidden.status_code == 409
            assert "do-not-call" in forbidden.json()["error"]


async def in_a_call(
    ws_url: str, stream: Stream, http: httpx.AsyncClient, what: str, body: dict[str, str]
) -> None:
    """Hold a call, ask for something to be done to it, and see it end."""
    call_id = f"call-{what}"
    async with connect(f"{ws_url}/phone/{stream.name}/media", compression=None) as socket:
        for message in stream.start(call_id):
            await socket.send(message)
        await asyncio.wait_for(socket.recv(), 20)
        request = asyncio.create_task(http.post(f"/calls/{call_id}/{what}", json=body))
        async with asyncio.timeout(40):
            while not request.done():
                with contextlib.suppress(ConnectionClosed):
                    await socket.send(stream.audio())
                try:
                    message = await asyncio.wait_for(socket.recv(), 0.02)
                except TimeoutError:
                    continue
                except ConnectionClosed:
                    break
                if isinstance(message, str) and (played := _played(json.loads(message))):
                    await socket.send(json.dumps(played))
    assert (await request).status_code == 200, (await request).text


def _played(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the carrier says once everything before this mark is played; None: no mark."""
    match message:
        case {"event": "mark"}:
            return message
        case {"event": "checkpoint", "name": name}:
            return {"event": "playedStream", "name": name}
        case {"action": "notify", "payload": payload}:
            return {"event": "websocket:notify", "payload": payload}
        case _:
            return None


def test_dial_command(
    stack: Stack, start_gateway: StartGateway, fake_carrier: FakeCarrier, tmp_path: Path
) -> None:
    """`offhook dial` places the call, or says in one line why not."""
    settings = accounts(tmp_path, fake_carrier.url) | {"OFFHOOK_PHONE__OUTBOUND": "twilio"}
    with start_gateway(**settings) as gateway:
        done = run_offhook(
            "dial", "+14155550123", "--url", gateway.url, environment=stack.environment, folder=tmp_path
        )
        assert "the call is CA1" in done.stdout
    refused = stack.offhook("dial", "+14155550123")
    assert refused.returncode == 1
    assert "names no carrier" in refused.stderr


def test_hours() -> None:
    """Calls are placed in the hours of the callee's time zone only."""
    policy = CallingPolicy([], CallingHours(time_zone="America/New_York", first_hour=9, last_hour=17))
    policy.check("+14155550123", datetime(2026, 3, 2, 14, 0, tzinfo=UTC))
    for hour in (13, 22):
        with pytest.raises(OutboundError, match="9:00 to 17:00"):
            policy.check("+14155550123", datetime(2026, 3, 2, hour, 30, tzinfo=UTC))


@pytest.mark.parametrize("number", ["", "911", "4155550123", "hello", "+1"])
def test_what_is_no_number(number: str) -> None:
    """A number without its country code is not guessed at."""
    with pytest.raises(OutboundError, match="write it as"):
        e164(number)


async def test_keys_are_pressed_as_tones(start_gateway: StartGateway) -> None:
    """What the owner presses is heard by the other side as the two tones of that key."""
    heard = bytearray()
    with start_gateway() as gateway:
        async with (
            httpx.AsyncClient(base_url=gateway.url, timeout=30) as http,
            connect(f"{gateway.ws_url}/phone/twilio/media", compression=None) as socket,
        ):
            for message in STREAMS[0].start("call-keys"):
                await socket.send(message)
            await asyncio.wait_for(socket.recv(), 20)
            assert (await http.post("/calls/call-keys/keys", json={"digits": "5x"})).status_code == 400
            assert (await http.post("/calls/call-keys/keys", json={"digits": "5"})).status_code == 200
            async with asyncio.timeout(20):
                while not any(is_key_5(bytes(heard[at : at + 1600])) for at in range(0, len(heard), 400)):
                    await socket.send(STREAMS[0].audio())
                    message = json.loads(await socket.recv())
                    if message["event"] == "media":
                        heard += base64.b64decode(message["media"]["payload"])


def is_key_5(mulaw: bytes) -> bool:
    """Return whether 8 kHz mu-law sounds as the key 5: 770 and 1336 Hz (ITU-T Q.23) and little else."""
    if len(mulaw) < 1600:
        return False
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    sound = np.concatenate([frame.to_ndarray()[0] for frame in decoder.decode(av.Packet(mulaw))]).astype(
        float
    )
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / 8000)
    tones = sum(power[np.abs(frequencies - tone) < 25].sum() for tone in (770, 1336))
    return bool(tones > 0.8 * power.sum() and power.sum() > 0)
