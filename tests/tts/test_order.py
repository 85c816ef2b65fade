"""Who is rendered when, with the real voice: judged by the order of steps, never by time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest

from tts.espeak import Phonemizer
from tts.piper import PiperEngine
from tts.schedule import ComputePool, Urgency
from tts.sound import RawFormat
from tts.speaker import Pauses, Speaker

T = TypeVar("T")
LATER = "And this is one of many later sentences, which nobody has heard so far. "


class RecordingPool(ComputePool):
    """A pool that notes whose step it runs; a gate holds the steps back."""

    def __init__(self) -> None:
        super().__init__(1)
        self.log: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def named(self, name: str) -> "NamedPool":
        """Return this pool for one caller."""
        return NamedPool(self, name)


class NamedPool(ComputePool):
    """One caller's view of a recording pool."""

    def __init__(self, pool: RecordingPool, name: str) -> None:
        self._shared = pool
        self._name = name

    async def run(self, urgency: Urgency, step: Callable[[], T]) -> T:
        """Run ``step`` in the shared pool and note it."""

        def noted() -> T:
            self._shared.log.append(f"{self._name} {'listens' if urgency.listening else 'waits'}")
            self._shared.gate.wait(30)
            return step()

        return await self._shared.run(urgency, noted)


@pytest.fixture
async def engine() -> AsyncIterator[PiperEngine]:
    """Start an engine."""
    phonemizer = Phonemizer()
    engine = PiperEngine("piper-en_US-joe-medium", phonemizer, threads=1)
    await engine.start()
    yield engine
    await phonemizer.close()


async def say(
    engine: PiperEngine,
    pool: ComputePool,
    texts: list[str],
    heard: asyncio.Event | None = None,
    *,
    max_ahead_seconds: float | None = None,
) -> None:
    """Say ``texts`` as one stream."""
    target, pauses = RawFormat("pcm_mulaw", 8000), Pauses(0.1, 0.2)
    voice = Speaker("joe", engine, target, pool, pauses, max_ahead_seconds=max_ahead_seconds)
    for text in texts:
        async for _ in voice.say(text):
            if heard is not None:
                heard.set()


async def test_first_clauses_go_before_later_sentences(engine: PiperEngine) -> None:
    """While one caller listens to a long answer, three others begin: each hears its first clause next."""
    pool = RecordingPool()
    heard = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(say(engine, pool.named("long"), [LATER] * 6, heard))
        await heard.wait()
        pool.gate.clear()  # hold the step in progress until all three wait
        for name in ("b", "c", "d"):
            group.create_task(say(engine, pool.named(name), ["Yes, of course."]))
        while pool.waiting < 3:
            await asyncio.sleep(0.01)
        began = len(pool.log)
        pool.gate.set()
    after = pool.log[began:]
    first = [after.index(f"{name} waits") for name in ("b", "c", "d")]
    assert "long listens" in after[max(first) :], "the long answer was over before the others came"
    # At most the one step that was running already may stand before them.
    assert sum(entry == "long listens" for entry in after[: max(first)]) <= 1
    assert first == sorted(first)


async def test_cancelling_stops_within_one_step(engine: PiperEngine) -> None:
    """After a cancel not one further step of that stream runs."""
    pool = RecordingPool()
    heard = asyncio.Event()
    task = asyncio.create_task(say(engine, pool.named("long"), [LATER * 2], heard))
    await heard.wait()
    pool.gate.clear()
    while len(pool.log) < 2:  # until its next step is held at the gate
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    pool.gate.set()
    steps = len(pool.log)
    await say(engine, pool.named("next"), ["Yes."])
    assert [entry for entry in pool.log[steps:] if entry.startswith("long")] == []


async def test_no_more_is_rendered_than_may_wait_to_be_played(engine: PiperEngine) -> None:
    """While a client that wants it all at once gets it, one that listens gets what it can listen to."""
    pool = RecordingPool()
    text = [LATER] * 3
    listener = asyncio.create_task(say(engine, pool.named("listener"), text, max_ahead_seconds=1.0))
    await say(engine, pool.named("hasty"), text)
    listener.cancel()
    await asyncio.wait([listener])
    hasty = sum(entry.startswith("hasty") for entry in pool.log)
    assert 1 < len(pool.log) - hasty < hasty / 2
