"""WhisperLive beside the ear: its own server, in its own environment, on the same model.

WhisperLive has no end of turn: it decodes what it has over and over, and calls a segment completed once its text has
stayed the same for several rounds. Two moments are taken: when its text last changed, which only hindsight knows,
and when it said that the last segment is completed.
"""

import asyncio
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import websockets

from asr.audio import SAMPLE_RATE
from asr.bench.corpus import Clip, silence
from asr.bench.live import CHUNK_SECONDS, START_SECONDS
from asr.errors import AsrError
from serving.ports import free_port

#: Silence after each clip, seconds: it needs several rounds of decoding to call a segment completed.
TAIL_SECONDS = 6.0
#: How long it may take to load its model for the first client, seconds.
READY_SECONDS = 60.0
SERVER = """
import sys
from serving.ports import free_port
from whisper_live.server import TranscriptionServer
TranscriptionServer().run(
    "127.0.0.1", port=int(sys.argv[1]), backend="faster_whisper", faster_whisper_custom_model_path=sys.argv[2],
    single_model=True,
)
"""


@dataclass(frozen=True)
class Told:
    """When the text of one clip last changed and when it was completed, seconds after its last speech sample."""

    text: float
    completed: float | None


@contextmanager
def server(python: Path, model: Path) -> Iterator[str]:
    """Run WhisperLive with the interpreter of the environment it is installed in; give its address.

    Raises:
        AsrError: it did not start; its own output says why.

    """
    port = free_port()
    process = subprocess.Popen([str(python), "-c", SERVER, str(port), str(model)], stdout=subprocess.DEVNULL)
    try:
        url = f"ws://127.0.0.1:{port}"
        asyncio.run(_wait_ready(url, process))
        yield url
    finally:
        process.kill()
        process.wait()


async def _wait_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            async with websockets.connect(url) as connection:
                await _greet(connection)
                return
        except OSError:
            await asyncio.sleep(0.5)
    raise AsrError("WhisperLive did not start; its output says why")


async def _greet(connection: websockets.ClientConnection) -> None:
    options = {
        "uid": str(uuid.uuid4()),
        "language": "en",
        "task": "transcribe",
        "model": "tiny.en",
        "use_vad": True,
    }
    await connection.send(json.dumps(options))
    async with asyncio.timeout(READY_SECONDS):
        while json.loads(await connection.recv()).get("message") != "SERVER_READY":
            pass


async def say(url: str, clip: Clip) -> Told | None:
    """Play ``clip`` in real time to a fresh connection; None where nothing was understood."""
    received: list[tuple[float, dict[str, Any]]] = []
    async with websockets.connect(url) as connection:
        await _greet(connection)

        async def listen() -> None:
            async for message in connection:
                received.append((time.monotonic(), json.loads(message)))  # noqa: PERF401 - kept on cancellation

        listening = asyncio.create_task(listen())
        started = time.monotonic()
        audio = np.concatenate([clip.audio, silence(TAIL_SECONDS)])
        size = int(CHUNK_SECONDS * SAMPLE_RATE)
        for offset in range(0, len(audio), size):
            await asyncio.sleep(max(0.0, started + (offset + size) / SAMPLE_RATE - time.monotonic()))
            await connection.send(audio[offset : offset + size].tobytes())
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    return told(received, started + clip.last_speech)


def told(received: list[tuple[float, dict[str, Any]]], last_speech: float) -> Told | None:
    """Return when the text that was there in the end came, and when all of it was completed."""
    states = [(at, message["segments"]) for at, message in received if message.get("segments")]
    if not states:
        return None
    final = _text(states[-1][1])
    changed = next(
        (
            states[index + 1][0]
            for index in reversed(range(len(states) - 1))
            if _text(states[index][1]) != final
        ),
        states[0][0],
    )
    completed = next(
        (at for at, segments in states if _text(segments) == final and _complete(segments)), None
    )
    return Told(changed - last_speech, completed - last_speech if completed else None)


def _text(segments: list[dict[str, Any]]) -> str:
    return " ".join(str(segment["text"]).strip() for segment in segments)


def _complete(segments: list[dict[str, Any]]) -> bool:
    return all(segment.get("completed") for segment in segments)
