"""Clients that flood, sleep or die trouble nobody else; an engine that fails fails its stream only."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.tts.conftest import Mouth
from tests.tts.test_cartesia import generation, speak

LONG = "This is a rather long sentence about nothing at all, is it not? " * 60


async def connections(count: int, mouth: Mouth) -> list[ClientConnection]:
    """Open ``count`` connections."""
    return [await connect(f"{mouth.websocket_url}/tts/websocket") for _ in range(count)]


async def test_a_client_that_never_reads_delays_nobody(mouth: Mouth) -> None:
    """Its own speech stops when its socket is full; others are spoken to the end meanwhile."""
    sleepers = []
    for _ in range(3):
        sleeper = socket.create_connection(("127.0.0.1", mouth.port))
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sleepers.append(sleeper)
        websocket = await connect(f"{mouth.websocket_url}/tts/websocket", sock=sleeper, max_queue=1)
        for index in range(8):
            await websocket.send(generation(f"sleep-{index}", LONG))
    assert len(await speak(mouth, "And yet I am heard.")) > 8000
    for sleeper in sleepers:
        sleeper.close()


async def test_a_flood_is_refused_and_others_go_on(mouth: Mouth) -> None:
    """Too many contexts are errors on the flooding connection; another is served."""
    (flooder,) = await connections(1, mouth)
    for index in range(60):
        await flooder.send(generation(f"flood-{index}", "Hello."))
    assert len(await speak(mouth, "Still here.")) > 4000
    refused = 0
    while not refused:
        refused += json.loads(await flooder.recv()).get("status_code") == 429
    flooder.transport.abort()


async def test_clients_that_vanish_leave_nothing(mouth: Mouth) -> None:
    """Connections torn down in mid-sentence leave no thread, file or stream behind."""
    process = psutil.Process(mouth.pid)
    await speak(mouth, "Warm.")
    before = (process.num_threads(), process.num_fds())
    for _ in range(8):
        for websocket in await connections(2, mouth):
            await websocket.send(generation("gone", LONG))
            await websocket.recv()
            websocket.transport.abort()
    await speak(mouth, "After all of them.")
    async with asyncio.timeout(10):
        while process.num_threads() > before[0] or process.num_fds() > before[1] + 2:
            await speak(mouth, "Wait a little.")


async def test_the_phonemiser_may_die(mouth: Mouth) -> None:
    """Killed between two streams, it is replaced and the second is spoken."""
    await speak(mouth, "Before.")
    (child,) = [p for p in psutil.Process(mouth.pid).children() if "tts.phonemizer" in p.cmdline()]
    os.kill(child.pid, signal.SIGKILL)
    assert len(await speak(mouth, "Something never said before.")) > 8000


async def test_a_huge_message_ends_its_connection_only(mouth: Mouth) -> None:
    """10 MB at once close that connection; the server goes on."""
    (websocket,) = await connections(1, mouth)
    with contextlib.suppress(ConnectionClosed):
        await websocket.send("x" * 10_000_000)
    with pytest.raises(ConnectionClosed):
        await websocket.recv()
    assert len(await speak(mouth, "Fine.")) > 2000


def test_the_process_takes_no_model_for_granted(tmp_path: str) -> None:
    """Without the model it says in one line what to do and ends."""
    environment = os.environ | {"OFFHOOK_MODELS_DIR": str(tmp_path), "OFFHOOK_TTS__PORT": "0"}
    environment["OFFHOOK_TRACE_STORE"] = f"{tmp_path}/calls.sqlite"
    ended = subprocess.run(
        [sys.executable, "-m", "tts"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "offhook models pull" in ended.stderr.splitlines()[-1]
