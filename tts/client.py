"""The pipecat service that talks to the mouth: pipecat's own Cartesia client, with our clauses and event times."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    ControlFrame,
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.utils.context.word_timestamp_tracker import WordTimestamp
from pipecat.utils.text.base_text_aggregator import Aggregation, BaseTextAggregator, TextType

from tts.clauses import ClauseSplitter

#: How long the words of an answer's first chunk wait for the rest of their clause, and those of later ones, seconds.
#: Somebody waits for the first; the later ones are usually still being listened to when they are complete.
CLAUSE_WAIT_SECONDS = (0.8, 3.0)

#: Sound that may wait at the gateway to be played, seconds. What an interruption throws away is not worth the
#: processor, which the ear needs when somebody speaks into an answer.
MAX_AHEAD_SECONDS = 5.0

#: Called with the monotonic time of what the name says.
Listener = Callable[[float], None]


@dataclass
class ClauseDueFrame(ControlFrame):
    """Words have waited long enough for the rest of their clause; it takes its turn between the other frames."""


class ClauseAggregator(BaseTextAggregator):
    """Gives the mouth the earliest clause that sounds right.

    pipecat's own aggregator waits for the next sentence's first letter, or for the end of the stream.

    Args:
        text_language: BCP 47 tag of the text.
        wait_seconds: how long words wait for the rest of their clause (:class:`tts.clauses.ClauseSplitter`).

    """

    def __init__(self, *, text_language: str, wait_seconds: Sequence[float] = CLAUSE_WAIT_SECONDS) -> None:
        super().__init__()
        self._text_language = text_language
        self._wait_seconds = tuple(wait_seconds)
        self._splitter = self._new_splitter()

    @property
    def text(self) -> Aggregation:
        """The text that waits for the rest of its clause."""
        return Aggregation(text=self._splitter.pending, type=TextType.SENTENCE)

    @property
    def due(self) -> float | None:
        """When :meth:`tick` should be called, seconds; None while nothing waits."""
        return self._splitter.due

    def tick(self, now: float) -> list[Aggregation]:
        """Return what has waited too long at ``now``."""
        return [Aggregation(text=clause, type=TextType.SENTENCE) for clause in self._splitter.tick(now)]

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
        self._splitter = self._new_splitter()

    def _new_splitter(self) -> ClauseSplitter:
        return ClauseSplitter(self._text_language, max_wait_seconds=self._wait_seconds)


class MouthService(CartesiaTTSService):
    """pipecat's Cartesia service for Offhook's mouth.

    Args:
        on_text: told when a piece of text is sent.
        on_audio: told when a piece of audio arrives.
        is_speculating: whether what is being rendered answers a turn that is not confirmed.
        text_language: BCP 47 tag of the text, for the clause splitter.
        lexicon: how words are said (:class:`tts.lexicon.Lexicon`).
        turn_headers: trace context of the turn in progress, as headers.
        kwargs: what pipecat's service takes.

    """

    def __init__(
        self,
        *,
        on_text: Listener,
        on_audio: Listener,
        is_speculating: Callable[[], bool],
        text_language: str,
        lexicon: Mapping[str, str],
        turn_headers: Callable[[], Mapping[str, str]] = dict,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._clauses = ClauseAggregator(text_language=text_language)
        self._text_aggregator = self._clauses  # type: ignore[assignment]
        self._lexicon = dict(lexicon)
        self._begun_context = ""
        self._text_changed = asyncio.Event()
        self._turn_headers = turn_headers
        self._on_text = on_text
        self._on_audio = on_audio
        self._is_speculating = is_speculating

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Connect, and begin to watch the text that waits."""
        await super().setup(setup)
        self._watch = self.create_task(self._watch_text(), "tts-watch-text")

    async def cleanup(self) -> None:
        """Stop watching, and disconnect."""
        await self.cancel_task(self._watch)
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Process a frame; a withdrawn speculation stops being rendered at once."""
        if isinstance(frame, ClauseDueFrame):
            for clause in self._clauses.tick(time.monotonic()):
                await self._handle_aggregated_text(self._aggregated_text_frame(clause))
            self._text_changed.set()
            return
        if isinstance(frame, EagerEndOfTurnCancelFrame) and self._is_speculating():
            await self._handle_interruption(InterruptionFrame(), direction)
        await super().process_frame(frame, direction)
        self._text_changed.set()

    async def _watch_text(self) -> None:
        while True:
            due = self._clauses.due
            self._text_changed.clear()
            try:
                async with asyncio.timeout(None if due is None else due - time.monotonic()):
                    await self._text_changed.wait()
            except TimeoutError:
                await self.queue_frame(ClauseDueFrame())
                await self._text_changed.wait()

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

    def _build_msg(
        self,
        text: str = "",
        continue_transcript: bool = True,
        add_timestamps: bool = True,
        context_id: str = "",
    ) -> str:
        message: str = super()._build_msg(text, continue_transcript, add_timestamps, context_id)
        if context_id == self._begun_context:
            return message
        self._begun_context = context_id
        lexicon = {"pronunciation_dict": self._lexicon} if self._lexicon else {}
        own = {"max_ahead_seconds": MAX_AHEAD_SECONDS, **lexicon, **self._turn_headers()}
        return json.dumps(json.loads(message) | own)
