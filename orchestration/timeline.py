"""What happened when in one call's turns, and the figures that follow from it.

Sans-I/O: events come in with their moment (seconds on one monotonic clock), finished turns come out. An answer
begun on an eager end of turn and withdrawn again leaves nothing behind but its count.
"""

from dataclasses import dataclass, field
from enum import Enum

from telemetry.names import (
    BARGE_IN_STOP,
    END_OF_TURN_DELAY,
    STAGES,
    TIME_TO_FIRST_SENTENCE,
    TIME_TO_FIRST_TOKEN,
    TRANSCRIPTION_DELAY,
    TTS_TIME_TO_FIRST_AUDIO,
    VOICE_TO_VOICE,
    Figure,
)


class Moment(Enum):
    """A moment of a turn, in the order in which a turn passes them."""

    TURN_STARTED = "turn_started"
    SPEECH_ENDED = "speech_ended"
    TRANSCRIBED = "transcribed"
    LLM_REQUESTED = "llm_requested"
    FIRST_TOKEN = "first_token"  # noqa: S105 - not a password
    FIRST_SENTENCE = "first_sentence"
    TEXT_SENT = "text_sent"
    FIRST_AUDIO = "first_audio"
    CONFIRMED = "confirmed"
    LLM_FINISHED = "llm_finished"
    AUDIBLE = "audible"
    LAST_AUDIO = "last_audio"
    BARGED_IN = "barged_in"
    INTERRUPTED = "interrupted"


#: Moments of an answer: forgotten when the answer is withdrawn.
ANSWER_MOMENTS = frozenset(
    {
        Moment.TRANSCRIBED,
        Moment.LLM_REQUESTED,
        Moment.FIRST_TOKEN,
        Moment.FIRST_SENTENCE,
        Moment.TEXT_SENT,
        Moment.FIRST_AUDIO,
        Moment.LLM_FINISHED,
    }
)

#: Moments of which the latest counts.
LATEST = frozenset({Moment.LAST_AUDIO, Moment.LLM_FINISHED})

#: From which moment to which each figure runs.
SPANS_OF_FIGURES: dict[Figure, tuple[Moment, Moment]] = {
    END_OF_TURN_DELAY: (Moment.SPEECH_ENDED, Moment.CONFIRMED),
    TRANSCRIPTION_DELAY: (Moment.SPEECH_ENDED, Moment.TRANSCRIBED),
    TIME_TO_FIRST_TOKEN: (Moment.LLM_REQUESTED, Moment.FIRST_TOKEN),
    TIME_TO_FIRST_SENTENCE: (Moment.LLM_REQUESTED, Moment.FIRST_SENTENCE),
    TTS_TIME_TO_FIRST_AUDIO: (Moment.TEXT_SENT, Moment.FIRST_AUDIO),
    VOICE_TO_VOICE: (Moment.SPEECH_ENDED, Moment.AUDIBLE),
    BARGE_IN_STOP: (Moment.BARGED_IN, Moment.LAST_AUDIO),
}
#: The moment that ends each of :data:`telemetry.names.STAGES`.
ENDS_OF_STAGES = (
    Moment.TRANSCRIBED,
    Moment.LLM_REQUESTED,
    Moment.FIRST_TOKEN,
    Moment.FIRST_SENTENCE,
    Moment.FIRST_AUDIO,
    Moment.CONFIRMED,
    Moment.AUDIBLE,
)


@dataclass(frozen=True)
class Speculation:
    """An answer that was begun early and thrown away unheard; times are monotonic seconds."""

    began: float
    withdrawn: float
    tokens: int


