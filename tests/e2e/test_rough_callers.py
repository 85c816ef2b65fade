"""Callers that misbehave end their own call, with a logged reason, and nobody else's."""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import Stack, start_stack
from voice.caller.line import place_call
from voice.caller.questions import question_from_text

SILENCE = base64.b64encode(b"\xff" * 160).decode()
CALLS = 50


def start_message(call_sid: str, *, rate: int = 8000) -> str:
    """Return Twilio's start message."""
    return json.dumps(
        {
            "event": "start",
            "streamSid": f"MZ{secrets.token_hex(8)}",
            "start": {
                "streamSid": f"MZ{secrets.token_hex(8)}",
                "callSid": call_sid,
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": rate, "channels": 1},
            },
        }
    )


def media(payload: str = SILENCE) -> str:
    """Return a media message."""
    return json.dumps({"event": "media", "media": {"payload": payload}})


@asynccontextmanager
async def line(stack: Stack, call_sid: str) -> AsyncIterator[ClientConnection]:
    """A call in progress, whose media is up to the test."""
    async with connect(stack.media_url, compression=None, max_size=None) as socket:
        await socket.send(start_message(call_sid))
        yield socket


async def end_reason(stack: Stack, call_sid: str, seconds: float = 20.0) -> str:
    """Return why the gateway ended a call."""
    async with asyncio.timeout(seconds), httpx.AsyncClient() as http:
        while True:
            record = (await http.get(f"{stack.gateway_url}/api/calls/{call_sid}")).json()
            if reason := record.get("end_reason"):
                assert f"{call_sid} ended: {reason}" in stack.log("gateway")
                return str(reason)
            await asyncio.sleep(0.05)


async def send_until_closed(socket: ClientConnection, messages: list[str]) -> None:
    """Send what the gateway will not take; it may close before all of it is sent."""
    try:
        for message in messages:
            await socket.send(message)
        async for _ in socket:
            pass
    except ConnectionClosed:
        pass


async def test_hanging_up_mid_sentence(stack: Stack) -> None:
    """A caller who hangs up while the agent speaks ends the call."""
    async with line(stack, "hangup") as socket:
        async for text in socket:
            if json.loads(text)["event"] == "media":
                break
    assert await end_reason(stack, "hangup") == "caller hung up"


async def test_dying_without_a_goodbye(stack: Stack) -> None:
    """A connection that breaks ends the call."""
    async with line(stack, "dead") as socket:
        await socket.recv()
        socket.transport.abort()
    assert await end_reason(stack, "dead") == "connection to the caller was lost"


@pytest.mark.parametrize(
    ("call_sid", "message", "reason"),
    [
        ("garbage", "%&/()=", "protocol error: a message that is not a JSON object"),
        ("array", "[1, 2]", "protocol error: a message that is not a JSON object"),
        ("event", '{"event": "dance"}', "protocol error: a message of an unknown event"),
        ("payload", '{"event": "media", "media": 7}', "protocol error: media without a payload"),
        ("base64", media("%%%"), "protocol error: a media payload that is not base64"),
    ],
)
async def test_garbage(stack: Stack, call_sid: str, message: str, reason: str) -> None:
    """A message that is not of the protocol ends the call."""
    async with line(stack, call_sid) as socket:
        await send_until_closed(socket, [message])
    assert await end_reason(stack, call_sid) == reason


async def test_sixteen_kilohertz_announced(stack: Stack) -> None:
    """A stream that announces 16 kHz is turned away with the reason in the close frame."""
    async with connect(stack.media_url, compression=None) as socket:
        await socket.send(start_message("wide", rate=16000))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert "at 16000 Hz" in closed.value.rcvd.reason


async def test_sixteen_kilohertz_smuggled(stack: Stack) -> None:
    """A stream that sends twice as much audio as there is time is ended."""
    payload = base64.b64encode(b"\xff" * 320).decode()
    async with line(stack, "double") as socket:

        async def stream() -> None:
            while True:
                await socket.send(media(payload))
                await asyncio.sleep(0.02)

        with pytest.raises(ConnectionClosed):
            await asyncio.gather(stream(), send_until_closed(socket, []))
    assert (await end_reason(stack, "double")).startswith("protocol error: audio runs ahead of real time")


async def test_ten_megabytes_in_one_message(stack: Stack) -> None:
    """A message over the size limit ends the call."""
    async with line(stack, "huge") as socket:
        await send_until_closed(socket, [media("A" * 10_000_000)])
    assert await end_reason(stack, "huge") == "protocol error: a message over the size limit"


