"""Clients that misbehave end alone: others are heard as if they were not there."""

import asyncio
import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
import websockets

from asr.audio import SAMPLE_RATE, Samples
from tests.asr.conftest import Server, linear16, play, silence

SENTENCE = "What time is it?"
#: The server gives a client that does not answer its close frame ten seconds; this is more.
HANG_UP_SECONDS = 60.0
FLUX = "v2/listen?model=flux-general-en&encoding=linear16&sample_rate=16000&eager_eot_threshold=0.5"


async def listen(server: Server, audio: Samples, path: str = FLUX) -> list[dict[str, Any]]:
    """Play audio, close the stream and return all messages."""
    async with websockets.connect(f"{server.ws}/{path}") as connection:
        collecting = asyncio.create_task(collect(connection))
        await play(connection.send, linear16(audio), 32000, speed=4)
        await connection.send(json.dumps({"type": "CloseStream"}))
        return await asyncio.wait_for(collecting, 60)


async def collect(connection: websockets.ClientConnection) -> list[dict[str, Any]]:
    """Return all messages until the server closes."""
    messages: list[dict[str, Any]] = []
    with contextlib.suppress(websockets.ConnectionClosedError):
        async for message in connection:
            messages.append(json.loads(message))  # noqa: PERF401 - what came before a bad close counts
    return messages


def ends(messages: list[dict[str, Any]]) -> list[str]:
    """Return the texts of the turns that ended."""
    return [item["transcript"].lower() for item in messages if item.get("event") == "EndOfTurn"]


async def test_a_client_that_stops_reading_is_closed_and_delays_nobody(
    server: Server, speech: Callable[[str], Samples]
) -> None:
    """One that floods Configure messages and never reads is cut off; its neighbour hears its turn."""
    audio = np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0)])
    deaf = await deaf_client(server)
    try:
        flood = asyncio.create_task(asyncio.to_thread(flood_configure, deaf))
        messages = await listen(server, audio)
        assert "time is it" in ends(messages)[0]
        cut_off = await asyncio.wait_for(flood, 2 * HANG_UP_SECONDS)
    finally:
        deaf.close()
    assert cut_off


async def deaf_client(server: Server) -> socket.socket:
    """Return a socket that has shaken hands and will not read again."""
    host, port = server.ws.removeprefix("ws://").split(":")
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect((host, int(port)))
    head = [f"GET /{FLUX} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade"]
    head += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    peer.sendall("\r\n".join([*head, "", ""]).encode())
    await asyncio.to_thread(peer.recv, 64)
    return peer


def flood_configure(peer: socket.socket) -> bool:
    """Send Configure messages until the server hangs up; return whether it did."""
    text = json.dumps({"type": "Configure", "keyterms": ["x" * 90]}).encode()
    frame = bytes([0x81, 0x80 | 126]) + len(text).to_bytes(2) + b"\0\0\0\0" + text
    peer.settimeout(HANG_UP_SECONDS)
    deadline = time.monotonic() + HANG_UP_SECONDS
    try:
        while time.monotonic() < deadline:
            peer.sendall(frame * 100)
    except (ConnectionError, BrokenPipeError):
        return True
    except TimeoutError:
        return False
    return False


async def test_a_flood_of_audio_delays_nobody(server: Server, speech: Callable[[str], Samples]) -> None:
    """Minutes of audio at once is taken in slices; a neighbour's turn comes in time."""
    audio = np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0)])
    async with websockets.connect(f"{server.ws}/{FLUX}") as flooder:
        flooding = asyncio.create_task(flood(flooder, linear16(np.tile(audio, 40))))
        reading = asyncio.create_task(collect(flooder))
        messages = await listen(server, audio)
        assert "time is it" in ends(messages)[0]
        for task in (flooding, reading):
            task.cancel()
        await asyncio.gather(flooding, reading, return_exceptions=True)


async def flood(connection: websockets.ClientConnection, data: bytes) -> None:
    """Send everything as fast as it goes."""
    for offset in range(0, len(data), 1 << 19):
        await connection.send(data[offset : offset + (1 << 19)])


async def test_a_client_that_dies_mid_word_leaves_nothing(
    server: Server, speech: Callable[[str], Samples]
) -> None:
    """Twenty clients that drop their sockets leave no stream open, and the next one is heard."""
    audio = linear16(speech(SENTENCE))
    for _ in range(20):
        connection = await websockets.connect(f"{server.ws}/{FLUX}")
        await connection.send(audio)
        connection.transport.abort()
    messages = await listen(server, np.concatenate([speech(SENTENCE), silence(1.0)]))
    assert "time is it" in ends(messages)[0]
    assert await gauge(server, "asr_streams") == 0