@dataclass
class Turn:
    """One turn: what was heard and answered, and when each thing happened (monotonic seconds).

    ``answered`` is what the mind wrote, ``spoken`` what of it the caller has heard. ``handed_over`` says that it
    was answered otherwise than by sound: in writing, by a call of the client's tools, or that the client wants
    no answer. ``model_calls`` counts those of answers that were thrown away as well.
    """

    index: int
    heard: str = ""
    answered: str = ""
    spoken: str = ""
    failed: bool = False
    handed_over: bool = False
    moments: dict[Moment, float] = field(default_factory=dict)
    speculations: int = 0
    withdrawn: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    streamed_tokens: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    thrown_away: list[Speculation] = field(default_factory=list)

    @property
    def wasted_tokens(self) -> int:
        """Tokens written for answers that were thrown away."""
        return sum(speculation.tokens for speculation in self.thrown_away)

    def figure(self, figure: Figure) -> float | None:
        """Return a figure in seconds, or None where the turn did not come that far."""
        start, finish = SPANS_OF_FIGURES[figure]
        if start in self.moments and finish in self.moments:
            return max(0.0, self.moments[finish] - self.moments[start])
        return None

    def figures(self) -> dict[Figure, float]:
        """Return every figure this turn has."""
        found = {figure: self.figure(figure) for figure in SPANS_OF_FIGURES}
        return {figure: seconds for figure, seconds in found.items() if seconds is not None}

    @property
    def inter_token(self) -> float | None:
        """Mean seconds between two tokens of the answer; None for fewer than two, or one that was cut off."""
        if self.output_tokens < 2 or self.interrupted:
            return None
        first, last = self.moments.get(Moment.FIRST_TOKEN), self.moments.get(Moment.LLM_FINISHED)
        return None if first is None or last is None else max(0.0, last - first) / (self.output_tokens - 1)

    def stages(self) -> dict[str, float]:
        """Return what voice to voice is made of: seconds by the keys of :data:`telemetry.names.STAGES`.

        Each stage ends with its moment, but not before the stage ahead of it nor after the answer is heard, so
        that they add up to voice to voice. Empty where there was no answer.
        """
        if Moment.SPEECH_ENDED not in self.moments or Moment.AUDIBLE not in self.moments:
            return {}
        at, audible = self.moments[Moment.SPEECH_ENDED], self.moments[Moment.AUDIBLE]
        seconds = {}
        for stage, moment in zip(STAGES, ENDS_OF_STAGES, strict=True):
            ended = max(at, min(self.moments.get(moment, at), audible))
            seconds[stage.key] = ended - at
            at = ended
        return seconds

    def mark(self, moment: Moment, at: float) -> None:
        """Note ``moment``; only the first of its kind in an answer counts, but the latest of :data:`LATEST`."""
        if moment in LATEST:
            self.moments[moment] = at
        else:
            self.moments.setdefault(moment, at)

    @property
    def interrupted(self) -> bool:
        """Whether the caller cut the answer off."""
        return Moment.INTERRUPTED in self.moments or Moment.BARGED_IN in self.moments


class Timeline:
    """The turns of one call."""

    def __init__(self) -> None:
        self.current: Turn | None = None
        self._count = 0

    def turn_started(self, at: float) -> Turn | None:
        """The caller began to speak; returns the turn this ends, if there was one."""
        finished = self.finish()
        self.current = Turn(index=self._count)
        self._count += 1
        self.current.moments[Moment.TURN_STARTED] = at
        return finished

    def eager(self, text: str, *, speech_ended: float, at: float) -> None:
        """The ear thinks the turn is over."""
        if turn := self.current:
            turn.speculations += 1
            turn.heard = text
            turn.moments[Moment.SPEECH_ENDED] = speech_ended
            turn.moments[Moment.TRANSCRIBED] = at

    def withdrawn(self, at: float) -> None:
        """The answer begun early is void: the caller went on, or the transcript changed."""
        if turn := self.current:
            turn.withdrawn += 1
            began = turn.moments.get(Moment.LLM_REQUESTED, turn.moments.get(Moment.TRANSCRIBED, at))
            turn.thrown_away.append(Speculation(began, at, turn.streamed_tokens))
            turn.answered = ""
            turn.streamed_tokens = 0
            turn.input_tokens = turn.output_tokens = turn.cached_tokens = 0
            for moment in ANSWER_MOMENTS:
                turn.moments.pop(moment, None)

    @property
    def answering(self) -> Turn | None:
        """The turn that has ended and is being answered; None while there is none."""
        return self.current if self.current and Moment.CONFIRMED in self.current.moments else None

    def confirmed(self, text: str, *, speech_ended: float | None, at: float) -> None:
        """The end of the turn is confirmed; ``speech_ended`` is None where nothing was said aloud."""
        if turn := self.current:
            if text != turn.heard or Moment.TRANSCRIBED not in turn.moments:
                turn.moments[Moment.TRANSCRIBED] = at
            turn.heard = text
            if speech_ended is not None:
                turn.moments[Moment.SPEECH_ENDED] = speech_ended
            turn.moments[Moment.CONFIRMED] = at

    def mark(self, moment: Moment, at: float) -> None:
        """Note ``moment`` of the current turn, as :meth:`Turn.mark` does."""
        if turn := self.current:
            turn.mark(moment, at)

    def finish(self) -> Turn | None:
        """End the current turn and return it, unless the ear never confirmed it."""
        turn, self.current = self.current, None
        if turn and Moment.CONFIRMED in turn.moments:
            return turn
        return None
