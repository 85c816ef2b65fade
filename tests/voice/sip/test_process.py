"""The SIP process: started by `offhook up`, registered, restarted, and never the others' trouble."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from orchestration.settings import load_configuration
from orchestration.stack import stack_specs
from orchestration.supervisor import Supervisor
from serving.ports import free_port, free_ports
from tests.conftest import REPOSITORY, Stack, stack_environment
from tests.voice.conftest import silence, transcribe
from tests.voice.sip import scenarios
from tests.voice.sip.clients import HIGH_RATE, run_baresip, sipp, speech, wait_for, wait_paris
from tests.voice.sip.conftest import SECRET, Sip, StartSip, hold_open, run_sip

Speak = Callable[[str], np.ndarray]
QUESTION = "What is the capital of France?"


def alone(**settings: str) -> dict[str, str]:
    """Return the environment of a SIP process whose gateway does not run."""
    (http_port, gateway_port) = free_ports(2)
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OFFHOOK_GATEWAY__PORT": str(gateway_port),
        "OFFHOOK_SIP__ENABLED": "true",
        "OFFHOOK_SIP__BRIDGE_SECRET": SECRET,
        "OFFHOOK_SIP__PORT": str(free_port()),
        "OFFHOOK_SIP__HTTP_PORT": str(http_port),
        **settings,
    }


def readiness(environment: dict[str, str]) -> Any:
    """Return what the SIP process says of itself."""
    return httpx.get(f"http://127.0.0.1:{environment['OFFHOOK_SIP__HTTP_PORT']}/readyz").json()


def test_unavailable_without_a_gateway(tmp_path: Path) -> None:
    """A caller is told at once to try again later: 503 with Retry-After."""
    environment = alone()
    with run_sip(None, tmp_path, environment) as sip:
        run = sipp(scenarios.UNAVAILABLE, sip.target, tmp_path)
        assert run.returncode == 0, run.stderr[-1500:]
        assert sip.refused("no_gateway") == 1


def test_a_peer_that_is_not_allowed_is_forbidden(tmp_path: Path) -> None:
    """Where nobody may come in with credentials, a stranger is not even asked for them."""
    with run_sip(None, tmp_path, alone(OFFHOOK_SIP__PEERS='["203.0.113.0/24"]')) as sip:
        for _ in range(2):
            run = sipp(scenarios.FORBIDDEN, sip.target, tmp_path)
            assert run.returncode == 0, run.stderr[-1500:]
        assert sip.refused("peer_not_allowed") == 2
        assert sip.log().count("refused: peer_not_allowed") == 1


def last_words(environment: dict[str, str], folder: Path) -> list[str]:
    """Run a SIP process that cannot run, and return what it printed."""
    run = subprocess.run(
        [sys.executable, "-m", "voice.sip"],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    return run.stderr.strip().splitlines()


@contextlib.contextmanager
def registrar(folder: Path, password: str) -> Iterator[dict[str, str]]:
    """A registrar that one process registers at; what is needed to try it."""
    port = free_port()
    folder.mkdir()
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(sipp, scenarios.REGISTRAR, "127.0.0.1", folder, "-p", str(port))
        yield {
            "OFFHOOK_SIP__DOMAIN": f"127.0.0.1:{port}",
            "OFFHOOK_SIP__USER": "line7",
            "OFFHOOK_SIP__PASSWORD": password,
        }
        assert run.result().returncode == 0, run.result().stderr[-1500:]


def test_registration(tmp_path: Path) -> None:
    """The registrar checks our digest, and calls come in from then on."""
    with registrar(tmp_path / "registrar", "s3cret") as settings:
        environment = alone(**settings)
        with run_sip(None, tmp_path, environment):
            wait_for(lambda: readiness(environment)["status"] == "ready", what="registration")


def test_a_wrong_password_at_the_registrar(tmp_path: Path) -> None:
    """The process ends with one line that says where to look."""
    with registrar(tmp_path / "registrar", "wrong") as settings:
        said = last_words(alone(**settings), tmp_path)
    reason = "registration failed: 403 Forbidden; see [sip] domain, user, auth_user and password"
    assert said[-1] == f"offhook sip: {reason}"


def test_a_registrar_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    """The process lives, and says why no call comes in."""
    environment = alone(OFFHOOK_SIP__DOMAIN=f"127.0.0.1:{free_port()}")
    with run_sip(None, tmp_path, environment):
        assert readiness(environment) == {"status": "impeded", "service": "sip", "reason": "registering"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"OFFHOOK_SIP__ENABLED": "false"}, "[sip] enabled is false"),
        ({"OFFHOOK_SIP__BRIDGE_SECRET": ""}, "[sip] bridge_secret is not set"),
        ({"OFFHOOK_SIP__HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1:"),
    ],
)
def test_what_cannot_work_ends_in_one_line(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    """No traceback, status 1, and the setting's name."""
    said = last_words(alone(**settings), tmp_path)
    assert said[-1].startswith("offhook sip: ")
    assert says in said[-1]


