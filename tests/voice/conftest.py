"""What the doors' tests share: gateways of their own beside the one real stack, and recordings to speak."""

import contextlib
import io
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from serving.ports import free_ports
from tests.conftest import REPOSITORY, START_SECONDS, Stack


@dataclass
class Gateway:
    """A gateway process with settings of its own, that uses the session's ear, mind and mouth."""

    process: subprocess.Popen[bytes]
    port: int
    log_file: Path
    scheme: str = "http"

    @property
    def url(self) -> str:
        """HTTP base URL."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """WebSocket base URL."""
        return f"ws{self.url.removeprefix('http')}"

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return once it takes calls; fail where it does not within ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the gateway ended: {self.log()}"
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=5, verify=False).status_code == 200:
                    return
            time.sleep(0.1)
        pytest.fail(f"the gateway was not ready within {seconds:g} s: {self.log()}")

    def log(self) -> str:
        """Return what it has logged."""
        return self.log_file.read_text(errors="replace")

    def counted(self, name: str, **labels: str) -> float:
        """Return the value of a counter."""
        for row in httpx.get(f"{self.url}/metrics").text.splitlines():
            if row.startswith(name + "{") and all(f'{key}="{value}"' in row for key, value in labels.items()):
                return float(row.split()[-1])
        return 0.0


StartGateway = Callable[..., contextlib.AbstractContextManager[Gateway]]


@contextlib.contextmanager
def run_gateway(folder: Path, environment: Mapping[str, str], **settings: str) -> Iterator[Gateway]:
    """Run a gateway process until the block ends."""
    (port,) = free_ports(1)
    log_file = folder / f"gateway-{port}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "voice"],
            env={**environment, "OFFHOOK_GATEWAY__PORT": str(port), "PYTHONPATH": str(REPOSITORY), **settings},
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    scheme = "https" if "OFFHOOK_ACCESS__TLS_CERTIFICATE" in settings else "http"
    gateway = Gateway(process, port, log_file, scheme)
    try:
        gateway.wait_ready()
        yield gateway
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def start_gateway(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> StartGateway:
    """Return what starts a gateway with settings of its own."""

    def start(**settings: str) -> contextlib.AbstractContextManager[Gateway]:
        return run_gateway(tmp_path_factory.mktemp("gateway"), stack.environment, **settings)

    return start


@pytest.fixture(scope="session")
def speak(stack: Stack) -> Callable[[str], np.ndarray]:
    """Return what lets the mouth say a text: 16-bit samples at 48 kHz."""
    return lambda text: spoken(stack, text)


def spoken(stack: Stack, text: str) -> np.ndarray:
    """Return ``text`` in the mouth's voice: 16-bit samples at 48 kHz."""
    response = httpx.post(
        f"http://127.0.0.1:{stack.port('tts')}/v1/audio/speech",
        json={"model": "x", "voice": "joe", "input": text, "response_format": "pcm", "sample_rate": 24000},
        timeout=60,
    )
    response.raise_for_status()
    return np.repeat(np.frombuffer(response.content, dtype="<i2"), 2)


def silence(seconds: float) -> np.ndarray:
    """Return silence at 48 kHz."""
    return np.zeros(int(48_000 * seconds), dtype="<i2")


def write_wav(path: Path, *parts: np.ndarray) -> Path:
    """Write 48 kHz samples, one after the other."""
    path.write_bytes(wav_bytes(np.concatenate(parts), 48_000))
    return path


def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    """Return mono 16-bit samples as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def transcribe(stack: Stack, audio: bytes, name: str = "answer.wav") -> str:
    """Let the ear's file endpoint write down a recording."""
    response = httpx.post(
        f"http://127.0.0.1:{stack.port('asr')}/v1/audio/transcriptions",
        files={"file": (name, audio)},
        data={"model": "whisper-tiny.en"},
        timeout=60,
    )
    response.raise_for_status()
    return str(response.json()["text"])


LONG_GREETING = (
    "Good morning and welcome to the town library. We are open every day from nine in the morning until eight "
    "in the evening, and we have books, films, music and a reading room with a view of the river for everybody."
)


@pytest.fixture(scope="session")
def long_winded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent that greets at length, so that it can be interrupted."""
    path = tmp_path_factory.mktemp("agent") / "librarian.toml"
    path.write_text(
        f"""
name = "librarian"
system_prompt = "You are a helpful assistant on the telephone. Answer each question correctly in one short sentence."
greeting = "{LONG_GREETING}"
[sampling]
temperature = 0.0
max_tokens = 60
"""
    )
    return path
