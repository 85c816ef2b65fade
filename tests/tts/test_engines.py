"""Remote voices and the phrase cache, over a real endpoint: the mouth itself."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

import httpx
import numpy as np
import pytest

from serving.ports import free_port
from tests.tts.conftest import Mouth
from tts.cache import CachedEngine, PhraseCache
from tts.errors import EngineError
from tts.remote import RemoteEngine
from tts.schedule import ComputePool
from tts.sound import RawFormat
from tts.speaker import Pauses, Speaker
from tts.speech import Compute, Piece, TimedWord, Utterance
from tts.spoken import words_for_ear

T = TypeVar("T")


async def unused(step: Callable[[], T]) -> T:
    """Stand for a compute pool that is never asked."""
    raise AssertionError(step)


def utterance(text: str) -> Utterance:
    """Return ``text`` as it is said."""
    return Utterance(words_for_ear(text), "en")


async def test_a_remote_voice_streams(mouth: Mouth) -> None:
    """An OpenAI-compatible endpoint is a voice: sound in pieces, the first before the last is made."""
    engine = RemoteEngine(f"{mouth.url}/v1", model="any", voice="joe")
    await engine.start()
    pieces = [piece async for piece in engine.speak(utterance("The price is $5.20, all in all."), unused)]
    await engine.close()
    assert len(pieces) > 2
    assert 1.5 < sum(len(piece.samples) for piece in pieces) / engine.sample_rate < 4.0
    assert [word.written for word in pieces[0].words] == ["The", "price", "is", "$5.20,", "all", "in", "all."]


async def test_words_of_a_remote_voice_keep_its_pace(mouth: Mouth) -> None:
    """However wrong the pace was believed to be, after some sentences the last word ends about where sound does."""
    engine = RemoteEngine(f"{mouth.url}/v1", model="any", voice="joe", characters_per_second=60.0)
    await engine.start()
    errors = []
    for _ in range(5):
        text = "The museum opens at nine in the morning, and it closes in the evening, except on Mondays."
        pieces = [piece async for piece in engine.speak(utterance(text), unused)]
        seconds = sum(len(piece.samples) for piece in pieces) / engine.sample_rate
        errors.append(abs(pieces[0].words[-1].end - seconds) / seconds)
    await engine.close()
    assert errors[-1] < errors[0] / 3


async def test_a_closed_utterance_closes_its_request(mouth: Mouth) -> None:
    """When the caller interrupts, the endpoint stops rendering what nobody will hear."""
    engine = RemoteEngine(f"{mouth.url}/v1", model="any", voice="joe")
    await engine.start()
    text = "This is one of many sentences that nobody will ever hear to its end. " * 50
    stream = engine.speak(utterance(text), unused)
    before = await figure(mouth, "tts_server_audio_seconds_total")
    await anext(stream)
    assert await figure(mouth, "tts_server_contexts") == 1
    await stream.aclose()
    while await figure(mouth, "tts_server_contexts"):
        await asyncio.sleep(0.05)
    await engine.close()
    # All of it would be more than 3 minutes of speech.
    assert await figure(mouth, "tts_server_audio_seconds_total") - before < 60


async def test_further_fields_reach_the_endpoint(mouth: Mouth) -> None:
    """What an engine wants besides OpenAI's fields is a setting; what it refuses is told in its own words."""
    parameters = {"response_format": "vorbis"}
    engine = RemoteEngine(f"{mouth.url}/v1", model="any", voice="joe", parameters=parameters)
    await engine.start()
    with pytest.raises(EngineError, match=r"400.*response_format"):
        await anext(engine.speak(utterance("Hello."), unused))
    await engine.close()


async def figure(mouth: Mouth, name: str) -> float:
    """Return one of the mouth's metrics for the voice joe, 0 while there is none."""
    async with httpx.AsyncClient() as http:
        lines = (await http.get(f"{mouth.url}/metrics")).text.splitlines()
    found = [line for line in lines if line.startswith(f'{name}{{voice="joe"}}')]
    return float(found[0].split()[1]) if found else 0.0