async def test_ten_megabytes_in_many_messages(stack: Stack) -> None:
    """A flood of small messages ends the call."""
    payload = base64.b64encode(b"\xff" * 8000).decode()
    async with line(stack, "flood") as socket:
        await send_until_closed(socket, [media(payload)] * 1250)
    assert (await end_reason(stack, "flood")).startswith("protocol error: audio runs ahead of real time")


async def test_nothing_but_a_connection(stack: Stack) -> None:
    """A connection that says nothing is closed."""
    async with connect(stack.media_url, compression=None) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert "handshake_seconds" in closed.value.rcvd.reason


async def test_media_that_stops(tmp_path: Path) -> None:
    """A caller whose audio stops is taken to have gone; the call after that is held as if nothing had been."""
    with start_stack(tmp_path, OFFHOOK_GATEWAY__MEDIA_TIMEOUT_SECONDS="2") as stack:
        async with line(stack, "mute") as socket:
            await send_until_closed(socket, [media()])
        assert (await end_reason(stack, "mute")).startswith(
            "no audio from the caller for media_timeout_seconds"
        )
        await ask_capital(stack, "after")


async def ask_capital(stack: Stack, call_sid: str) -> None:
    """Hold a proper call."""
    question = await question_from_text(
        "What is the capital of France?", mouth_url=f"http://127.0.0.1:{stack.port('tts')}", voice="joe"
    )
    await place_call(stack.media_url, [question], call_sid=call_sid, parameters={})
    await end_reason(stack, call_sid)
    record = httpx.get(f"{stack.gateway_url}/api/calls/{call_sid}").json()
    assert "Paris" in record["turns"][0]["answered"], record["turns"]


async def test_other_callers_do_not_notice(stack: Stack) -> None:
    """A call goes on as it should while others misbehave all the time."""
    flood = base64.b64encode(b"\xff" * 8000).decode()

    async def misbehave() -> None:
        for number in range(100):
            messages = [["{"], [media("%%%")], [media(flood)] * 20, []][number % 4]
            async with line(stack, f"rough{number}") as socket:
                if messages:
                    await send_until_closed(socket, messages)
                else:
                    socket.transport.abort()
            await asyncio.sleep(0.1)

    rough = asyncio.create_task(misbehave())
    try:
        await ask_capital(stack, "polite")
    finally:
        rough.cancel()
        await asyncio.gather(rough, return_exceptions=True)


def gauges(stack: Stack, *names: str) -> dict[str, float]:
    """Return gauges of the gateway's process."""
    rows = httpx.get(f"{stack.gateway_url}/metrics").text.splitlines()
    values = {name: [float(row.split()[-1]) for row in rows if row.startswith(name)] for name in names}
    return {name: found[0] for name, found in values.items()}


async def settled(stack: Stack, name: str, limit: float, seconds: float = 15.0) -> float:
    """Return a gauge once it is at most ``limit``, or what it is when the time is up."""
    deadline = time.monotonic() + seconds
    while (value := gauges(stack, name)[name]) > limit and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
    return value


async def test_fifty_calls_leave_nothing_behind(stack: Stack) -> None:
    """Tasks and sockets fall back to what they were, and memory stops growing."""

    async def one(number: int) -> None:
        call_sid = f"leak{number}-{secrets.token_hex(4)}"
        async with line(stack, call_sid) as socket:
            async for text in socket:
                if json.loads(text)["event"] == "media":
                    break
        await end_reason(stack, call_sid)

    watched = ("voice_gateway_tasks", "process_open_fds", "process_resident_memory_bytes")
    for number in range(5):
        await one(number)
    await asyncio.sleep(1.5)
    before = gauges(stack, *watched)
    halfway: dict[str, Any] = {}
    for number in range(CALLS):
        await one(number)
        if number == CALLS // 2:
            halfway = gauges(stack, *watched)
    assert (
        await settled(stack, "voice_gateway_tasks", before["voice_gateway_tasks"])
        <= before["voice_gateway_tasks"]
    )
    assert (
        await settled(stack, "process_open_fds", before["process_open_fds"] + 2)
        <= before["process_open_fds"] + 2
    )
    after = gauges(stack, *watched)
    grown = after["process_resident_memory_bytes"] - halfway["process_resident_memory_bytes"]
    assert grown < 8 << 20, f"{grown / 2**20:.1f} MiB in {CALLS // 2} calls"
