"""The real ear, started once, and speech to send it."""

import asyncio
import io
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from asr.audio import SAMPLE_RATE, Samples
from asr.settings import DecodeSettings
from asr.whisper import Whisper
from modelstore import ModelMissingError, locate
from modelstore.catalog import CatalogModel, Wheel
from modelstore.pull import pull
from serving.ports import free_port

REPOSITORY = Path(__file__).parents[2]
#: How long the server may take to load its model and warm up, seconds.
START_SECONDS = 120
MODEL = "whisper-tiny.en"
MULTILINGUAL = "whisper-base"
#: Spoken sentences in nine languages, with their texts: data in a package that is not installed.
SAMPLES = CatalogModel(
    name="multilingual-samples",
    title="Spoken sentences in nine languages",
    licence="MIT",
    default=False,
    wheels={
        "pytest-audioeval": Wheel(
            version="0.1.3",
            bytes=3959807,
            sha256="8b97369347232d43180dd9860189c547ccc8dedb42b7c21d511ddc5a05ef7ecc",
        )
    },
    files={
        f"{language}.wav": [f"pytest_audioeval/samples/audio/{language}/pangrama.wav"]
        for language in ("fr", "it", "pt")
    },
)


def pulled(name: str) -> Path:
    """Return the directory of a model, or fail saying what to do."""
    try:
        return locate(name)
    except ModelMissingError as error:
        pytest.fail(str(error))


def foreign(language: str) -> Samples:
    """Return a sentence spoken in another language, at 16 kHz."""
    pull(SAMPLES, print)
    spoken: Samples = decode_audio(str(locate(SAMPLES.name) / f"{language}.wav"), sampling_rate=SAMPLE_RATE)
    return spoken


def audio_directory() -> Path | None:
    """Return the directory of recorded speech, where there is one beside the repository."""
    named = os.environ.get("OFFHOOK_TEST_AUDIO")
    for path in [Path(named)] if named else [REPOSITORY.parent / "shared" / "audio"]:
        if (path / "manifest.jsonl").is_file():
            return path
    return None


def synthesise(text: str) -> Samples:
    """Return ``text`` spoken by Piper in a process of its own, at 16 kHz."""
    voice = next(pulled("piper-en_US-joe-medium").glob("*.onnx"))
    command = [sys.executable, "-m", "piper", "--model", str(voice), "--output-file", "/dev/stdout"]
    result = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
    spoken: Samples = decode_audio(io.BytesIO(result.stdout), sampling_rate=SAMPLE_RATE)
    return spoken


@pytest.fixture(scope="session")
def speech() -> Callable[[str], Samples]:
    """Return a function that speaks a sentence: a recording where there is one, else Piper."""
    directory = audio_directory()
    recorded: dict[str, Path] = {}
    if directory:
        for line in (directory / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            recorded.setdefault((row.get("text") or "").lower().strip(".?! "), directory / row["path"])
    spoken: dict[str, Samples] = {}

    def speak(text: str) -> Samples:
        if text not in spoken:
            path = recorded.get(text.lower().strip(".?! "))
            spoken[text] = decode_audio(str(path), sampling_rate=SAMPLE_RATE) if path else synthesise(text)
        return spoken[text]

    return speak


def silence(seconds: float) -> Samples:
    """Return silence at 16 kHz."""
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def linear16(samples: Samples) -> bytes:
    """Return samples as little-endian 16-bit PCM."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


@pytest.fixture(scope="session")
def whisper() -> Whisper:
    """Return the real tiny.en."""
    return Whisper(pulled(MODEL), device="cpu", compute_type="int8", cpu_threads=1, settings=DecodeSettings())


class Server:
    """A running ``python -m asr``."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.log = log
        self.trace_store = log.with_name("calls.sqlite")
        self.http = f"http://127.0.0.1:{port}"
        self.ws = f"ws://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return the real server, warmed up."""
    pulled(MODEL)
    pulled(MULTILINGUAL)
    port = free_port()
    folder = tmp_path_factory.mktemp("ear")
    log = folder / "asr.log"
    env = {
        **os.environ,
        "OFFHOOK_ASR__PORT": str(port),
        "OFFHOOK_ASR__LANGUAGE": "auto",
        "OFFHOOK_ASR__MODELS": json.dumps({MULTILINGUAL: MULTILINGUAL}),
        "OFFHOOK_ASR__SEND_TIMEOUT_SECONDS": "2",
        "OFFHOOK_ASR__IDLE_TIMEOUT_SECONDS": "5",
        "OFFHOOK_TRACE_STORE": str(log.with_name("calls.sqlite")),
    }
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "asr"], env=env, cwd=REPOSITORY, stderr=output)
    try:
        started = Server(process, port, log)
        deadline = time.monotonic() + START_SECONDS
        while not _ready(started):
            assert process.poll() is None, f"the server died:\n{log.read_text()}"
            assert time.monotonic() < deadline, "the server did not warm up in time"
            time.sleep(0.1)
        yield started
    finally:
        process.kill()
        process.wait()


def _ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"{server.http}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def play(
    send: Callable[[bytes], object], pcm: bytes, bytes_per_second: int, speed: float = 1.0
) -> None:
    """Send audio in 20 ms chunks at ``speed`` times real time."""
    chunk = bytes_per_second // 50
    started = time.monotonic()
    for offset in range(0, len(pcm), chunk):
        await send(pcm[offset : offset + chunk])  # type: ignore[misc]
        due = started + (offset + chunk) / bytes_per_second / speed
        await asyncio.sleep(max(0.0, due - time.monotonic()))
