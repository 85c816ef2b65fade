"""What every package's tests share: the repository's models and audio, and one real stack for a whole session."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import hypothesis
import pytest

from serving.ports import free_ports

# A slow machine is no failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

REPOSITORY = Path(__file__).parent.parent
START_SECONDS = 120.0


def stack_environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment in which `offhook` uses free ports, the repository's models and files of its own."""
    ports = dict(zip(("GATEWAY", "ASR", "TTS", "LLM"), free_ports(4), strict=True))
    return {
        **os.environ,
        **{f"OFFHOOK_{name}__PORT": str(port) for name, port in ports.items()},
        "OFFHOOK_MODELS_DIR": os.environ.get("OFFHOOK_MODELS_DIR", str(REPOSITORY / ".models")),
        "OFFHOOK_TRACE_STORE": str(folder / "calls.sqlite"),
        **settings,
    }


@dataclass
class Stack:
    """A running `offhook up`."""

    process: subprocess.Popen[str]
    environment: Mapping[str, str]
    folder: Path

    def port(self, server: str) -> int:
        """Return the port of ``gateway``, ``asr``, ``tts``, ``llm`` or ``sip``."""
        return int(self.environment[f"OFFHOOK_{server.upper()}__PORT"])

    @property
    def gateway_url(self) -> str:
        """HTTP base URL of the gateway."""
        return f"http://127.0.0.1:{self.port('gateway')}"

    @property
    def media_url(self) -> str:
        """Twilio's media socket."""
        return f"ws://127.0.0.1:{self.port('gateway')}/phone/twilio/media"

    def log(self, server: str) -> str:
        """Return what a server has logged so far."""
        return (self.folder / ".offhook" / "logs" / f"{server}.log").read_text(errors="replace")

    def offhook(self, *arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run an `offhook` command against this stack."""
        return run_offhook(*arguments, environment=self.environment, folder=self.folder, timeout=timeout)

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return once the gateway takes calls; fail where it does not within ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.gateway_url}/readyz", timeout=5).status_code == 200:
                    return
            assert self.process.poll() is None, f"offhook up ended: {self.output()}"
            time.sleep(0.1)
        pytest.fail(f"the stack was not ready within {seconds:g} s: {self.output()}")

    def output(self) -> str:
        """Return what `offhook up` has printed so far."""
        return (self.folder / "up.log").read_text()

    def stop(self, sig: int = signal.SIGINT, seconds: float = 10.0) -> int:
        """Send ``sig`` and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        return self.process.wait(seconds)


def run_offhook(
    *arguments: str, environment: Mapping[str, str], folder: Path, timeout: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run `offhook` to its end."""
    command = [sys.executable, "-m", "voice.cli", *arguments]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
    )


@contextlib.contextmanager
def start_stack(folder: Path, **settings: str) -> Iterator[Stack]:
    """Run `offhook up` in ``folder`` and end it afterwards."""
    environment = stack_environment(folder, **settings)
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "voice.cli", "up"],
            env=environment, cwd=folder, stdout=log, stderr=log, text=True,
        )  # fmt: skip
    stack = Stack(process, environment, folder)
    try:
        stack.wait_ready()
        yield stack
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            stack.stop()
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One real stack for all tests that only place calls; nobody may stop or kill it."""
    sip, http = free_ports(2)
    doors = {
        "OFFHOOK_SIP__ENABLED": "true",
        "OFFHOOK_SIP__PORT": str(sip),
        "OFFHOOK_SIP__HTTP_PORT": str(http),
    }
    with start_stack(tmp_path_factory.mktemp("stack"), **doors) as running:
        yield running
