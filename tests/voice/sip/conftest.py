"""A gateway and a SIP process beside the session's ear, mind and mouth."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from serving.ports import free_port, free_ports
from tests.conftest import REPOSITORY, Stack
from tests.voice.conftest import Gateway, StartGateway
from tests.voice.sip.clients import HTTP, wait_for

SECRET = "a secret of gateway and SIP process alone"


@dataclass
class Sip:
    """A SIP process, and the gateway it brings its calls to."""

    gateway: Any
    process: subprocess.Popen[bytes]
    port: int
    http_port: int
    log_file: Path
    environment: Mapping[str, str]

    @property
    def target(self) -> str:
        """Where sipp calls."""
        return f"127.0.0.1:{self.port}"

    @property
    def uri(self) -> str:
        """Where baresip calls."""
        return f"sip:offhook@127.0.0.1:{self.port}"

    def log(self) -> str:
        """Return what the SIP process has logged."""
        return self.log_file.read_text(errors="replace")

    def refused(self, cause: str) -> float:
        """Return how many requests the SIP process has turned away for a cause."""
        for row in HTTP.get(f"http://127.0.0.1:{self.http_port}/metrics").text.splitlines():
            if row.startswith("voice_refusals_total{") and f'cause="{cause}"' in row:
                return float(row.split()[-1])
        return 0.0

    @property
    def media_timeout_seconds(self) -> float:
        """After which a call without sound has died."""
        return float(self.environment["OFFHOOK_GATEWAY__MEDIA_TIMEOUT_SECONDS"])

    def call(self, name: str) -> dict[str, Any]:
        """Return what the gateway knows of a call; empty where it knows none."""
        response = HTTP.get(f"{self.gateway.url}/api/calls/{name}")
        return dict(response.json()) if response.status_code == 200 else {}

    def wait_ended(self, name: str) -> dict[str, Any]:
        """Return what the gateway knows of a call once it has ended."""
        wait_for(lambda: self.call(name).get("end_reason"), what=f"the end of a call: {self.call(name)}")
        return self.call(name)


StartSip = Callable[..., contextlib.AbstractContextManager[Sip]]


def sip_environment(gateway: Gateway, environment: Mapping[str, str], **settings: str) -> dict[str, str]:
    """Return the environment of a SIP process that brings its calls to ``gateway``."""
    return {
        **environment,
        "OFFHOOK_GATEWAY__PORT": str(gateway.port),
        "PYTHONPATH": str(REPOSITORY),
        **settings,
    }


@contextlib.contextmanager
def run_sip(gateway: Gateway | None, folder: Path, environment: Mapping[str, str]) -> Iterator[Sip]:
    """Run a SIP process until the block ends."""
    log_file = folder / "sip.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "voice.sip"], env=environment, cwd=folder, stdout=log, stderr=log
        )
    port, http_port = int(environment["OFFHOOK_SIP__PORT"]), int(environment["OFFHOOK_SIP__HTTP_PORT"])
    sip = Sip(gateway, process, port, http_port, log_file, environment)
    try:
        wait_for(lambda: _listens(sip), what="a SIP process that listens")
        yield sip
    finally:
        process.kill()
        process.wait()


def _listens(sip: Sip) -> bool:
    """Return whether it does: as it says itself, for on a busy machine somebody else may have had its port."""
    assert sip.process.poll() is None, sip.log()
    return "SIP calls are taken" in sip.log()


@pytest.fixture(scope="session")
def start_sip(
    stack: Stack, start_gateway: StartGateway, tmp_path_factory: pytest.TempPathFactory
) -> StartSip:
    """Return what starts a gateway and its SIP process, with settings of their own."""

    @contextlib.contextmanager
    def start(**settings: str) -> Iterator[Sip]:
        folder = tmp_path_factory.mktemp("sip")
        (http_port,) = free_ports(1)
        settings = {
            "OFFHOOK_SIP__ENABLED": "true",
            "OFFHOOK_SIP__BRIDGE_SECRET": SECRET,
            "OFFHOOK_SIP__PORT": str(free_port()),
            "OFFHOOK_SIP__HTTP_PORT": str(http_port),
            "OFFHOOK_SIP__PEERS": '["127.0.0.1"]',
            "OFFHOOK_GATEWAY__MEDIA_TIMEOUT_SECONDS": "3",
            "OFFHOOK_PHONE__HOURS": json.dumps({"first_hour": 0, "last_hour": 24}),
            **settings,
        }
        with start_gateway(**settings) as gateway:
            environment = sip_environment(gateway, stack.environment, **settings)
            with run_sip(gateway, folder, environment) as sip:
                yield sip

    return start


@pytest.fixture(scope="session")
def sip(start_sip: StartSip, long_winded: Path) -> Iterator[Sip]:
    """A SIP process whose agent greets at length, with one user and two lines."""
    with start_sip(
        OFFHOOK_GATEWAY__MAX_CALLS="2",
        OFFHOOK_GATEWAY__AGENT=str(long_winded),
        OFFHOOK_GATEWAY__AGENTS='["concierge"]',
        OFFHOOK_SIP__USERS='{"alice": "wonderland"}',
    ) as running:
        yield running


async def hold_open(connection: ServerConnection) -> None:
    """A gateway that takes every call and says nothing, where only the SIP process is tried."""
    with contextlib.suppress(ConnectionClosed):
        async for _ in connection:
            pass
