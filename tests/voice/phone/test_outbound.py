"""Calls placed, screened, transferred and hung up, each as the carrier's own SDK would have asked."""

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import av
import httpx
import numpy as np
import pytest
from jiwer import wer
from websockets.asyncio.client import connect

from orchestration.doors import CallingHours
from tests.conftest import Stack, run_offhook
from tests.voice.conftest import Gateway, StartGateway, transcribe
from tests.voice.phone.fake_carrier import UNWANTED, FakeCarrier, Sdk, accounts
from tests.voice.phone.line import carrier_line
from tests.voice.phone.signing import PROXIED, PUBLIC, SIGN, Carriers, account_settings, media_of
from tests.voice.phone.streams import STREAMS, Stream
from voice.errors import OutboundError
from voice.phone.outbound import CallingPolicy, e164

GREETING = "Good morning, this is the town library with a question about your books."
SELLER = f"""
name = "seller"
system_prompt = "You are a helpful assistant on the telephone. Answer with one short sentence."
greeting = "{GREETING}"
[voicemail]
action = "message"
message = "This is the town library. Please bring back the books about Norway."
quiet_seconds = 0.5
"""
TO = "+14155550123"


@pytest.fixture(scope="module", params=STREAMS, ids=lambda stream: stream.name)
def dialling(
    request: pytest.FixtureRequest,
    start_gateway: StartGateway,
    fake_carrier: FakeCarrier,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Gateway, Stream]]:
    """A gateway that calls out through one of the carriers."""
    folder = tmp_path_factory.mktemp("accounts")
    settings = accounts(folder, fake_carrier.url) | {"OFFHOOK_PHONE__OUTBOUND": request.param.name}
    with start_gateway(**settings) as gateway:
        yield gateway, request.param


async def test_dial_transfer_hang_up(dialling: tuple[Gateway, Stream], fake_carrier: FakeCarrier) -> None:
    """Each is the very request of the carrier's SDK; a spoken hand-over is heard before the transfer."""
    gateway, stream = dialling
    sdk, name = Sdk(stream.name, fake_carrier), stream.name
    async with httpx.AsyncClient(base_url=gateway.url, timeout=40) as http:
        placed = await http.post("/calls", json={"to": "+1 (415) 555-0123"})
        assert placed.status_code == 201, placed.text
        assert placed.json()["call_id"]
        asked = fake_carrier.asked.pop()
        assert f"/phone/{name}/answer?dial=" in asked.text
        answer_url = next(url for url in _texts(asked.fields) if "?dial=" in url)
        sdk.same(asked, sdk.dial(TO, answer_url, f"{gateway.url}/phone/{name}/status"))

        media = f"{gateway.ws_url}/phone/{name}/media"
        async with carrier_line(media, stream, "call-transfer") as line:
            await line.until_heard(0.2)
            body = {"to": "+14155550124", "announce": "I am putting you through."}
            done = await http.post("/calls/call-transfer/transfer", json=body)
            assert done.status_code == 200, done.text
            assert len(line.heard) > 8000
        asked = fake_carrier.asked.pop()
        sdk.same(asked, sdk.transfer("call-transfer", "+14155550124", asked))
        async with carrier_line(media, stream, "call-hangup") as line:
            await line.until_heard(0.2)
            assert (await http.post("/calls/call-hangup/hangup")).status_code == 200
        sdk.same(fake_carrier.asked.pop(), sdk.hang_up("call-hangup"))


def _texts(fields: dict) -> Iterator[str]:
    for value in fields.values():
        yield from [value] if isinstance(value, str) else [one for one in value if isinstance(one, str)]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"to": "+14155550199"}, 409, "do-not-call"),
        ({"to": UNWANTED}, 409, "asked us not to"),
        ({"to": TO, "agent": "nobody"}, 409, "there are: concierge"),
        ({"to": "hello"}, 409, "write it as"),
        ({"to": TO, "speed": 3}, 400, "speed"),
    ],
)
def test_calls_that_are_not_placed(
    dialling: tuple[Gateway, Stream], fake_carrier: FakeCarrier, body: dict, status: int, expected: str
) -> None:
    """The carrier never hears of a call that may not be placed, and the owner hears why."""
    fake_carrier.asked.clear()
    refused = httpx.post(f"{dialling[0].url}/calls", json=body)
    assert refused.status_code == status
    assert expected in refused.json()["error"]
    assert all(asked.path == "/check" for asked in fake_carrier.asked)


