# ruff: noqa: RUF001 - other scripts and phonemes
"""The real voice: streamed sound equals whole sound, words are where they are said."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest

from tts.chunks import chunk_ranges
from tts.errors import EngineError
from tts.espeak import Phonemizer
from tts.piper import PiperEngine
from tts.speech import Piece, Utterance
from tts.spoken import words_for_ear
from tts.vits import SoundStream, VitsVoice

T = TypeVar("T")
MODEL = "piper-en_US-joe-medium"
#: What one step of 16-bit sound is: processors round differently, and a smaller difference cannot be heard or sent.
SIXTEEN_BIT_STEP = 1 / 32768


@pytest.fixture(scope="module")
def voice() -> VitsVoice:
    """Load the voice once."""
    return VitsVoice(MODEL, threads=1)


@pytest.fixture
async def engine() -> AsyncIterator[PiperEngine]:
    """Start an engine with a phonemiser of its own."""
    phonemizer = Phonemizer()
    engine = PiperEngine(MODEL, phonemizer, threads=1)
    await engine.start()
    yield engine
    await engine.close()
    await phonemizer.close()


async def on_thread(step: Callable[[], T]) -> T:
    """Run a step without any schedule."""
    return await asyncio.to_thread(step)


async def render(engine: PiperEngine, text: str) -> list[Piece]:
    """Return the pieces of ``text``."""
    return [piece async for piece in engine.speak(Utterance(words_for_ear(text), "en"), on_thread)]


def test_chunks_equal_the_whole(voice: VitsVoice) -> None:
    """Decoding range by range gives the samples of decoding all at once, at float rounding."""
    ids = voice.config.ids("ðə kˈæpɪɾəl ʌv fɹˈæns ɪz pˈæɹɪs.")
    draft = voice.encode(ids)
    whole = voice.decode(voice.flow(draft, 0, draft.frames))
    for first, largest in [(16, 64), (4, 8), (1, 1000)]:
        sound = SoundStream(voice, draft)
        ranges = chunk_ranges(draft.frames, first, largest)
        streamed = np.concatenate([sound.decode(start, end) for start, end in ranges])
        assert streamed.shape == whole.shape
        assert float(np.abs(streamed - whole).max()) < SIXTEEN_BIT_STEP
    assert int(draft.durations.sum()) == draft.frames


def test_ranges_cover_all_frames_once() -> None:
    """Every frame is in one range, in order, none larger than allowed."""
    for frames in (0, 1, 15, 16, 17, 500):
        ranges = list(chunk_ranges(frames, 16, 64))
        assert [frame for start, end in ranges for frame in range(start, end)] == list(range(frames))
        assert all(end - start <= 64 for start, end in ranges)


def test_unknown_symbols_keep_positions(voice: VitsVoice) -> None:
    """A symbol the voice lacks is silent and does not shift the others."""
    assert len(voice.config.ids("a☃b")) == len(voice.config.ids("aab"))


async def test_words_are_timed_where_they_sound(engine: PiperEngine) -> None:
    """Each word's time lies in the sound, in order, and what is silent between sentences is between words."""
    pieces = await render(engine, "One of the best, and now the rest.")
    samples = np.concatenate([piece.samples for piece in pieces])
    words = next(piece.words for piece in pieces if piece.words)
    assert [word.written for word in words] == ["One", "of", "the", "best,", "and", "now", "the", "rest."]
    assert all(0 <= word.start <= word.end for word in words)
    assert all(before.start <= after.start for before, after in pairwise(words))
    # The last word may end in quiet that is trimmed away.
    assert words[-1].end <= len(samples) / engine.sample_rate + 0.1
    loudness = [energy(samples, word.start, word.end, engine.sample_rate) for word in words]
    assert min(loudness) > 10 * energy(samples, words[3].end - 0.01, words[3].end + 0.03, engine.sample_rate)


def energy(samples: np.ndarray, start: float, end: float, rate: int) -> float:  # type: ignore[type-arg]
    """Return the mean power between two times."""
    return float(np.mean(np.square(samples[int(start * rate) : int(end * rate) + 1])))


async def test_the_first_sound_comes_at_once(engine: PiperEngine) -> None:
    """The silence before the first sound is at most the margin that keeps soft onsets whole."""
    pieces = await render(engine, "Hello there.")
    loud = np.flatnonzero(np.abs(np.concatenate([piece.samples for piece in pieces])) > 0.01)
    assert loud[0] < 0.05 * engine.sample_rate


async def test_an_engine_that_was_not_started_says_so() -> None:
    """A missing voice is an error, not a crash."""
    with pytest.raises(EngineError, match="not loaded"):
        await render(PiperEngine(MODEL, Phonemizer(), threads=1), "Hello.")


async def test_speed_changes_the_length(engine: PiperEngine) -> None:
    """Twice the speed is about half the length."""
    lengths = []
    for speed in (1.0, 2.0):
        utterance = Utterance(words_for_ear("This is a sentence of some length."), "en", speed)
        pieces = [piece async for piece in engine.speak(utterance, on_thread)]
        lengths.append(sum(len(piece.samples) for piece in pieces))
    assert 0.35 < lengths[1] / lengths[0] < 0.7
