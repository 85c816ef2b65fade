"""Kokoro voices: espeak phonemes in Kokoro's alphabet, a StyleTTS 2 network, sound streamed while it is made."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from tts.chunks import chunk_ranges
from tts.errors import EngineError
from tts.espeak import Phonemizer
from tts.misaki import ESPEAK_VOICES, espeak_voice, to_misaki
from tts.pronounce import Pronunciation, pronounce
from tts.speech import Compute, Piece, Samples, TimedWord, Utterance
from tts.styletts import HOP, MAX_SYMBOLS, SAMPLE_RATE, Draft, KokoroNet
from tts.timing import time_words
from tts.trim import SilenceTrimmer

#: Frames of the silence before the first phoneme that are decoded: soft onsets begin in it.
ONSET_FRAMES = 2


class KokoroEngine:
    """One Kokoro voice.

    Args:
        model: name of the model in the model store, or a path to its directory.
        voice: name of the voice in the model.
        phonemizer: what turns text into phonemes; shared.
        language: BCP 47 tag of text whose language is not said.
        threads: compute threads of one step.
        device: ``cpu`` or ``cuda``.
        first_frames: frames of the first piece (25 ms each).
        largest_frames: frames of the largest; also what a cancelled utterance may still cost.

    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        model: str,
        voice: str,
        phonemizer: Phonemizer,
        *,
        language: str,
        threads: int,
        device: str,
        first_frames: int = 16,
        largest_frames: int = 96,
    ) -> None:
        self.language = language
        self._model = model
        self._voice = voice
        self._phonemizer = phonemizer
        self._threads = threads
        self._device = device
        self._first_frames = first_frames
        self._largest_frames = largest_frames
        self._net: KokoroNet | None = None

    async def start(self) -> None:
        """Load the model; the first time, split its graph."""
        self._net = await asyncio.to_thread(
            KokoroNet, self._model, self._voice, threads=self._threads, device=self._device
        )

    async def close(self) -> None:
        """Let go of the model."""
        self._net = None

    async def speak(self, utterance: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        """Render ``utterance``: laid out in time first, then its sound range by range."""
        if self._net is None:
            raise EngineError(f"voice {self._voice} of {self._model} is not loaded")
        said = await self._pronounce(utterance, self._net)
        if not said.symbols:
            return
        if len(said.symbols) > MAX_SYMBOLS:
            rendering = self._speak_halves(utterance, compute)
        else:
            rendering = self._render(self._net, utterance, said, compute)
        async with aclosing(rendering) as pieces:
            async for piece in pieces:
                yield piece

    async def _pronounce(self, utterance: Utterance, net: KokoroNet) -> Pronunciation:
        voice = espeak_voice(utterance.language)
        if voice is None:
            if any(word.spoken and word.ipa is None for word in utterance.words):
                raise EngineError(
                    f"Kokoro has no phonemes for language {utterance.language!r}; it has them for "
                    f"{', '.join(sorted(ESPEAK_VOICES))}"
                )
            voice = self.language
        return to_misaki(await pronounce(self._phonemizer, voice, utterance.words), voice, net.alphabet)

    async def _speak_halves(self, utterance: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        words = utterance.words
        if len(words) == 1:
            raise EngineError(
                f"a word of more than {MAX_SYMBOLS} phonemes cannot be said: {words[0].written:.40}"
            )
        middle = len(words) // 2
        for half in (words[:middle], words[middle:]):
            async with aclosing(self.speak(replace(utterance, words=half), compute)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _render(
        self, net: KokoroNet, utterance: Utterance, said: Pronunciation, compute: Compute
    ) -> AsyncGenerator[Piece]:
        # One step up to the first sound: between two, another call's step could slip in.
        draft, skipped, samples = await compute(partial(self._begin, net, said.symbols, utterance.speed))
        trimmer = SilenceTrimmer(SAMPLE_RATE)
        words: tuple[TimedWord, ...] | None = None
        for start, end in chunk_ranges(draft.frames - skipped, self._first_frames, self._largest_frames):
            if start:
                samples = await compute(partial(net.decode, draft, start + skipped, end + skipped))
            audible = trimmer.feed(samples)
            if not len(audible):
                continue
            if words is None:
                # Symbol k is id k + 1: it begins where the id before it ends.
                borders = (draft.durations.cumsum() - skipped) * HOP - trimmer.dropped
                words = time_words(utterance.words, said.spans, borders, SAMPLE_RATE)
                yield Piece(audible, words)
            else:
                yield Piece(audible)
        if len(tail := trimmer.finish()):
            yield Piece(tail)

    def _begin(self, net: KokoroNet, symbols: str, speed: float) -> tuple[Draft, int, Samples]:
        draft = net.plan(symbols, speed=speed)
        skipped = max(0, int(draft.durations[0]) - ONSET_FRAMES)
        return draft, skipped, net.decode(draft, skipped, min(draft.frames, skipped + self._first_frames))
