"""Piper voices: espeak phonemes, a VITS model, sound streamed while it is decoded."""

import asyncio
from collections.abc import AsyncGenerator
from functools import partial

from tts.chunks import chunk_ranges
from tts.errors import EngineError
from tts.espeak import Phonemizer
from tts.pronounce import pronounce
from tts.speech import Compute, Piece, Samples, TimedWord, Utterance
from tts.timing import time_words
from tts.trim import SilenceTrimmer
from tts.vits import Draft, SoundStream, VitsVoice


class PiperEngine:
    """One Piper voice.

    Args:
        model: name of the voice in the model store, or a path to its directory.
        phonemizer: what turns text into phonemes; shared.
        threads: compute threads of one step.
        first_frames: latent frames of the first piece (12 ms each with most voices).
        largest_frames: latent frames of the largest; also what a cancelled utterance may still cost.

    """

    sample_rate = 0
    language = "en"

    def __init__(
        self,
        model: str,
        phonemizer: Phonemizer,
        *,
        threads: int,
        first_frames: int = 16,
        largest_frames: int = 64,
    ) -> None:
        self._model = model
        self._phonemizer = phonemizer
        self._threads = threads
        self._first_frames = first_frames
        self._largest_frames = largest_frames
        self._voice: VitsVoice | None = None

    async def start(self) -> None:
        """Load the voice; the first time, split its graph."""
        self._voice = await asyncio.to_thread(VitsVoice, self._model, threads=self._threads)
        self.sample_rate = self._voice.config.sample_rate
        self.language = self._voice.config.language

    async def close(self) -> None:
        """Let go of the voice."""
        self._voice = None

    async def speak(self, utterance: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        """Render ``utterance``: laid out in time first, then its sound range by range."""
        voice = self._voice
        if voice is None:
            raise EngineError(f"voice {self._model} is not loaded")
        said = await pronounce(self._phonemizer, voice.config.espeak_voice, utterance.words)
        ids = voice.config.ids(said.symbols)
        # One step up to the first sound: between two, another call's step could slip in.
        draft, sound, samples = await compute(partial(self._begin, voice, ids, utterance.speed))
        trimmer = SilenceTrimmer(self.sample_rate)
        words: tuple[TimedWord, ...] | None = None
        for start, end in chunk_ranges(draft.frames, self._first_frames, self._largest_frames):
            if start:
                samples = await compute(partial(sound.decode, start, end))
            audible = trimmer.feed(samples)
            if not len(audible):
                continue
            if words is None:
                # Symbol k has ids 2 + 2k and 3 + 2k; the id before its first one ends where it starts.
                borders = draft.durations.cumsum()[1::2] * voice.hop - trimmer.dropped
                words = time_words(utterance.words, said.spans, borders, self.sample_rate)
                yield Piece(audible, words)
            else:
                yield Piece(audible)
        if len(tail := trimmer.finish()):
            yield Piece(tail)

    def _begin(self, voice: VitsVoice, ids: list[int], speed: float) -> tuple[Draft, SoundStream, Samples]:
        draft = voice.encode(ids, speed=speed)
        sound = SoundStream(voice, draft)
        return draft, sound, sound.decode(0, min(self._first_frames, draft.frames))