async def test_a_remote_voice_that_refuses(mouth: Mouth) -> None:
    """Its own words say why."""
    engine = RemoteEngine(f"{mouth.url}/v1", model="any", voice="nobody")
    await engine.start()
    with pytest.raises(EngineError, match=r"404.*nobody"):
        await anext(engine.speak(utterance("Hello."), unused))
    await engine.close()


async def test_a_remote_voice_that_is_gone() -> None:
    """No server there is an error, not a hang."""
    engine = RemoteEngine(f"http://127.0.0.1:{free_port()}/v1", model="any", voice="joe")
    await engine.start()
    with pytest.raises(EngineError, match="failed"):
        await anext(engine.speak(utterance("Hello."), unused))
    await engine.close()


class FakeEngine:
    """An engine that counts its utterances, and fails when told to."""

    sample_rate = 8000
    language = "en"

    def __init__(self) -> None:
        self.spoken = 0
        self.fails = False

    async def start(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def speak(self, said: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        """Give 100 samples in two pieces."""
        self.spoken += 1
        yield Piece(np.zeros(50, dtype=np.float32), (TimedWord(said.spoken, 0.0, 0.1),))
        if self.fails:
            raise EngineError("broken")
        yield Piece(np.ones(50, dtype=np.float32))


async def test_text_is_in_the_voices_language_unless_somebody_says_otherwise() -> None:
    """A German voice reads figures in German; a request's own language goes before."""
    for asked, said in ((None, "fünf Kilometer"), ("en", "five kilometers")):
        engine, pool = FakeEngine(), ComputePool(1)
        engine.language = "de"
        speaker = Speaker("a", engine, RawFormat("pcm_s16le", 8000), pool, Pauses(0.0, 0.0), language=asked)
        words = [word.written async for spoken in speaker.say("5 km") for word in spoken.words]
        pool.close()
        assert words == [said]


async def test_a_phrase_is_rendered_once() -> None:
    """The second time the same phrase comes from the cache; other settings are another phrase."""
    engine, cache = FakeEngine(), PhraseCache(10_000)
    voice = CachedEngine("a", engine, cache, max_characters=20)
    first = [piece async for piece in voice.speak(utterance("Hello."), unused)]
    assert [piece async for piece in voice.speak(utterance("Hello."), unused)] == first
    assert engine.spoken == 1
    faster = Utterance(words_for_ear("Hello."), "en", 1.2)
    assert len([piece async for piece in voice.speak(faster, unused)]) == 2
    other = CachedEngine("b", engine, cache, max_characters=20)
    assert len([piece async for piece in other.speak(utterance("Hello."), unused)]) == 2
    assert engine.spoken == 3


async def test_what_was_not_said_to_its_end_is_not_kept() -> None:
    """Neither a cancelled phrase nor a failed one, nor one too long."""
    engine, cache = FakeEngine(), PhraseCache(10_000)
    voice = CachedEngine("a", engine, cache, max_characters=20)
    cancelled = voice.speak(utterance("Hello."), unused)
    await anext(cancelled)
    await cancelled.aclose()
    engine.fails = True
    with pytest.raises(EngineError):
        [piece async for piece in voice.speak(utterance("Hello."), unused)]
    engine.fails = False
    [piece async for piece in voice.speak(utterance("A phrase that is too long."), unused)]
    assert len(cache) == 0


async def test_the_cache_is_bounded() -> None:
    """The phrase that was used longest ago goes first."""
    engine, cache = FakeEngine(), PhraseCache(900)
    voice = CachedEngine("a", engine, cache, max_characters=20)
    for text in ("One.", "Two.", "One.", "Three."):
        [piece async for piece in voice.speak(utterance(text), unused)]
    assert cache.size <= 900
    assert cache.get("a", utterance("One.")) is not None
    assert cache.get("a", utterance("Two.")) is None
