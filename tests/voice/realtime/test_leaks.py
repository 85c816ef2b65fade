"""Sessions that end in every way leave no task and no socket behind, and a client that does not read is let go."""

import asyncio
import json

import httpx
from websockets.asyncio.client import connect

from tests.voice.conftest import Gateway
from tests.voice.realtime.clients import PATIENCE_SECONDS
from tests.voice.realtime.conftest import idle, next_end

SESSIONS = 12
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "A story, please."}]}


def gauge(gateway: Gateway, name: str) -> float:
    """Return a gauge without labels."""
    rows = httpx.get(f"{gateway.url}/metrics").text.splitlines()
    return next(float(row.split()[-1]) for row in rows if row.startswith(f"{name} "))


async def one(gateway: Gateway, number: int) -> None:
    """Hold a session that ends at once, in garbage, in order or abruptly, with or without a call behind it."""
    async with connect(f"{gateway.ws_url}/v1/realtime") as socket:
        if number % 2:
            await socket.send(json.dumps({"type": "conversation.item.create", "item": HELLO}))
            await socket.send(json.dumps({"type": "response.create"}))
        await socket.send(b"\xff\x00 no JSON")
        while json.loads(await socket.recv())["type"] != "error":
            pass
        if number % 3 == 0:
            socket.transport.abort()


async def settled(gateway: Gateway, name: str, limit: float) -> float:
    """Return a gauge once it is at most ``limit``, or what it is when patience ends."""
    for _ in range(int(PATIENCE_SECONDS * 5)):
        if (value := gauge(gateway, name)) <= limit:
            return value
        await asyncio.sleep(0.2)
    return value


async def test_nothing_is_left_behind(storyteller: Gateway) -> None:
    """Tasks and sockets fall back to what they were."""
    for number in range(4):
        await one(storyteller, number)
    await idle(storyteller)
    await asyncio.sleep(1.5)
    before = {name: gauge(storyteller, name) for name in ("voice_gateway_tasks", "process_open_fds")}
    for number in range(SESSIONS):
        await one(storyteller, number)
    await idle(storyteller)
    assert (
        await settled(storyteller, "voice_gateway_tasks", before["voice_gateway_tasks"])
        <= before["voice_gateway_tasks"]
    )
    limit = before["process_open_fds"] + 2
    assert await settled(storyteller, "process_open_fds", limit) <= limit


async def test_a_client_that_does_not_read(storyteller: Gateway) -> None:
    """What it is sent does not pile up: its session ends, with that reason."""
    before = await idle(storyteller)
    async with connect(f"{storyteller.ws_url}/v1/realtime", max_queue=1) as socket:
        text = json.dumps({"type": "session.update", "session": {"instructions": "x" * 50_000}})
        socket.transport.pause_reading()

        async def flood() -> None:
            while True:
                await socket.send(text)

        flooding = asyncio.create_task(flood())
        assert await next_end(storyteller, before) == (
            "protocol error: the client does not read what it is sent"
        )
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        socket.transport.abort()