@pytest.fixture(scope="module")
def selling(
    start_gateway: StartGateway, fake_carrier: FakeCarrier, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway with a second agent that calls people, through Twilio."""
    folder = tmp_path_factory.mktemp("selling")
    (folder / "seller.toml").write_text(SELLER)
    settings = accounts(folder, fake_carrier.url) | account_settings()
    settings |= {
        "OFFHOOK_PHONE__OUTBOUND": "twilio",
        "OFFHOOK_GATEWAY__AGENTS": json.dumps([str(folder / "seller.toml")]),
    }
    with start_gateway(**settings) as gateway:
        yield gateway


async def picked_up(
    gateway: Gateway, fake_carrier: FakeCarrier, call_id: str, said: bytes, stack: Stack
) -> tuple[str, dict]:
    """Let the seller call somebody who says this; return what they heard, and the call's record."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=40) as http:
        placed = await http.post("/calls", json={"to": TO, "agent": "seller"})
        assert placed.status_code == 201, placed.text
        url = urlsplit(fake_carrier.asked.pop().fields["Url"])
        path = f"{url.path}?{url.query}"
        headers, body = SIGN["twilio"](PUBLIC + path, {"CallSid": call_id}, 0.0)
        answer = await asyncio.to_thread(
            Carriers(gateway).send, "twilio", path.removeprefix("/phone/twilio/"), (headers, body)
        )
        media, token = media_of(answer.text)
        async with carrier_line(
            gateway.ws_url + media, STREAMS[0], call_id, token=token, headers=PROXIED
        ) as line:
            line.say(said)
            await line.until_heard(1.0)
            await line.until_quiet()
            await line.hang_up()
        record = (await http.get(f"/api/calls/{call_id}")).json()
    return await asyncio.to_thread(transcribe, stack, line.recording()), record


async def test_a_person_picks_up(
    selling: Gateway, fake_carrier: FakeCarrier, telephone_voice: Callable[[str], bytes], stack: Stack
) -> None:
    """Whoever says hello is greeted by the agent that was asked for, and gets no message."""
    heard, record = await picked_up(selling, fake_carrier, "person", telephone_voice("Hello?"), stack)
    # A small ear may take a word for another.
    assert wer(GREETING.lower(), heard.lower()) < 0.3
    assert "Norway" not in heard
    assert record["agent"] == "seller"


async def test_a_machine_picks_up(
    selling: Gateway, fake_carrier: FakeCarrier, telephone_voice: Callable[[str], bytes], stack: Stack
) -> None:
    """A machine's greeting is not talked over; after it the message is left, and the call is over."""
    greeting = "Hi, you have reached Dana. Please leave a message after the tone."
    heard, record = await picked_up(selling, fake_carrier, "machine", telephone_voice(greeting), stack)
    assert "Norway" in heard
    assert "question" not in heard
    assert record["turns"] == []
    assert "a machine picked up" in selling.log()


async def test_a_number_with_an_agent_of_its_own(selling: Gateway) -> None:
    """The answer URL of a number may name who answers it, at once and without asking who is there."""
    form, path = {"CallSid": "inbound"}, "/phone/twilio/answer?agent=seller"
    signed = SIGN["twilio"](PUBLIC + path, form, 0.0)
    answer = await asyncio.to_thread(Carriers(selling).send, "twilio", "answer?agent=seller", signed)
    media, token = media_of(answer.text)
    url = selling.ws_url + media
    async with carrier_line(url, STREAMS[0], "inbound", token=token, headers=PROXIED) as line:
        await line.until_heard(0.3)
        await line.hang_up()
    record = httpx.get(f"{selling.url}/api/calls/inbound").json()
    assert record["agent"] == "seller"


def test_dial_command(stack: Stack, selling: Gateway, fake_carrier: FakeCarrier, tmp_path: Path) -> None:
    """`offhook dial` places the call as the agent that is named, or says in one line why not."""

    def dial(*arguments: str) -> str:
        done = run_offhook(
            "dial", TO, "--url", selling.url, *arguments, environment=stack.environment, folder=tmp_path
        )
        return done.stdout + done.stderr

    assert "the call is CA1" in dial("--agent", "seller")
    assert "no agent 'sailor'; there are: concierge, seller" in dial("--agent", "sailor")
    refused = stack.offhook("dial", TO)
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