async def gauge(server: Server, name: str) -> float:
    """Return a metric of the server, once its streams have had a moment to end."""
    async with httpx.AsyncClient(base_url=server.http) as client:
        for _ in range(50):
            text = (await client.get("/metrics")).text
            value = float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))
            if value == 0:
                break
            await asyncio.sleep(0.1)
    return value


@pytest.mark.parametrize("message", ["{", "[]", '{"type": "Nonsense"}', '{"type": 7}', "null", "[" * 5000])
@pytest.mark.parametrize("path", [FLUX, "v1/listen?encoding=linear16&sample_rate=16000"])
async def test_a_message_outside_the_protocol_is_answered_and_closed(
    server: Server, path: str, message: str
) -> None:
    """Nonsense gets an Error message that says what is taken, and a policy close."""
    async with websockets.connect(f"{server.ws}/{path}") as connection:
        await connection.send(message)
        messages = await asyncio.wait_for(collect(connection), 20)
        assert messages[-1]["type"] == "Error"
        assert "type must be one of" in messages[-1]["description"] or "JSON" in messages[-1]["description"]
        assert connection.close_code == 1008


@pytest.mark.parametrize(("path", "code"), [(FLUX, "NET_TIMEOUT"), ("v1/listen", "NET-0001")])
async def test_a_client_that_sends_nothing_is_told_and_closed(server: Server, path: str, code: str) -> None:
    """A stream that is silent on the wire ends with an Error that says so."""
    async with websockets.connect(f"{server.ws}/{path}") as connection:
        messages = await asyncio.wait_for(collect(connection), 30)
        assert messages[-1]["type"] == "Error"
        assert code in messages[-1].values()
        assert connection.close_code == 1011


async def test_configure_mid_stream(server: Server) -> None:
    """Configure changes what it names, refuses what is out of range, and keeps the rest."""
    async with websockets.connect(f"{server.ws}/{FLUX}") as connection:
        assert json.loads(await connection.recv())["type"] == "Connected"
        await connection.send(
            json.dumps({"type": "Configure", "thresholds": {"eot_threshold": 0.8}, "keyterms": ["Offhook"]})
        )
        success = json.loads(await connection.recv())
        assert success["type"] == "ConfigureSuccess"
        assert success["thresholds"]["eot_threshold"] == 0.8
        assert success["thresholds"]["eager_eot_threshold"] == 0.5
        assert success["keyterms"] == ["Offhook"]
        await connection.send(json.dumps({"type": "Configure", "thresholds": {"eot_timeout_ms": 1}}))
        failure = json.loads(await connection.recv())
        assert failure["type"] == "ConfigureFailure"
        assert "500 to 10000" in failure["description"]


async def test_word_times_are_left_out_where_nobody_wants_them(
    server: Server, speech: Callable[[str], Samples]
) -> None:
    """With ``word_times=false`` words have no times, and the end of the turn says when speech was last heard."""
    audio = np.concatenate([silence(0.3), speech(SENTENCE), silence(2.0)])
    messages = await listen(server, audio, f"{FLUX}&word_times=false")
    (end,) = [item for item in messages if item.get("event") == "EndOfTurn"]
    assert [word["word"] for word in end["words"]] == end["transcript"].split()
    assert not any("end" in word for word in end["words"])
    assert 1.0 < end["last_speech"] < 0.3 + len(speech(SENTENCE)) / SAMPLE_RATE
    assert end["last_speech"] < end["audio_window_end"] - 0.15


async def test_force_end_turn(server: Server, speech: Callable[[str], Samples]) -> None:
    """ForceEndTurn ends the turn by hand, without waiting for quiet."""
    async with websockets.connect(f"{server.ws}/{FLUX}") as connection:
        await play(connection.send, linear16(speech(SENTENCE)[:-1600]), 32000, speed=4)
        await connection.send(json.dumps({"type": "ForceEndTurn"}))
        async for message in connection:
            event = json.loads(message)
            if event.get("event") == "EndOfTurn":
                break
        assert event["trigger"] in ("manual", "model")
        assert event["transcript"]


async def test_a_span_of_each_turn_joins_the_callers_trace(
    server: Server, speech: Callable[[str], Samples]
) -> None:
    """The traceparent of the header, or of the query, is the parent of the server's span."""
    audio = np.concatenate([speech(SENTENCE), silence(1.0)])
    trace = "0af7651916cd43dd8448eb211c80319c"
    await listen(server, audio, f"{FLUX}&traceparent=00-{trace}-b7ad6b7169203331-01")
    store = server.trace_store
    for _ in range(50):
        await asyncio.sleep(0.1)
        with sqlite3.connect(store) as database:
            dump = "\n".join(database.iterdump())
        if trace in dump:
            break
    assert trace in dump
    assert "asr.server" in dump
    assert "time is it" not in dump.lower()
