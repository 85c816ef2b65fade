"""Measurements of the mouth, each beside the plain whole-sentence Piper in the same interleaved run.

Plain Piper is the undivided graph with onnxruntime's default options: nothing is heard until the whole clause
has been rendered. It runs in this process; the mouth runs in its own, as it does in service.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import onnxruntime
from websockets.asyncio.client import ClientConnection, connect

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
    """A connection to the mouth that measures."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
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
            json.dumps(body | {"voice": {"mode": "id"}, "output_format": output_format})
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


async def measure(url: str | None, model: str, rounds: int) -> dict[str, Any]:
    """Run every measurement ``rounds`` times and return the figures.

    Args:
        url: websocket base of a running mouth, whose cache should be off; None starts one.
        model: the voice plain Piper speaks with.
        rounds: repetitions of each measurement.

    """
    phonemizer = Phonemizer()
    try:
        plain = PlainPiper(model, phonemizer)
        await plain.speak(LONG[:80])
        async with _mouth(url) as base:
            return {
                "alone": await _alone(base, plain, rounds),
                "four_at_once": await _four_at_once(base, plain, rounds),
                "beside_a_listener": await _beside_a_listener(base, rounds),
                "cancel_to_last_audio_ms": await _cancel(base, rounds),
            }
    finally:
        await phonemizer.close()


async def _alone(base: str, plain: PlainPiper, rounds: int) -> dict[str, Any]:
    first = {length: Samples() for length in TEXTS}
    whole = {length: Samples() for length in TEXTS}
    factor = {length: Samples() for length in TEXTS}
    async with connect(f"{base}/tts/websocket") as websocket:
        mouth = MouthClient(websocket)
        for index in range(rounds):
            for length, texts in TEXTS.items():
                text = texts[index % len(texts)]
                seconds, total, audio = await mouth.speak(text)
                first[length].add(seconds * 1000)
                factor[length].add(total / audio)
                whole[length].add(await _timed(lambda text=text: plain.speak(text)) * 1000)  # type: ignore[misc]
    return {
        str(length): {
            "first_audio_ms": first[length].summary(),
            "plain_piper_ms": whole[length].summary(),
            "real_time_factor": factor[length].summary(),
        }
        for length in TEXTS
    }


async def _four_at_once(base: str, plain: PlainPiper, rounds: int) -> dict[str, Any]:
    first, whole = Samples(), Samples()
    texts = TEXTS[25][:4]
    websockets = [await connect(f"{base}/tts/websocket") for _ in texts]
    mouths = [MouthClient(websocket) for websocket in websockets]
    for _ in range(rounds):
        spoken = await asyncio.gather(*(m.speak(text) for m, text in zip(mouths, texts, strict=True)))
        for seconds, _, _ in spoken:
            first.add(seconds * 1000)
        for seconds in await asyncio.gather(*(_timed(lambda t=text: plain.speak(t)) for text in texts)):  # type: ignore[misc]
            whole.add(seconds * 1000)
    for websocket in websockets:
        await websocket.close()
    return {"first_audio_ms": first.summary(), "plain_piper_ms": whole.summary()}


async def _beside_a_listener(base: str, rounds: int) -> dict[str, float]:
    """Time to first audio of a clause while another call's long answer is being rendered."""
    first = Samples()
    for index in range(rounds):
        async with connect(f"{base}/tts/websocket") as busy, connect(f"{base}/tts/websocket") as websocket:
            listener, caller = MouthClient(busy), MouthClient(websocket)
            await listener.first_audio(await listener.begin(LONG))
            seconds, _, _ = await caller.speak(TEXTS[25][index % len(TEXTS[25])])
            first.add(seconds * 1000)
    return first.summary()


async def _cancel(base: str, rounds: int) -> dict[str, float]:
    after = Samples()
    for _ in range(rounds):
        async with connect(f"{base}/tts/websocket") as websocket:
            after.add(await MouthClient(websocket).cancel_after_first_audio(LONG) * 1000)
    return after.summary()


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


@asynccontextmanager
async def _mouth(url: str | None) -> AsyncIterator[str]:
    """Give the websocket base of ``url``, or of a mouth started for this run with its cache off."""
    if url is not None:
        yield url.rstrip("/")
        return
    port = _free_port()
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
            yield f"ws://127.0.0.1:{port}"
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
