"""A server process: how it starts, and how it ends. Real processes, real signals."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from serving.ports import free_port

REPOSITORY = Path(__file__).parents[2]
#: Long enough for a loaded machine; nothing here waits that long where all is well.
PATIENCE_SECONDS = 30.0


@contextlib.contextmanager
def server(port: int, *, drain_seconds: float = 60.0, fault: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run the small server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.serving.small_server", str(port), str(drain_seconds)],
        cwd=REPOSITORY, env={**os.environ, "FAULT": fault}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def readiness(port: int) -> tuple[int, str]:
    """Return status and state of /readyz; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return response.status, json.load(response)["status"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["status"]
    except OSError:
        return 0, ""


def wait_for(port: int, status: int, state: str) -> None:
    """Return once /readyz says so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while readiness(port) != (status, state):
        assert time.monotonic() < deadline, f"never {state}: {readiness(port)}"
        time.sleep(0.02)


def test_a_port_in_use_is_one_line_and_status_1() -> None:
    """Who finds its port taken says so and ends."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with server(port) as process:
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert errors == (
        f"offhook small: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "stop what holds it or choose another port\n"
    )


def test_what_loading_left_is_out_of_garbage_collection() -> None:
    """A full collection in the middle of a call does not walk every object of every library."""
    port = free_port()
    with server(port):
        wait_for(port, 200, "ready")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/frozen", timeout=5) as response:
            assert int(response.read()) > 10_000


def test_a_service_that_fails_ends_the_process_with_its_reason() -> None:
    """The last line says why, and the status is 1."""
    with server(free_port(), fault="the model is broken") as process:
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert errors.splitlines()[-1] == "offhook small: RuntimeError: the model is broken"


def test_sigterm_without_connections_ends_at_once() -> None:
    """Nothing to drain: status 0, long before the drain's limit."""
    port = free_port()
    with server(port, drain_seconds=3600.0) as process:
        wait_for(port, 200, "ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


async def test_sigterm_drains_an_open_websocket() -> None:
    """A call in progress goes on while /readyz says draining; when it hangs up, the process ends."""
    port = free_port()
    with server(port, drain_seconds=3600.0) as process:
        await asyncio.to_thread(wait_for, port, 200, "ready")
        async with connect(f"ws://127.0.0.1:{port}/echo") as call:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(wait_for, port, 503, "draining")
            for word in ("still", "here"):
                await call.send(word)
                assert await call.recv() == word
            assert process.poll() is None
        assert await asyncio.to_thread(process.wait, PATIENCE_SECONDS) == 0


async def test_the_drain_has_an_end() -> None:
    """A call that never hangs up is cut off after drain_seconds."""
    port = free_port()
    with server(port, drain_seconds=0.2) as process:
        await asyncio.to_thread(wait_for, port, 200, "ready")
        async with connect(f"ws://127.0.0.1:{port}/echo") as call:
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(call.recv(), PATIENCE_SECONDS)
        assert await asyncio.to_thread(process.wait, PATIENCE_SECONDS) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(second: signal.Signals) -> None:
    """Whoever asks twice does not wait for the calls."""
    port = free_port()
    with server(port, drain_seconds=3600.0) as process:
        await asyncio.to_thread(wait_for, port, 200, "ready")
        async with connect(f"ws://127.0.0.1:{port}/echo") as call:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(wait_for, port, 503, "draining")
            process.send_signal(second)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(call.recv(), PATIENCE_SECONDS)
        assert await asyncio.to_thread(process.wait, PATIENCE_SECONDS) in (0, -second)


async def test_sigint_does_not_wait_for_calls() -> None:
    """Ctrl-C ends the process although a call is open."""
    port = free_port()
    with server(port, drain_seconds=3600.0) as process:
        await asyncio.to_thread(wait_for, port, 200, "ready")
        async with connect(f"ws://127.0.0.1:{port}/echo"):
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, PATIENCE_SECONDS) in (0, -signal.SIGINT)


async def test_a_message_over_the_limit_ends_that_connection_alone() -> None:
    """10 MB at once closes its own socket with 1009; the next caller is served."""
    port = free_port()
    with server(port):
        await asyncio.to_thread(wait_for, port, 200, "ready")
        async with connect(f"ws://127.0.0.1:{port}/echo") as call:
            with contextlib.suppress(ConnectionClosed):
                await call.send("x" * 10_000_000)
            await call.wait_closed()
            assert call.close_code == 1009
        async with connect(f"ws://127.0.0.1:{port}/echo") as call:
            await call.send("hello")
            assert await call.recv() == "hello"


async def test_a_refused_websocket_is_no_error() -> None:
    """Who is refused gets the response; the log stays empty."""
    port = free_port()
    with server(port) as process:
        await asyncio.to_thread(wait_for, port, 200, "ready")
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"ws://127.0.0.1:{port}/closed")
        assert (refusal.value.response.status_code, refusal.value.response.body) == (503, b"not now")
        process.send_signal(signal.SIGINT)
        _, log = await asyncio.to_thread(process.communicate, timeout=PATIENCE_SECONDS)
    assert log == ""
