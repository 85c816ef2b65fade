"""Measurements of the mouth; of a Piper voice, beside the plain whole-sentence Piper in the same interleaved run.

Plain Piper is the undivided graph with onnxruntime's default options: nothing is heard until the whole clause
has been rendered. It runs in this process; the mouth runs in its own, as it does in service.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime
from websockets.asyncio.client import ClientConnection, connect

from serving.ports import free_port
from tts.errors import TtsError
from tts.espeak import Phonemizer
from tts.pronounce import pronounce
from tts.speech import Word
from tts.vits import VitsConfig, voice_file

#: Clauses by their greatest length in characters.
TEXTS = {
    10: ("Sure.", "Of course,", "Good news!", "One moment", "I see."),
    25: ("The capital is Paris,", "Yes, that is right,", "Your table is booked,", "It opens at nine,"),
    50: (
        "The capital of France is the city of Paris,",
        "Your appointment is on Tuesday at half past three,",
        "I have found two flights that leave tomorrow,",
    ),
    100: (
        "The museum opens at nine in the morning and closes at six in the evening on every day but Monday.",
        "I can book you a table for four people by the window, if you are happy to come a little earlier.",
    ),
}  # fmt: skip
#: Spoken by a caller who is listening while others begin, and cancelled in the cancel measurement.
LONG = "Once upon a time there was a king who had a very large garden with many trees in it. " * 8
START_SECONDS = 60.0
RATE = 8000


@dataclass
class Samples:
    """One figure's measurements, milliseconds or a ratio."""

    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Add one measurement."""
        self.values.append(value)

    def summary(self) -> dict[str, float]:
        """Return median, 95th percentile, greatest and number."""
        return {
            "p50": round(float(np.percentile(self.values, 50)), 3),
            "p95": round(float(np.percentile(self.values, 95)), 3),
            "max": round(max(self.values), 3),
            "n": len(self.values),
        }


class PlainPiper:
    """The whole graph, one call, no streaming."""

    def __init__(self, model: str, phonemizer: Phonemizer) -> None:
        path = voice_file(model)
        self._config = VitsConfig.read(path.with_name(path.name + ".json"))
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self._phonemizer = phonemizer

    async def speak(self, text: str) -> float:
        """Render ``text`` and return the seconds of its audio."""
        words = [Word(word, word) for word in text.split()]
        said = await pronounce(self._phonemizer, self._config.espeak_voice, words)
        ids = self._config.ids(said.symbols)
        samples = await asyncio.to_thread(self._run, ids)
        return samples / self._config.sample_rate

    def _run(self, ids: Sequence[int]) -> int:
        config = self._config
        scales = [config.noise_scale, config.length_scale, config.noise_w]
        feed = {
            "input": np.array([ids], dtype=np.int64),
            "input_lengths": np.array([len(ids)], dtype=np.int64),
            "scales": np.array(scales, dtype=np.float32),
        }
        return int(self._session.run(None, feed)[0].size)


class MouthClient:
    """A connection to the mouth that measures one voice."""

    def __init__(self, websocket: ClientConnection, voice: str) -> None:
        self._websocket = websocket
        self._voice = voice
        self._contexts = 0

    async def speak(self, text: str) -> tuple[float, float, float]:
        """Say ``text`` and return the seconds to its first audio, to its end, and of its audio."""
        started = time.perf_counter()
        context_id = await self.begin(text)
        first, size = 0.0, 0
        while (message := await self._next(context_id))["type"] != "done":
            if message["type"] == "chunk":
                first = first or time.perf_counter() - started
                size += len(message["data"]) * 3 // 4
        return first, time.perf_counter() - started, size / RATE

    async def cancel_after_first_audio(self, text: str) -> float:
        """Begin ``text``, cancel at its first audio, and return the seconds until its last audio came."""
        context_id = await self.begin(text)
        await self._next(context_id)
        cancelled = last = time.perf_counter()
        await self._websocket.send(json.dumps({"context_id": context_id, "cancel": True}))
        async with asyncio.timeout(0.5) as patience:
            try:
                while True:
                    if json.loads(await self._websocket.recv())["context_id"] == context_id:
                        last = time.perf_counter()
            except asyncio.CancelledError:
                if not patience.expired():
                    raise
                return last - cancelled

    async def begin(self, text: str) -> str:
        """Send ``text`` in a new context and return its id."""
        self._contexts += 1
        context_id = f"bench-{self._contexts}"
        output_format = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": RATE}
        body = {"context_id": context_id, "transcript": text, "continue": False, "model_id": "bench"}
        await self._websocket.send(
            json.dumps(body | {"voice": {"mode": "id", "id": self._voice}, "output_format": output_format})
        )
        return context_id

    async def first_audio(self, context_id: str) -> None:
        """Wait for the first audio of a context."""
        while (await self._next(context_id))["type"] != "chunk":
            pass

    async def _next(self, context_id: str) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(await self._websocket.recv())
            if message["type"] == "error":
                raise TtsError(f"the mouth answered: {message['message']}")
            if message["context_id"] == context_id:
                return message


async def measure(url: str | None, voice: str, model: str | None, rounds: int) -> dict[str, Any]:
    """Run every measurement ``rounds`` times and return the figures.

    Args:
        url: websocket base of a running mouth, whose cache should be off; None starts one.
        voice: the voice to measure.
        model: the model plain Piper speaks with; None leaves it out.
        rounds: repetitions of each measurement.

    """
    phonemizer = Phonemizer()
    try:
        plain = PlainPiper(model, phonemizer) if model else None
        if plain:
            await plain.speak(LONG[:80])
        async with _mouth(url) as (base, pid):
            bench = _Bench(base, pid, voice, plain, rounds)
            return {
                "alone": await bench.alone(),
                "four_at_once": await bench.four_at_once(),
                "beside_a_listener": await bench.beside_a_listener(),
                "cancel_to_last_audio_ms": await bench.cancel(),
                "cpu_seconds_per_second_of_speech": await bench.cpu(),
            }
    finally:
        await phonemizer.close()


@dataclass(frozen=True)
class _Bench:
    """The measurements of one voice of the mouth at ``base``, whose process is ``pid`` where it is known."""

    base: str
    pid: int | None
    voice: str
    plain: PlainPiper | None
    rounds: int

    async def alone(self) -> dict[str, Any]:
        """Measure time to first audio and real-time factor by length of text, one caller."""
        rows: dict[str, dict[str, Samples]] = {}
        async with self._connect() as mouth:
            for index in range(self.rounds):
                for length, texts in TEXTS.items():
                    text = texts[index % len(texts)]
                    row = rows.setdefault(str(length), {})
                    seconds, total, audio = await mouth.speak(text)
                    _add(row, "first_audio_ms", seconds * 1000)
                    _add(row, "real_time_factor", total / audio)
                    await self._compare(row, text)
        return {length: _summaries(row) for length, row in rows.items()}

    async def four_at_once(self) -> dict[str, Any]:
        """Measure time to first audio of four callers who begin at once."""
        row: dict[str, Samples] = {}
        async with AsyncExitStack() as stack:
            mouths = [await stack.enter_async_context(self._connect()) for _ in range(4)]
            texts = TEXTS[25][:4]
            for _ in range(self.rounds):
                spoken = await asyncio.gather(*(m.speak(text) for m, text in zip(mouths, texts, strict=True)))
                for seconds, _, _ in spoken:
                    _add(row, "first_audio_ms", seconds * 1000)
                await asyncio.gather(*(self._compare(row, text) for text in texts))
        return _summaries(row)

    async def beside_a_listener(self) -> dict[str, float]:
        """Measure time to first audio of a clause while another call's long answer is being rendered."""
        first = Samples()
        for index in range(self.rounds):
            async with self._connect() as listener, self._connect() as caller:
                await listener.first_audio(await listener.begin(LONG))
                seconds, _, _ = await caller.speak(TEXTS[25][index % len(TEXTS[25])])
                first.add(seconds * 1000)
        return first.summary()

    async def cancel(self) -> dict[str, float]:
        """Measure how long audio goes on coming after a cancel in mid-sentence."""
        after = Samples()
        for _ in range(self.rounds):
            async with self._connect() as mouth:
                after.add(await mouth.cancel_after_first_audio(LONG) * 1000)
        return after.summary()

    async def cpu(self) -> float | None:
        """Measure what a second of a long answer costs the mouth's process; None where it was not started here."""
        if self.pid is None:
            return None
        async with self._connect() as mouth:
            began = cpu_seconds(self.pid)
            _, _, audio = await mouth.speak(LONG)
            return round((cpu_seconds(self.pid) - began) / audio, 4)

    async def _compare(self, row: dict[str, Samples], text: str) -> None:
        if self.plain:
            started = time.perf_counter()
            await self.plain.speak(text)
            _add(row, "plain_piper_ms", (time.perf_counter() - started) * 1000)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[MouthClient]:
        async with connect(f"{self.base}/tts/websocket") as websocket:
            yield MouthClient(websocket, self.voice)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that process ``pid`` has used, seconds, as Linux counts it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _add(row: dict[str, Samples], name: str, value: float) -> None:
    row.setdefault(name, Samples()).add(value)


def _summaries(row: dict[str, Samples]) -> dict[str, dict[str, float]]:
    return {name: samples.summary() for name, samples in row.items()}


@asynccontextmanager
async def _mouth(url: str | None) -> AsyncIterator[tuple[str, int | None]]:
    """Give the websocket base of ``url``, or base and process of a mouth started for this run, its cache off."""
    if url is not None:
        yield url.rstrip("/"), None
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "OFFHOOK_TTS__PORT": str(port),
            "OFFHOOK_TTS__HOST": "127.0.0.1",
            "OFFHOOK_TTS__CACHE_MEGABYTES": "0",
            "OFFHOOK_TRACE_STORE": f"{folder}/calls.sqlite",
            "OFFHOOK_LOG_LEVEL": "ERROR",
        }
        process = subprocess.Popen([sys.executable, "-m", "tts"], env=environment)  # noqa: ASYNC220 - at start
        try:
            await _wait_ready(f"http://127.0.0.1:{port}/readyz", process)
            yield f"ws://127.0.0.1:{port}", process.pid
        finally:
            process.kill()
            process.wait()


async def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    async with httpx.AsyncClient() as http:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if (await http.get(url)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise TtsError("the mouth did not become ready; run `python -m tts` to see why")
