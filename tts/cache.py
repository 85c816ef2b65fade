"""Set phrases rendered once: a bounded memory of short utterances in front of an engine."""

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing

from tts.metrics import CACHE
from tts.speech import Compute, Engine, Piece, Utterance


class PhraseCache:
    """Rendered utterances, the least recently used forgotten first.

    Args:
        max_bytes: bound on the samples kept; 0 keeps nothing.

    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._phrases: OrderedDict[tuple[str, Utterance], tuple[Piece, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._phrases)

    @property
    def size(self) -> int:
        """Bytes of the samples kept."""
        return self._bytes

    def get(self, voice: str, utterance: Utterance) -> tuple[Piece, ...] | None:
        """Return what ``voice`` said for ``utterance`` before."""
        phrase = self._phrases.get((voice, utterance))
        if phrase is not None:
            self._phrases.move_to_end((voice, utterance))
        return phrase

    def put(self, voice: str, utterance: Utterance, phrase: tuple[Piece, ...]) -> None:
        """Keep ``phrase``, forgetting others to make room."""
        needed = _size(phrase)
        if needed > self._max_bytes:
            return
        self._bytes += needed - _size(self._phrases.pop((voice, utterance), ()))
        self._phrases[voice, utterance] = phrase
        while self._bytes > self._max_bytes:
            self._bytes -= _size(self._phrases.popitem(last=False)[1])


class CachedEngine:
    """An engine that remembers the short phrases it has said to the end.

    Args:
        voice: name of the voice, part of the key.
        engine: what renders.
        cache: shared by all voices.
        max_characters: longest text that is remembered.

    """

    def __init__(self, voice: str, engine: Engine, cache: PhraseCache, *, max_characters: int) -> None:
        self._voice = voice
        self._engine = engine
        self._cache = cache
        self._max_characters = max_characters

    @property
    def sample_rate(self) -> int:
        """Rate of the engine, samples a second."""
        return self._engine.sample_rate

    @property
    def language(self) -> str:
        """Language of the engine."""
        return self._engine.language

    async def start(self) -> None:
        """Load the engine."""
        await self._engine.start()

    async def close(self) -> None:
        """Let go of the engine."""
        await self._engine.close()

    async def speak(self, utterance: Utterance, compute: Compute) -> AsyncGenerator[Piece]:
        """Return what was said before, or let the engine say it."""
        if len(utterance.spoken) > self._max_characters:
            async with aclosing(self._engine.speak(utterance, compute)) as pieces:
                async for piece in pieces:
                    yield piece
            return
        phrase = self._cache.get(self._voice, utterance)
        CACHE.labels("miss" if phrase is None else "hit").inc()
        if phrase is not None:
            for piece in phrase:
                yield piece
            return
        said: list[Piece] = []
        async with aclosing(self._engine.speak(utterance, compute)) as pieces:
            async for piece in pieces:
                said.append(piece)
                yield piece
        self._cache.put(self._voice, utterance, tuple(said))


def _size(phrase: tuple[Piece, ...]) -> int:
    return sum(piece.samples.nbytes for piece in phrase)
