# ruff: noqa: RUF001 - punctuation of many scripts
"""One stream of speech: chunks of text in, encoded audio and word times out, in order."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from tts.lexicon import EMPTY, Lexicon
from tts.markup import stretches
from tts.schedule import ComputePool, Playback
from tts.sound import Encoder, RawFormat
from tts.speech import Engine, Samples, TimedWord, Utterance, Word
from tts.spoken import words_for_ear

T = TypeVar("T")

_SENTENCE_ENDS = ".!?…。！？｡।॥؟۔\n"
_CLOSERS = "\"'”’»)]*_）」』】 \t"


@dataclass(frozen=True)
class Pauses:
    """Silence put between two chunks of a stream, seconds, by what the first one ended with."""

    clause: float
    sentence: float

    def after(self, text: str) -> float:
        """Return the pause that belongs after ``text``."""
        end = text.rstrip(_CLOSERS)[-1:]
        if end in _SENTENCE_ENDS:
            return self.sentence
        return 0.0 if end.isalnum() else self.clause


@dataclass(frozen=True)
class Spoken:
    """A stretch of the stream, encoded, and the words that begin in this chunk of text.

    ``words`` count seconds from the first sample of the stream; ``step_seconds`` is what it took to make.
    """

    audio: bytes
    words: tuple[TimedWord, ...]
    step_seconds: float


class Speaker:
    """Speaks one stream with one voice in one format.

    Args:
        voice: its name.
        engine: what renders it.
        target: the audio to make.
        pool: where the heavy steps run.
        pauses: silence between chunks.
        language: BCP 47 tag of the text; None for the voice's own.
        lexicon: what its owner wants said otherwise.
        speed: 1.0 is the voice's own pace.
        volume: factor on the samples.
        surplus: whether it goes beyond the fair share of its connection.
        max_ahead_seconds: how far it renders ahead of what its listener has heard; None for as far as it can.
        clock: seconds, monotonic.

    """

    def __init__(
        self,
        voice: str,
        engine: Engine,
        target: RawFormat,
        pool: ComputePool,
        pauses: Pauses,
        *,
        language: str | None = None,
        lexicon: Lexicon = EMPTY,
        speed: float = 1.0,
        volume: float = 1.0,
        surplus: bool = False,
        max_ahead_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.voice = voice
        self._engine = engine
        self._pool = pool
        self._pauses = pauses
        self.language = language or engine.language
        self._lexicon = lexicon
        self._speed = speed
        self._volume = volume
        self._surplus = surplus
        self._max_ahead = max_ahead_seconds
        self._clock = clock
        self._encoder = Encoder(engine.sample_rate, target)
        self._playback: Playback | None = None
        self._samples = 0
        self._pause = 0.0

    @property
    def seconds(self) -> float:
        """Length of what has been said so far."""
        return self._samples / self._engine.sample_rate

    async def say(self, text: str) -> AsyncGenerator[Spoken]:
        """Say ``text`` and yield its audio as it is made.

        Raises:
            EngineError: the engine cannot say it.

        """
        for stretch in stretches(text):
            self._pause += stretch.pause
            self._speed = stretch.speed or self._speed
            self._volume = stretch.volume or self._volume
            words = words_for_ear(stretch.text, self.language, self._lexicon)
            if any(word.spoken or word.ipa for word in words):
                async with aclosing(self._speak(words)) as pieces:
                    async for spoken in pieces:
                        yield spoken
                self._pause = self._pauses.after(stretch.text)
            elif words:
                silent = tuple(TimedWord(word.written, 0.0, 0.0) for word in words)
                yield Spoken(b"", shift(silent, self.seconds), 0.0)

    def finish(self) -> bytes:
        """Return the last of the audio."""
        return self._encoder.finish()

    async def _speak(self, words: tuple[Word, ...]) -> AsyncGenerator[Spoken]:
        if self._playback is None:
            self._playback = Playback(self._clock(), surplus=self._surplus, max_ahead_seconds=self._max_ahead)
        lead = np.zeros(round(self._pause * self._engine.sample_rate), dtype=np.float32)
        started = self._clock()
        utterance = Utterance(words, self.language, self._speed)
        async with aclosing(self._engine.speak(utterance, self._compute)) as pieces:
            async for piece in pieces:
                audio = self._encode(np.concatenate((lead, piece.samples)))
                words_from = self.seconds - len(piece.samples) / self._engine.sample_rate
                yield Spoken(audio, shift(piece.words, words_from), self._clock() - started)
                started, lead = self._clock(), lead[:0]

    def _encode(self, samples: Samples) -> bytes:
        assert self._playback is not None
        self._samples += len(samples)
        self._playback.sent(len(samples) / self._engine.sample_rate, self._clock())
        return self._encoder.feed(samples if self._volume == 1.0 else samples * np.float32(self._volume))

    async def _compute(self, step: Callable[[], T]) -> T:
        assert self._playback is not None
        await asyncio.sleep(self._playback.put_off(self._clock()))
        return await self._pool.run(self._playback.urgency(), step)


def shift(words: tuple[TimedWord, ...], seconds: float) -> tuple[TimedWord, ...]:
    """Return ``words`` heard ``seconds`` later."""
    return tuple(
        replace(word, start=round(word.start + seconds, 4), end=round(word.end + seconds, 4))
        for word in words
    )
