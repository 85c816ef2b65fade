"""The pipecat service that talks to the mouth: pipecat's own Cartesia client, with our clauses and event times."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

from pipecat.frames.frames import EagerEndOfTurnCancelFrame, Frame, InterruptionFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp
from pipecat.utils.text.base_text_aggregator import Aggregation, BaseTextAggregator, TextType

from tts.clauses import ClauseSplitter

#: Called with the monotonic time of what the name says.
Listener = Callable[[float], None]


class ClauseAggregator(BaseTextAggregator):
    """Gives the mouth the earliest clause that sounds right.

    pipecat's own aggregator waits for the next sentence's first letter, or for the end of the stream.
    """

    def __init__(self, *, text_language: str) -> None:
        super().__init__()
        self._text_language = text_language
        self._splitter = ClauseSplitter(text_language)

    @property
    def text(self) -> Aggregation:
        """The text that waits for the rest of its clause."""
        return Aggregation(text=self._splitter.pending, type=TextType.SENTENCE)

    async def aggregate(self, text: str) -> AsyncIterator[Aggregation]:
        """Yield the clauses that ``text`` completes."""
        for clause in self._splitter.feed(text, time.monotonic()):
            yield Aggregation(text=clause, type=TextType.SENTENCE)

    async def flush(self) -> Aggregation | None:
        """Return what is left: the stream has ended."""
        rest = "".join(self._splitter.flush())
        await self.reset()
        return Aggregation(text=rest, type=TextType.SENTENCE) if rest.strip() else None

    async def handle_interruption(self) -> None:
        """Forget what is left: the caller interrupted."""
        await self.reset()

    async def reset(self) -> None:
        """Begin a new stream of text."""
        self._splitter = ClauseSplitter(self._text_language)


class MouthService(CartesiaTTSService):
    """pipecat's Cartesia service for Offhook's mouth.

    Args:
        on_text: told when a piece of text is sent.
        on_audio: told when a piece of audio arrives.
        is_speculating: whether what is being rendered answers a turn that is not confirmed.
        text_language: BCP 47 tag of the text, for the clause splitter.
        kwargs: what pipecat's service takes.

    """

    def __init__(
        self,
        *,
        on_text: Listener,
        on_audio: Listener,
        is_speculating: Callable[[], bool],
        text_language: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._text_aggregator = ClauseAggregator(text_language=text_language)  # type: ignore[assignment]
        self._on_text = on_text
        self._on_audio = on_audio
        self._is_speculating = is_speculating

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; a withdrawn speculation stops being rendered at once."""
        if isinstance(frame, EagerEndOfTurnCancelFrame) and self._is_speculating():
            await self._handle_interruption(InterruptionFrame(), direction)
        await super().process_frame(frame, direction)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Send ``text`` to the mouth; audio comes back through the context."""
        self._on_text(time.monotonic())
        async for frame in super().run_tts(text, context_id):
            yield frame

    async def append_to_audio_context(
        self, context_id: str | None, frame: Frame | WordTimestamp | None
    ) -> None:
        """Queue what has arrived for ``context_id``."""
        if isinstance(frame, TTSAudioRawFrame):
            self._on_audio(time.monotonic())
        await super().append_to_audio_context(context_id, frame)
