"""One real mouth for all tests of this package, as its own process on a free port."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from serving.ports import free_port

START_SECONDS = 90.0


@dataclass(frozen=True)
class Mouth:
    """A running server."""

    port: int
    pid: int
    trace_store: str

    @property
    def url(self) -> str:
        """Base of its HTTP endpoints."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        """Base of its websocket endpoint."""
        return f"ws://127.0.0.1:{self.port}"


def wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server at ``url`` has warmed up."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the mouth did not become ready (exit status {process.poll()})")


@pytest.fixture(scope="session")
def mouth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mouth]:
    """Run the mouth for the whole test session."""
    folder: Path = tmp_path_factory.mktemp("mouth")
    port = free_port()
    environment = os.environ | {
        "OFFHOOK_TTS__PORT": str(port),
        "OFFHOOK_TRACE_STORE": str(folder / "calls.sqlite"),
    }
    process = subprocess.Popen([sys.executable, "-m", "tts"], env=environment)
    try:
        server = Mouth(port, process.pid, environment["OFFHOOK_TRACE_STORE"])
        wait_ready(server.url, process)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
