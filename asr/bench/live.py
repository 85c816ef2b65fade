"""A real server and clients that speak to it in real time."""

import asyncio
import json
import math
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import websockets

from asr.audio import SAMPLE_RATE
from asr.bench.corpus import Clip, linear16, silence
from asr.errors import AsrError
from serving.ports import free_port

START_SECONDS = 120.0
CHUNK_SECONDS = 0.02
#: Silence after each clip: longer than the ear ever waits, seconds.
TAIL_SECONDS = 2.2
EAGER_THRESHOLD = 0.3
ENDS = ("EagerEndOfTurn", "EndOfTurn")


@dataclass
class Served:
    """A running server process."""

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used so far (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_megabytes(self) -> float:
        """Return its resident memory (Linux)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def server() -> Iterator[Served]:
    """Run ``python -m asr`` on a free port until the block ends.

    Raises:
        AsrError: it did not start; its own output says why.

    """
    port = free_port()
    env = {
        **os.environ,
        "OFFHOOK_ASR__PORT": str(port),
        "OTEL_SDK_DISABLED": "true",
        "OFFHOOK_LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "asr"], env=env)
    try:
        _wait_ready(process, port)
        yield Served(f"ws://127.0.0.1:{port}/v2/listen", process.pid)
    finally:
        process.kill()
        process.wait()


def _wait_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AsrError("the server did not start; its output says why")


@dataclass
class Heard:
    """What came back for one clip; None where nothing came.

    Attributes:
        transcript: when the words of its last turn were there, seconds after its last speech sample.
        end: when its last turn was confirmed, likewise.
        confirmation: when the end came, seconds after the audio that decided it was sent; None where the words
            were announced no sooner than the end.
        text: the words of its turns.

    """

    transcript: float | None = None
    end: float | None = None
    confirmation: float | None = None
    text: str = ""


@dataclass
class Caller:
    """One client connection and everything that it has received, with arrival times."""

    socket: websockets.ClientConnection
    received: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    sent_seconds: float = 0.0

    async def listen(self) -> None:
        """Collect messages until the connection ends."""
        async for message in self.socket:
            self.received.append((time.monotonic(), json.loads(message)))

    async def say(self, clip: Clip) -> Heard:
        """Play ``clip`` and a silence in real time and return what came of it."""
        first = len(self.received)
        started = time.monotonic()
        data = linear16(np.concatenate([clip.audio, silence(TAIL_SECONDS)]))
        size = int(CHUNK_SECONDS * SAMPLE_RATE) * 2
        for offset in range(0, len(data), size):
            due = started + (offset + size) / (2 * SAMPLE_RATE)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await self.socket.send(data[offset : offset + size])
        begun = started - self.sent_seconds
        self.sent_seconds += len(data) / (2 * SAMPLE_RATE)
        return _heard(self.received[first:], started + clip.last_speech, begun)


@asynccontextmanager
async def caller(url: str) -> AsyncIterator[Caller]:
    """Connect to a server as one caller."""
    query = f"model=flux-general-en&encoding=linear16&sample_rate={SAMPLE_RATE}&eager_eot_threshold={EAGER_THRESHOLD}"
    async with websockets.connect(f"{url}?{query}") as connection:
        client = Caller(connection)
        listening = asyncio.create_task(client.listen())
        try:
            yield client
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def _heard(received: list[tuple[float, dict[str, Any]]], last_speech: float, begun: float) -> Heard:
    turns = [(at, message) for at, message in received if message["type"] == "TurnInfo"]
    ends = [(at, message) for at, message in turns if message["event"] == "EndOfTurn"]
    if not ends:
        return Heard()
    end_at, end = ends[-1]
    # The transcript was there when an end, eager or not, first carried the words that turned out final.
    same = [at for at, message in turns if message["event"] in ENDS and _same_turn(message, end)]
    text = " ".join(message["transcript"] for _, message in ends)
    # Audio goes out in chunks: what decided was sent with the end of its chunk.
    decided = math.ceil(end["audio_window_end"] / CHUNK_SECONDS - 1e-6) * CHUNK_SECONDS
    confirmation = end_at - begun - decided if len(same) > 1 else None
    return Heard(same[0] - last_speech, end_at - last_speech, confirmation, text)


def _same_turn(message: dict[str, Any], end: dict[str, Any]) -> bool:
    return (message["turn_index"], message["transcript"]) == (end["turn_index"], end["transcript"])


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50 and p95 in seconds."""
    if not values:
        return {"p50": 0.0, "p95": 0.0}
    return {f"p{rank}": round(float(np.percentile(values, rank)), 3) for rank in (50, 95)}
