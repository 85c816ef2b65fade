"""The engine with the real model: what a caller waits for is not kept waiting."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, Samples
from asr.detectors import EndDetector, SpeechDetector
from asr.engine import Engine
from asr.errors import OverloadError
from asr.scheduler import DecodeScheduler, Priority
from asr.settings import DecodeSettings
from asr.transcript import Transcript, WordTimes
from asr.whisper import DecodeJob, Whisper
from tests.asr.conftest import MODEL, pulled

SENTENCE = "What time is it?"
#: Longest stretch of a file, seconds.
LONG_SECONDS = 25


@pytest.fixture(scope="module")
def two_lanes() -> Whisper:
    """Return the real model, able to decode two batches side by side."""
    return Whisper(
        pulled(MODEL), device="cpu", compute_type="int8", cpu_threads=1, settings=DecodeSettings(), workers=2
    )


@asynccontextmanager
async def running(model: Whisper, lanes: int = 2, alone: Whisper | None = None) -> AsyncIterator[Engine]:
    """Run an engine."""
    scheduler = DecodeScheduler(max_batch=4, max_wait_seconds=0.0, max_partials=4)
    engine = Engine(
        {MODEL: model},
        SpeechDetector(),
        EndDetector(),
        scheduler,
        lanes=lanes,
        max_waiting_files=2,
        alone={MODEL: alone} if alone else {},
    )
    task = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_file_in_progress_holds_up_no_final(
    two_lanes: Whisper, speech: Callable[[str], Samples]
) -> None:
    """A turn that ends while a long file is being decoded is decoded beside it, and is ready first."""
    order: list[str] = []
    long = np.resize(speech(SENTENCE), LONG_SECONDS * SAMPLE_RATE)
    async with running(two_lanes) as engine:
        file = engine.decode("file", MODEL, Priority.FILE, DecodeJob(long, words=WordTimes.WITH_TEXT))
        file.add_done_callback(lambda _: order.append("file"))
        await asyncio.sleep(0)
        final = engine.decode("call", MODEL, Priority.FINAL, DecodeJob(speech(SENTENCE)))
        final.add_done_callback(lambda _: order.append("final"))
        heard = await final
        await file
    assert heard is not None
    assert "time is it" in heard.text.lower()
    assert order == ["final", "file"]


async def test_one_lane_decodes_everything(two_lanes: Whisper, speech: Callable[[str], Samples]) -> None:
    """With a single lane every priority has its turn."""
    async with running(two_lanes, lanes=1) as engine:
        jobs = [engine.decode(str(kind), MODEL, kind, DecodeJob(speech(SENTENCE))) for kind in Priority]
        texts = [item.text.lower() for item in await asyncio.gather(*jobs) if item]
    assert len(texts) == len(Priority)
    assert all("time is it" in text for text in texts)


async def test_too_many_files_are_refused(two_lanes: Whisper, speech: Callable[[str], Samples]) -> None:
    """Files wait in a bounded queue; beyond it the caller is told to come back."""
    async with running(two_lanes) as engine:
        job = DecodeJob(speech(SENTENCE))
        waiting = [engine.decode(index, MODEL, Priority.FILE, job) for index in range(2)]
        with pytest.raises(OverloadError, match="try again later"):
            engine.decode("late", MODEL, Priority.FILE, job)
        await asyncio.gather(*waiting)


async def test_a_stream_that_goes_takes_its_decodes_along(
    two_lanes: Whisper, speech: Callable[[str], Samples]
) -> None:
    """What waits for a closed stream is cancelled, and the others' work goes on."""
    async with running(two_lanes) as engine:
        engine.open("gone")
        lost = engine.decode("gone", MODEL, Priority.PARTIAL, DecodeJob(speech(SENTENCE)))
        engine.close("gone")
        kept = await engine.decode("here", MODEL, Priority.FINAL, DecodeJob(speech(SENTENCE)))
    assert lost.cancelled()
    assert kept is not None
    assert "time is it" in kept.text.lower()


def noted(monkeypatch: pytest.MonkeyPatch, **models: Whisper) -> list[str]:
    """Return the names of the ``models`` that decode from now on, as they do."""
    used: list[str] = []
    for name, model in models.items():
        decode = model.decode
        monkeypatch.setattr(
            model, "decode", lambda jobs, decode=decode, name=name: used.append(name) or decode(jobs)
        )
    return used


async def test_one_stream_alone_has_more_threads(
    two_lanes: Whisper, whisper: Whisper, speech: Callable[[str], Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a caller waits for goes to the model with more threads until a second stream opens."""
    used = noted(monkeypatch, shared=two_lanes, alone=whisper)
    async with running(two_lanes, alone=whisper) as engine:
        engine.open("first")
        for kind in (Priority.EAGER, Priority.FILE):
            await engine.decode("first", MODEL, kind, DecodeJob(speech(SENTENCE)))
        engine.open("second")
        await engine.decode("first", MODEL, Priority.EAGER, DecodeJob(speech(SENTENCE)))
    assert used == ["alone", "shared", "shared"]


async def test_beside_another_decode_nobody_has_more_threads(
    two_lanes: Whisper, whisper: Whisper, speech: Callable[[str], Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a partial is decoded on one of the cores, what a caller waits for takes the other."""
    begun, go_on = threading.Event(), threading.Event()
    decode = two_lanes.decode

    def held_up(jobs: Sequence[DecodeJob]) -> list[Transcript]:
        begun.set()
        go_on.wait(10)
        return decode(jobs)

    async with running(two_lanes, alone=whisper) as engine:
        engine.open("caller")
        monkeypatch.setattr(two_lanes, "decode", held_up)
        partial = engine.decode("caller", MODEL, Priority.PARTIAL, DecodeJob(speech(SENTENCE)))
        await asyncio.to_thread(begun.wait, 10)
        monkeypatch.setattr(two_lanes, "decode", decode)
        used = noted(monkeypatch, shared=two_lanes, alone=whisper)
        await engine.decode("caller", MODEL, Priority.EAGER, DecodeJob(speech(SENTENCE)))
        go_on.set()
        await partial
        await engine.decode("caller", MODEL, Priority.EAGER, DecodeJob(speech(SENTENCE)))
    assert used == ["shared", "alone"]
