"""Whole calls over each carrier's media stream, from its signed webhook to the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.conftest import Stack
from tests.voice.conftest import StartGateway, transcribe
from tests.voice.phone.line import CarrierLine, carrier_line
from tests.voice.phone.signing import PROXIED, STATUS_FIELD, Carriers, account_settings, media_of
from tests.voice.phone.streams import STREAMS, Stream

EACH = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
MAX_CALLS = len(STREAMS)


@pytest.fixture(scope="module")
def carriers(start_gateway: StartGateway, long_winded: Path) -> Iterator[Carriers]:
    """A gateway that four carriers know, with one line for each; its agent greets at length."""
    settings = account_settings() | {
        "OFFHOOK_GATEWAY__AGENT": str(long_winded),
        "OFFHOOK_GATEWAY__MAX_CALLS": str(MAX_CALLS),
    }
    with start_gateway(**settings) as gateway:
        yield Carriers(gateway)


@pytest.fixture(scope="module")
def question(telephone_voice: Callable[[str], bytes]) -> bytes:
    """A question, 8 kHz 16-bit PCM."""
    return telephone_voice("What is the capital of France?")


@asynccontextmanager
async def answered(carriers: Carriers, stream: Stream, call_id: str) -> AsyncIterator[CarrierLine]:
    """A call as the carrier brings it: a signed webhook, its document, the stream it names."""
    signed = carriers.signed(stream.name, "answer", call_id=call_id)
    document = await asyncio.to_thread(carriers.send, stream.name, "answer", signed)
    path, token = media_of(document.text)
    url = carriers.gateway.ws_url + path
    async with carrier_line(url, stream, call_id, token=token, headers=PROXIED) as line:
        yield line


async def record_of(carriers: Carriers, call_id: str) -> dict:
    """Return what the gateway remembers of a call once it has ended."""
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=carriers.gateway.url) as http:
        while not (record := (await http.get(f"/api/calls/{call_id}")).json()).get("end_reason"):
            await asyncio.sleep(0.05)
    return record


async def interrupt_and_ask(carriers: Carriers, stream: Stream, question: bytes) -> tuple[CarrierLine, dict]:
    """Ask over the greeting, hear the answer to its end, hang up."""
    call_id = f"asked-{stream.name}"
    async with answered(carriers, stream, call_id) as line:
        await line.until_heard(1.0)
        line.say(question)
        await line.until(lambda: bool(line.cleared))
        await line.until_heard(0.5, since=line.cleared[0])
        await line.until_quiet()
        await line.hang_up()
    return line, await record_of(carriers, call_id)


async def test_interrupted_asked_and_answered(carriers: Carriers, stack: Stack, question: bytes) -> None:
    """At all four carriers at once: the greeting stops for a question, and its answer can be heard."""
    calls = await asyncio.gather(*(interrupt_and_ask(carriers, stream, question) for stream in STREAMS))
    for stream, (line, record) in zip(STREAMS, calls, strict=True):
        assert "france" in record["turns"][0]["heard"].lower(), stream
        assert "Paris" in record["turns"][-1]["answered"], stream
        assert record["end_reason"] == "caller hung up"
        heard = await asyncio.to_thread(transcribe, stack, line.recording(line.cleared[0]))
        assert "Paris" in heard, stream
    assert len({record["trace_id"] for _, record in calls}) == len(STREAMS)


@EACH
async def test_hanging_up_while_the_agent_speaks(carriers: Carriers, stream: Stream) -> None:
    """The call ends at once, and as a hang-up."""
    async with answered(carriers, stream, f"hangs-up-{stream.name}") as line:
        await line.until_heard(0.3)
        await line.hang_up()
    assert (await record_of(carriers, f"hangs-up-{stream.name}"))["end_reason"] == "caller hung up"


@EACH
async def test_dying_without_a_goodbye(carriers: Carriers, stream: Stream) -> None:
    """A stream that breaks ends the call."""
    async with answered(carriers, stream, f"dies-{stream.name}") as line:
        await line.until_heard(0.3)
        line.socket.transport.abort()
    record = await record_of(carriers, f"dies-{stream.name}")
    assert record["end_reason"] == "connection to the caller was lost"


@EACH
async def test_no_stream_without_a_token(carriers: Carriers, stream: Stream) -> None:
    """A stream that nobody was promised is closed, and counted."""
    before = carriers.refusals(stream.name, "no_media_token")
    url = f"{carriers.gateway.ws_url}/phone/{stream.name}/media"
    async with carrier_line(url, stream, "stranger", headers=PROXIED) as line:
        await line.socket.wait_closed()
    assert line.socket.close_code == 1008
    assert carriers.refusals(stream.name, "no_media_token") == before + 1


@pytest.mark.parametrize("stays", [True, False])
async def test_a_stream_that_begins_wrongly(carriers: Carriers, stays: bool) -> None:
    """It is told why, in as many bytes as a close frame takes; whoever has gone by then is no error of ours."""
    before = carriers.refusals("vonage", "bad_handshake")
    url = f"{carriers.gateway.ws_url}/phone/vonage/media"
    start = {"event": "websocket:connected", "content-type": "\N{SNOWMAN}" * 150}
    async with connect(url, additional_headers=PROXIED) as socket:
        await socket.send(json.dumps(start))
        if stays:
            await socket.wait_closed()
        else:
            socket.transport.abort()
    async with asyncio.timeout(10):
        while carriers.refusals("vonage", "bad_handshake") == before:
            await asyncio.sleep(0.05)
    assert "Traceback" not in carriers.gateway.log()
    if stays:
        assert socket.close_code == 1002
        assert (socket.close_reason or "").startswith("vonage promised \N{SNOWMAN}")


async def test_at_capacity(carriers: Carriers) -> None:
    """With all lines promised each carrier gets its own busy document; when one hangs up, the next gets in."""
    promised = [
        carriers.signed(stream.name, "answer", call_id=f"promised-{stream.name}") for stream in STREAMS
    ]
    for stream, signed in zip(STREAMS, promised, strict=True):
        media_of(carriers.send(stream.name, "answer", signed).text)
    for stream, word in zip(STREAMS, ("Reject", "Reject", "Hangup", "busy"), strict=True):
        answer = carriers.send(stream.name, "answer", carriers.signed(stream.name, "answer"))
        assert word in answer.text
        assert "wss://" not in answer.text
        assert carriers.refusals(stream.name, "at_capacity") == 1
    for stream in STREAMS:
        over = {STATUS_FIELD[stream.name]: "completed"}
        signed = carriers.signed(stream.name, "status", call_id=f"promised-{stream.name}", **over)
        assert carriers.send(stream.name, "status", signed).status_code == 204
    media_of(carriers.send("plivo", "answer", carriers.signed("plivo", "answer")).text)
