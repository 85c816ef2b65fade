"""Kokoro with its real weights: cut in two it is what it was, streamed it can be understood."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import jiwer
import numpy as np
import onnxruntime
import pytest
import soxr
from faster_whisper import WhisperModel

import tts.kokoro
from modelstore import locate
from tts.chunks import chunk_ranges
from tts.errors import EngineError
from tts.espeak import Phonemizer
from tts.kokoro import KokoroEngine
from tts.speech import Piece, Samples, Utterance, Word
from tts.spoken import words_for_ear
from tts.styletts import HOP, SAMPLE_RATE, Draft, KokoroNet

T = TypeVar("T")
MODEL, VOICE = "kokoro-82m", "jf_alpha"
PARIS = "ðə kˈæpɪTᵊl ɪz pˈæɹɪs,"  # noqa: RUF001 - phonemes


@pytest.fixture(scope="module")
def net() -> KokoroNet:
    """Load the network; `make models-test` brings it."""
    return KokoroNet(MODEL, VOICE, threads=1, device="cpu")


@pytest.fixture(scope="module")
def draft(net: KokoroNet) -> Draft:
    """Lay one clause out in time."""
    return net.plan(PARIS)


@pytest.fixture(scope="module")
def whole(net: KokoroNet, draft: Draft) -> Samples:
    """Give its sound, made at once."""
    return net.decode(draft, 0, draft.frames)


@pytest.fixture
async def engine(net: KokoroNet) -> AsyncIterator[KokoroEngine]:
    """Start an engine with a phonemiser of its own."""
    phonemizer = Phonemizer()
    engine = kokoro(phonemizer)
    await engine.start()
    yield engine
    await engine.close()
    await phonemizer.close()


def kokoro(phonemizer: Phonemizer, voice: str = VOICE) -> KokoroEngine:
    """Return an engine that is not started."""
    return KokoroEngine(MODEL, voice, phonemizer, language="en", threads=1, device="cpu")


async def on_thread(step: Callable[[], T]) -> T:
    """Run a step without any schedule."""
    return await asyncio.to_thread(step)


async def render(engine: KokoroEngine, text: str, language: str = "en") -> list[Piece]:
    """Return the pieces of ``text``."""
    utterance = Utterance(words_for_ear(text, language), language)
    return [piece async for piece in engine.speak(utterance, on_thread)]


def test_cut_in_two_it_says_what_it_said(net: KokoroNet, draft: Draft, whole: Samples) -> None:
    """The two parts one after the other give the samples of the undivided graph."""
    (path,) = locate(MODEL).glob("*.onnx")
    undivided = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    tokens = np.array([[0, *(net.alphabet[symbol] for symbol in PARIS), 0]])
    speed = np.ones(1, dtype=np.float32)
    (sound,) = undivided.run(None, {"tokens": tokens, "style": draft.style, "speed": speed})
    assert sound.reshape(-1).shape == whole.shape
    assert float(np.abs(sound.reshape(-1) - whole).max()) < 1e-3
    assert len(whole) == draft.frames * HOP
    assert int(draft.durations.sum()) == draft.frames


def test_ranges_join_without_a_seam(net: KokoroNet, draft: Draft, whole: Samples) -> None:
    """No jump between two ranges is larger than between two samples of the whole, and the waves run in step."""
    ranges = list(chunk_ranges(draft.frames, 16, 96))
    assert len(ranges) > 2
    streamed = np.concatenate([net.decode(draft, start, end) for start, end in ranges])
    assert streamed.shape == whole.shape
    jumps = [abs(float(streamed[start * HOP] - streamed[start * HOP - 1])) for start, _ in ranges[1:]]
    assert max(jumps) < float(np.abs(np.diff(whole)).max())
    # With the phase of its source lost, a range is uncorrelated with the whole: about 0.
    assert np.corrcoef(streamed, whole)[0, 1] > 0.4


async def test_words_are_timed_by_the_network(engine: KokoroEngine) -> None:
    """Words come in order with the first sound, each about where it is heard."""
    pieces = await render(engine, "Yes, and now the rest.")
    assert len(pieces) > 1
    words = pieces[0].words
    assert [word.written for word in words] == ["Yes,", "and", "now", "the", "rest."]
    assert all(before.start <= before.end <= after.end for before, after in pairwise(words))
    assert all(before.start <= after.start for before, after in pairwise(words))
    samples = np.concatenate([piece.samples for piece in pieces])
    assert words[0].start < 0.1
    assert words[-1].start < len(samples) / SAMPLE_RATE


async def test_streamed_speech_is_understood(engine: KokoroEngine) -> None:
    """Whisper writes down what was said in ranges."""
    pieces = await render(engine, "The museum opens at nine, and it closes at six.")
    sound = soxr.resample(np.concatenate([piece.samples for piece in pieces]), SAMPLE_RATE, 16000)
    ear = WhisperModel(str(locate("whisper-tiny.en")), device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = ear.transcribe(sound, beam_size=1, without_timestamps=True)
    heard = re.sub(r"[^a-z0-9 ]", "", " ".join(segment.text for segment in segments).lower())
    heard = heard.replace("nine", "9").replace("six", "6")
    assert jiwer.wer("the museum opens at 9 and it closes at 6", heard) < 0.35


async def test_a_clause_too_long_for_the_network_is_said_in_parts(
    engine: KokoroEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is lost, and its words keep their order."""
    monkeypatch.setattr(tts.kokoro, "MAX_SYMBOLS", 12)
    pieces = await render(engine, "One two three four.")
    words = [word.written for piece in pieces for word in piece.words]
    assert words == ["One", "two", "three", "four."]
    with pytest.raises(EngineError, match="a word of more than 12 phonemes"):
        await render(engine, "Incomprehensibilities")


async def test_what_it_cannot_say_is_an_error_that_tells_what_it_can(engine: KokoroEngine) -> None:
    """Another language, another voice, another graph, or not being loaded."""
    with pytest.raises(EngineError, match=r"'de'.*en-gb"):
        await render(engine, "Guten Tag.", "de")
    with pytest.raises(EngineError, match=r"no voice 'af_none'.*jf_alpha"):
        await kokoro(Phonemizer(), "af_none").start()
    with pytest.raises(EngineError, match="not loaded"):
        await render(kokoro(Phonemizer()), "Hello.")


async def test_phonemes_are_taken_in_any_language(engine: KokoroEngine) -> None:
    """Words given as phonemes need no phonemiser."""
    utterance = Utterance((Word("はい", "", "hˈai"),), "ja")  # noqa: RUF001 - phonemes
    pieces = [piece async for piece in engine.speak(utterance, on_thread)]
    assert sum(len(piece.samples) for piece in pieces) > 0.1 * SAMPLE_RATE


def test_a_model_of_another_kind_is_refused(net: KokoroNet, tmp_path: Path) -> None:
    """A directory with a graph that has no such parts says which graphs have."""
    for name in ("voices.npz", "config.json"):
        (tmp_path / name).write_bytes((locate(MODEL) / name).read_bytes())
    voice = next(locate("piper-en_US-joe-medium").glob("*.onnx"))
    (tmp_path / "other.onnx").write_bytes(voice.read_bytes())
    with pytest.raises(EngineError, match=r"kokoro-v1.0.onnx"):
        KokoroNet(str(tmp_path), VOICE, threads=1, device="cpu")
