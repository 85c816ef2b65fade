"""What is said and what comes out: the words every part of the mouth speaks about, and the engine interface."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
T = TypeVar("T")


@dataclass(frozen=True)
class Word:
    """One word of a text.

    Attributes:
        written: as it stands in the transcript, with its punctuation.
        spoken: what is said for it; empty where nothing is.
        ipa: how it is said, where the caller gave phonemes; None leaves it to the engine.

    """

    written: str
    spoken: str
    ipa: str | None = None


@dataclass(frozen=True)
class TimedWord:
    """A written word and when it is heard: seconds from the first sample of its utterance."""

    written: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """One clause to be said in one breath.

    Attributes:
        words: its words, in order; at least one is spoken.
        language: BCP 47 tag of the text, such as ``en`` or ``es-MX``.
        speed: 1.0 is the voice's own pace, 2.0 twice as fast.

    """

    words: tuple[Word, ...]
    language: str
    speed: float = 1.0

    @property
    def spoken(self) -> str:
        """The text as it is said."""
        return " ".join(word.spoken for word in self.words if word.spoken)


@dataclass(frozen=True)
class Piece:
    """A stretch of speech: mono float samples in [-1, 1] at the engine's rate.

    ``words`` comes with the first piece of an utterance that carries sound and holds all its words.
    """

    samples: Samples
    words: tuple[TimedWord, ...] = ()


class Compute(Protocol):
    """Runs one short step of heavy work for an utterance when its turn has come."""

    async def __call__(self, step: Callable[[], T]) -> T:
        """Return ``step()``, run on a compute thread."""


class Engine(Protocol):
    """One voice of a speech engine: loaded once, shared by all calls."""

    @property
    def sample_rate(self) -> int:
        """Rate of every :class:`Piece`, samples a second; known once started."""

    @property
    def language(self) -> str:
        """BCP 47 tag of text whose language nobody said; known once started."""

    async def start(self) -> None:
        """Load what is needed.

        Raises:
            EngineError: it cannot be used.

        """

    async def close(self) -> None:
        """Let go of everything."""

    def speak(self, utterance: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        """Render ``utterance`` piece by piece; closing the iterator stops the rendering.

        Raises:
            EngineError: it cannot be rendered.

        """
