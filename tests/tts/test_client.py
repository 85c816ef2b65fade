"""The mouth's own pipecat service: the earliest clause, an agent's lexicon, and set phrases said ahead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pipecat.frames.frames import (
    CancelFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import WorkerRunner
from pipecat.pipeline.worker import PipelineParams, PipelineWorker

from serving.ports import free_port
from tests.tts.conftest import Mouth
from tests.tts.test_cartesia import generation, speak
from tests.tts.test_pipecat import Listener
from tts.client import ClauseAggregator, MouthService
from tts.errors import TtsError
from tts.prerender import prerender

SECONDS = 30.0


class Service(MouthService):
    """The service, noting the texts it sends."""

    def __init__(self, mouth: Mouth, **kwargs: Any) -> None:
        super().__init__(
            on_text=lambda _: None,
            on_audio=lambda _: None,
            is_speculating=lambda: False,
            text_language="en",
            api_key="none",
            url=f"{mouth.websocket_url}/tts/websocket",
            settings=MouthService.Settings(voice="joe", model="offhook", language="en"),
            **kwargs,
        )
        self.sent: asyncio.Queue[str] = asyncio.Queue()

    def _build_msg(self, text: str = "", *args: Any, **kwargs: Any) -> str:
        message = super()._build_msg(text, *args, **kwargs)
        if text:
            self.sent.put_nowait(message)
        return message


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[tuple[PipelineWorker, Listener]]:
    """Run a pipeline of the service and a listener."""
    listener = Listener()
    worker = PipelineWorker(
        Pipeline([service, listener]),
        params=PipelineParams(audio_out_sample_rate=8000),
        enable_rtvi=False,
    )
    async with asyncio.TaskGroup() as group, asyncio.timeout(SECONDS):
        group.create_task(WorkerRunner(handle_sigint=False).run(worker))
        yield worker, listener
        await worker.queue_frame(CancelFrame())


async def test_words_do_not_wait_for_an_answer_that_has_stalled(mouth: Mouth) -> None:
    """The beginning of a clause is said when its end does not come; the rest follows, nothing is lost."""
    service = Service(mouth, lexicon={})
    async with running(service) as (worker, listener):
        begun: list[Frame] = [LLMFullResponseStartFrame(), LLMTextFrame("The capital of Fran")]
        await worker.queue_frames(begun)
        assert '"transcript": "The capital of "' in await service.sent.get()
        await worker.queue_frames([LLMTextFrame("ce is Paris."), LLMFullResponseEndFrame()])
        assert '"transcript": "France is Paris."' in await service.sent.get()
        await listener.stopped.wait()
    assert " ".join(listener.words) == "The capital of France is Paris."


async def test_an_interruption_forgets_the_words_that_wait(mouth: Mouth) -> None:
    """What waited when the caller interrupted is never sent."""
    service = Service(mouth, lexicon={})
    async with running(service) as (worker, listener):
        begun: list[Frame] = [LLMFullResponseStartFrame(), LLMTextFrame("The capital of Fran")]
        await worker.queue_frames(begun)
        await worker.queue_frames([InterruptionFrame(), TTSSpeakFrame("Pardon?")])
        assert "Pardon?" in await service.sent.get()
        await listener.stopped.wait()
        assert service.sent.empty()


def test_later_words_may_wait_longer() -> None:
    """The first chunk is due early, since somebody waits for it."""

    async def feed(clauses: ClauseAggregator, text: str) -> list[str]:
        return [clause.text async for clause in clauses.aggregate(text)]

    clauses = ClauseAggregator(text_language="en", wait_seconds=(0.1, 50.0))
    assert asyncio.run(feed(clauses, "One two")) == []
    first = clauses.due
    assert first is not None
    assert [clause.text for clause in clauses.tick(first)] == ["One "]
    later = clauses.due
    assert later is not None
    assert later >= first + 50


async def test_an_agents_lexicon_is_heard_and_not_seen(mouth: Mouth) -> None:
    """The transcript keeps what is written; the dictionary goes with the first message of a context only."""
    service = Service(mouth, lexicon={"Nginx": "engine x and a great deal more than that"})
    async with running(service) as (worker, listener):
        frames: list[Frame] = [
            LLMFullResponseStartFrame(),
            LLMTextFrame("Nginx. "),
            LLMTextFrame("Yes, it is. "),
        ]
        await worker.queue_frames([*frames, LLMFullResponseEndFrame()])
        opening = await service.sent.get()
        assert "pronunciation_dict" in opening
        assert "max_ahead_seconds" in opening
        assert "pronunciation_dict" not in await service.sent.get()
        await listener.stopped.wait()
    assert listener.words[0] == "Nginx."
    plain = len(await speak(mouth, "Nginx."))
    said = await speak(
        mouth, "Nginx.", pronunciation_dict={"nginx": "engine x and a great deal more than that"}
    )
    assert len(said) > 2 * plain


async def test_a_dictionary_has_bounds(mouth: Mouth) -> None:
    """Too many entries are refused, in words that say how many are allowed."""
    with pytest.raises(AssertionError, match="200"):
        await speak(mouth, "Hello.", pronunciation_dict={f"w{index}": "x" for index in range(201)})
    assert generation("one", "Hello.")


async def test_set_phrases_are_said_ahead(mouth: Mouth) -> None:
    """When a call says them, they come from the cache, by the same path a call takes."""
    phrases = ["Good afternoon, what can I do?", "Half a second, please."]
    await prerender(mouth.websocket_url, phrases, voice="joe", language="en", lexicon={})
    hits, misses = await lookups(mouth)
    service = Service(mouth, lexicon={})
    async with running(service) as (worker, listener):
        for phrase in phrases:
            listener.stopped.clear()
            await worker.queue_frame(TTSSpeakFrame(phrase))
            await listener.stopped.wait()
    now_hits, now_misses = await lookups(mouth)
    assert now_misses == misses
    assert now_hits >= hits + len(phrases)


async def test_set_phrases_without_a_mouth() -> None:
    """A mouth that is not there is an error that says where it was looked for."""
    port = free_port()
    with pytest.raises(TtsError, match=str(port)):
        await prerender(f"ws://127.0.0.1:{port}", ["Hello."], voice="joe", language="en", lexicon={})


async def test_a_set_phrase_that_is_refused(mouth: Mouth) -> None:
    """The mouth's own words say why."""
    with pytest.raises(TtsError, match="nobody"):
        await prerender(mouth.websocket_url, ["Hello."], voice="nobody", language="en", lexicon={})


async def lookups(mouth: Mouth) -> tuple[float, float]:
    """Return how often the cache had a phrase, and had not."""
    async with httpx.AsyncClient() as http:
        lines = (await http.get(f"{mouth.url}/metrics")).text.splitlines()
    counts = {"hit": 0.0, "miss": 0.0}
    for line in lines:
        for result in counts:
            if line.startswith("tts_server_phrase_cache_total") and f'"{result}"' in line:
                counts[result] = float(line.rpartition(" ")[2].split(" ")[0])
    return counts["hit"], counts["miss"]