async def test_a_stop_says_goodbye(tmp_path: Path) -> None:
    """Where nobody waits for calls to finish, SIGTERM ends them with a BYE, and the process with status 0."""
    began = asyncio.Event()

    async def take(connection: ServerConnection) -> None:
        await connection.recv()
        began.set()
        await hold_open(connection)

    async with serve(take, "127.0.0.1", 0, compression=None) as gateway:
        environment = alone(
            OFFHOOK_GATEWAY__PORT=str(gateway.sockets[0].getsockname()[1]),
            OFFHOOK_GATEWAY__DRAIN_SECONDS="0",
        )
        with run_sip(None, tmp_path, environment) as sip:
            call = asyncio.ensure_future(asyncio.to_thread(sipp, scenarios.WAITS, sip.target, tmp_path))
            await began.wait()
            sip.process.terminate()
            assert (run := await call).returncode == 0, run.stderr[-1500:]
            assert await asyncio.to_thread(sip.process.wait, 10) == 0
    assert "Traceback" not in sip.log()


@pytest.fixture(scope="module")
def supervised(start_sip: StartSip) -> Iterator[Sip]:
    """A gateway, and what a SIP process needs to bring it calls; none runs yet."""
    with start_sip() as sip:
        sip.process.terminate()
        sip.process.wait(20)
        yield sip


async def test_a_crash_of_the_stack_touches_nobody_else(
    supervised: Sip, stack: Stack, speak: Speak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segmentation fault ends the SIP calls that went on; the supervisor starts the process again, and the next
    caller, who speaks Opus, is answered. The gateway is the same process as before."""
    for key, value in supervised.environment.items():
        if key.startswith("OFFHOOK_"):
            monkeypatch.setenv(key, value)
    # The gateway's own ports are taken: by itself.
    monkeypatch.setattr("orchestration.stack._require_free_ports", lambda _: None)
    (spec,) = [spec for spec in stack_specs(load_configuration()) if spec.name == "sip"]
    reports: list[str] = []
    supervisor = Supervisor([spec], log_dir=tmp_path / "logs", report=reports.append)
    running = asyncio.ensure_future(supervisor.run())
    try:
        await supervisor.wait_ready()
        words = speech(tmp_path / "words.wav", silence(4), speak(QUESTION), silence(60), rate=HIGH_RATE)
        await asyncio.to_thread(_crash_during_a_call, supervised, words, tmp_path)
        await _until(lambda: sum(" ready in " in report for report in reports) == 2)
        assert any("killed by SIGSEGV" in report for report in reports)
        heard = await asyncio.to_thread(_ask, supervised, stack, words, tmp_path)
        assert "paris" in heard.lower()
        assert supervised.gateway.process.poll() is None
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _crash_during_a_call(sip: Sip, words: Path, folder: Path) -> None:
    with run_baresip(folder / "first", speech=words, codecs="opus/48000/2") as phone:
        phone.command("dial", sip.uri)
        phone.wait_printed("Call established")
        wait_for(lambda: sip.call(phone.call_id), what="the call")
        os.kill(_sip_process(sip), signal.SIGSEGV)
        assert sip.wait_ended(phone.call_id)["end_reason"] == "connection to the caller was lost"


def _ask(sip: Sip, stack: Stack, words: Path, folder: Path) -> str:
    with run_baresip(folder / "second", speech=words, codecs="opus/48000/2") as phone:
        phone.command("dial", sip.uri)
        phone.wait_printed("Call established")
        wait_paris(sip.gateway.url, phone.call_id)
        phone.command("hangup")
        phone.wait_printed("audio: destroyed")
        return transcribe(stack, phone.heard())


def _sip_process(sip: Sip) -> int:
    """Return the process that listens on the SIP process' own HTTP port."""
    import psutil

    (found,) = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == sip.http_port
    }
    assert found
    return int(found)


async def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def test_the_secret_is_new_at_each_start_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Gateway and SIP process of one `offhook up` share it, by their environment alone."""
    for key, value in stack_environment(tmp_path, **alone(OFFHOOK_SIP__BRIDGE_SECRET="")).items():
        monkeypatch.setenv(key, value)

    def secrets() -> list[str]:
        specs = {spec.name: spec for spec in stack_specs(load_configuration())}
        return [specs[name].env.get("OFFHOOK_SIP__BRIDGE_SECRET", "") for name in ("gateway", "sip")]

    first, second = secrets(), secrets()
    assert first[0] == first[1] != second[0] == second[1]
    assert len(first[0]) == 64
    monkeypatch.setenv("OFFHOOK_SIP__BRIDGE_SECRET", SECRET)
    assert secrets() == ["", ""]
