"""The last word before the door: holds what is not confirmed yet, and lets speech out in real time.

A pipecat processor between the mouth and the transport. pipecat's :class:`SpeculationGate` decides what of a
speculative answer may leave; standing here, after the mouth, it lets mind and mouth work while the turn is
still open. :class:`~orchestration.playout.Playout` decides when.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from pipecat.frames.frames import (
    AggregatedTextProgressFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    OutputTransportMessageFrame,
    SystemFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.turns.speculation_gate import SpeculationGate

from orchestration.control import HeardFrame
from orchestration.playback import Playback
from orchestration.playout import Playout

BYTES_PER_SAMPLE = 2
#: Speech is cut into pieces of this length, seconds: what can be stopped between.
PIECE_SECONDS = 0.02
#: Leave with the sound of their word: the word itself, and what it leaves unsaid of its sentence.
Word = TTSTextFrame | AggregatedTextProgressFrame
#: How the position of a word in its context's sound travels with its frame.
POSITION = "offhook.position"
#: How an answer's first frame says that the turn it answers may not be over. Said beside the frames, it would be lost
#: where the interruption with which that turn begins is still on its way: nothing would be held.
SPECULATIVE = "offhook.speculative"


class OnSpeech(Protocol):
    """Is told that speech begins to leave."""

    def __call__(self, *, of_conversation: bool) -> None:
        """Take note of it."""


class Speaker(FrameProcessor):
    """See the module's text.

    Args:
        on_said: told the words as they are heard.
        on_sound: told the sound (16-bit PCM) as it leaves.
        on_speech: told that speech begins to leave, and whether it is part of the conversation.
        playback: how the carrier plays what it is sent.

    """

    def __init__(
        self,
        *,
        on_said: Callable[[str], None] = lambda _: None,
        on_sound: Callable[[bytes], None] = lambda _: None,
        on_speech: OnSpeech = lambda *, of_conversation: None,
        playback: Playback | None = None,
    ) -> None:
        super().__init__()
        self.gate = SpeculationGate(name="Speaker")
        self._playout: Playout[Frame] = Playout()
        self._on_said = on_said
        self._on_sound = on_sound
        self._on_speech = on_speech
        self._playback = playback or Playback()
        self._context_began: float | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # What the call asks and tells.

    def speaking(self) -> bool:
        """Return whether the caller hears the agent, or would if it were not silenced."""
        return self._playout.speaking(time.monotonic())

    def silence(self) -> bool:
        """Stop at once, keeping what is left; return whether there was anything to stop."""
        stopped = self._playout.pause(time.monotonic())
        if stopped:
            self._playback.stop()
        return stopped

    def go_on(self) -> None:
        """Go on from where it was stopped."""
        self._playout.resume(time.monotonic(), self._playback.go_on())
        self._wake.set()

    # pipecat.

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hold, pace or pass a frame."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
            return
        if isinstance(frame, InterruptionFrame | CancelFrame):
            await self._forget()
        if isinstance(frame, LLMFullResponseStartFrame):
            self.gate.begin_speculation(frame.metadata.get(SPECULATIVE, False))
        self._note_position(frame)
        for released, _ in self.gate.process(frame, direction):
            if isinstance(released, SystemFrame):
                await self.push_frame(released)
            elif isinstance(released, EndFrame):
                await self._forget()
                await self.push_frame(released)
            else:
                self._queue(released)
        self._start()

    async def cleanup(self) -> None:
        """Stop the pacing task."""
        if self._task:
            await self.cancel_task(self._task)
            self._task = None
        await super().cleanup()  # type: ignore[no-untyped-call]

    def _start(self) -> None:
        self._wake.set()
        if self._task is None:
            self._task = self.create_task(self._pace(), "pace")

    async def _pace(self) -> None:
        while True:
            self._wake.clear()
            for frame in self._playout.due(time.monotonic()):
                if isinstance(frame, TTSTextFrame):
                    self._on_said(frame.text)
                elif isinstance(frame, TTSStartedFrame):
                    self._on_speech(of_conversation=frame.append_to_context)
                elif isinstance(frame, HeardFrame):
                    frame.heard.set()
                elif isinstance(frame, TTSAudioRawFrame):
                    self._on_sound(frame.audio)
                    await self._push_sound(frame)
                    continue
                await self.push_frame(frame)
            due = self._playout.next_due()
            if due is None:
                await self._wake.wait()
            elif (wait := due - time.monotonic()) > 0:
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    pass  # the next piece is due

    async def _push_sound(self, frame: TTSAudioRawFrame) -> None:
        await self.push_frame(frame)
        mark = self._playback.sent(frame.num_frames / frame.sample_rate, time.monotonic())
        if mark:
            await self.push_frame(OutputTransportMessageFrame(message=mark))
        self._playout.lag_seconds = self._playback.lag

    async def _forget(self) -> None:
        self._playback.cleared()
        for frame in self._playout.clear():
            if not frame.interruptible:
                await self.push_frame(frame)

    def _note_position(self, frame: Frame) -> None:
        """Turn the clock time a word is stamped with into its position in the sound.

        pipecat stamps words from the moment the first sound of their context passed the mouth, which is the
        moment it came here.
        """
        now = self.get_clock().get_time()
        if isinstance(frame, TTSStartedFrame):
            self._context_began = None
        elif isinstance(frame, TTSAudioRawFrame) and self._context_began is None:
            self._context_began = now
        if isinstance(frame, Word) and frame.pts is not None:
            began = now if self._context_began is None else self._context_began
            frame.metadata[POSITION] = max(0.0, (frame.pts - began) / 1e9)
        if not isinstance(frame, SystemFrame):
            frame.pts = None

    def _queue(self, frame: Frame) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            for piece in _pieces(frame):
                self._playout.add_sound(piece, piece.num_frames / piece.sample_rate)
        elif isinstance(frame, Word) and POSITION in frame.metadata:
            self._playout.add_word(frame, frame.metadata[POSITION])
        else:
            self._playout.add_mark(
                frame,
                starts_context=isinstance(frame, TTSStartedFrame),
                ends_context=isinstance(frame, TTSStoppedFrame | LLMFullResponseEndFrame),
            )


def _pieces(frame: TTSAudioRawFrame) -> Iterable[TTSAudioRawFrame]:
    size = round(PIECE_SECONDS * frame.sample_rate) * BYTES_PER_SAMPLE * frame.num_channels
    for offset in range(0, len(frame.audio), size):
        piece = TTSAudioRawFrame(
            audio=frame.audio[offset : offset + size],
            sample_rate=frame.sample_rate,
            num_channels=frame.num_channels,
            context_id=frame.context_id,
        )
        piece.interruptible = frame.interruptible
        yield piece
