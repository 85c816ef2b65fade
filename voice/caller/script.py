"""A caller's conduct: listen to the greeting, ask, hear the answer to its end, ask again, hang up.

Sans-I/O: asked every 20 ms for the next packet, told of what arrives; times are passed in.
"""

import audioop
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from telemetry.loudness import first_audible, last_audible
from voice.caller.playout import BYTES_PER_SAMPLE, Playout
from voice.phone.media import SAMPLE_RATE

PACKET_SECONDS = 0.02
PACKET_SAMPLES = round(PACKET_SECONDS * SAMPLE_RATE)
SILENCE = audioop.lin2ulaw(bytes(PACKET_SAMPLES * BYTES_PER_SAMPLE), BYTES_PER_SAMPLE)


@dataclass(frozen=True)
class Question:
    """Something to say: 8 kHz mono 16-bit PCM, and its text where it is known.

    Attributes:
        pcm: the sound.
        said: its words, or None.
        source: where it came from, for messages.
        interrupts_after: said over the answer before, once that has been heard for so long, seconds; None
            waits for the answer's end.
        murmur: only shows that somebody listens: the caller goes on hearing the answer it is said over.

    """

    pcm: bytes
    said: str | None
    source: str
    interrupts_after: float | None = None
    murmur: bool = False

    def spoken_over(self, after: float, *, murmur: bool = False) -> "Question":
        """Return the same, said over the answer before once that has been heard for ``after`` seconds."""
        return replace(self, interrupts_after=after, murmur=murmur)

    @property
    def speech_start(self) -> float:
        """From the recording's start to its first audible sample, seconds."""
        return (first_audible(self.pcm) or 0) / SAMPLE_RATE

    @property
    def speech_seconds(self) -> float:
        """From the recording's start to its last audible sample."""
        index = last_audible(self.pcm)
        return 0.0 if index is None else (index + 1) / SAMPLE_RATE


@dataclass
class AskedTurn:
    """One question and what came of it, in moments of the caller's clock.

    Attributes:
        question: what was said.
        asked_from: its recording began.
        speech_ended: its last audible sample was said.
        interrupting: it was said while the agent spoke.
        answer_began: the agent was first heard after it; after a murmur, went on after having stopped for it.
        answer_ended: the agent was last heard.
        agent_stopped: the agent fell silent for it.

    """

    question: Question
    asked_from: float
    speech_ended: float = 0.0
    interrupting: bool = False
    answer_began: float | None = None
    answer_ended: float | None = None
    agent_stopped: float | None = None

    @property
    def speech_began(self) -> float:
        """Moment of the first audible sample said."""
        return self.asked_from + self.question.speech_start

    @property
    def barge_in_stop(self) -> float | None:
        """From the first sample of an interruption to the last the agent was heard, seconds."""
        return None if self.agent_stopped is None else max(0.0, self.agent_stopped - self.speech_began)

    @property
    def voice_to_voice(self) -> float | None:
        """From the last speech sample said to the first audible sample heard, seconds."""
        return None if self.answer_began is None else self.answer_began - self.speech_ended


@dataclass(frozen=True)
class Patience:
    """How long the caller waits, seconds.

    Attributes:
        greeting: for a greeting to begin, before speaking first.
        settled: of silence after the agent has spoken, before its words count as said.
        silent: without the agent's voice, before it counts as having stopped for an interruption.
        answer: for an answer to begin.
        listen: to an answer, before hanging up or asking on; None hears it to its end.

    """

    greeting: float = 3.0
    settled: float = 1.2
    silent: float = 0.25
    answer: float = 30.0
    listen: float | None = None


@dataclass(frozen=True)
class EchoPath:
    """How the agent comes back on the caller's line: a loudspeaker heard by the microphone.

    Attributes:
        seconds: how late.
        gain: how loud, a factor.

    """

    seconds: float
    gain: float


class _Phase(Enum):
    GREETING = "greeting"
    ASKING = "asking"
    WAITING = "waiting"
    LISTENING = "listening"
    HEARING = "hearing"
    DONE = "done"


@dataclass
class CallerScript:
    """See the module's text.

    Args:
        questions: what to say, in order.
        began: moment the call was answered.
        patience: how long to wait for what.
        echo: how the line echoes; None for one that does not.

    """

    questions: Sequence[Question]
    began: float
    patience: Patience = field(default_factory=Patience)
    echo: EchoPath | None = None

    def __post_init__(self) -> None:
        self.playout = Playout(self.began)
        self.turns: list[AskedTurn] = []
        self._phase = _Phase.GREETING
        self._packets: list[bytes] = []

    @property
    def done(self) -> bool:
        """Whether the caller has heard all it wanted, or given up."""
        return self._phase is _Phase.DONE

    def next_packet(self, now: float) -> bytes:
        """Return the 20 ms of 8 kHz mu-law that end at ``now``."""
        self._move_on(now)
        packet = SILENCE
        if self._phase is _Phase.ASKING:
            packet = self._packets.pop(0)
            if not self._packets:
                murmur = self.turns[-1].question.murmur
                self._phase = _Phase.LISTENING if murmur else _Phase.WAITING
        return self._with_echo(packet, now) if self.echo else packet

    def _move_on(self, now: float) -> None:
        match self._phase:
            case _Phase.GREETING if self._agent_has_spoken(now) or self._kept_waiting(now, self.began):
                self._ask(now)
            case _Phase.WAITING:
                self._wait_for_an_answer(now)
            case _Phase.LISTENING:
                self._hear_on(now)
            case _Phase.HEARING if (
                self._agent_has_spoken(now) or self._interrupts(now) or self._has_heard_enough(now)
            ):
                self.turns[-1].answer_ended = self.playout.last_audible_before(now)
                self._ask(now)

    def _wait_for_an_answer(self, now: float) -> None:
        turn = self.turns[-1]
        since = turn.speech_ended
        if turn.question.interrupts_after is not None:
            self._note_stop(turn, now)
            since = float("inf")
            if turn.agent_stopped is not None:
                since = max(turn.speech_ended, turn.agent_stopped + self.patience.silent)
        turn.answer_began = self.playout.first_audible_after(since)
        if turn.answer_began is not None:
            self._phase = _Phase.HEARING
        elif now - turn.speech_ended > self.patience.answer:
            self._phase = _Phase.DONE

    def _hear_on(self, now: float) -> None:
        """Hear the rest of the answer that was murmured over."""
        turn = self.turns[-1]
        self._note_stop(turn, now)
        if turn.agent_stopped is not None and turn.answer_began is None:
            turn.answer_began = self.playout.first_audible_after(turn.agent_stopped + self.patience.silent)
        if self._agent_has_spoken(now):
            turn.answer_ended = self.playout.last_audible_before(now)
            self._ask(now)

    def _note_stop(self, turn: AskedTurn, now: float) -> None:
        if turn.agent_stopped is None:
            turn.agent_stopped = self.playout.silent_since(turn.speech_began, self.patience.silent, now)

    def _with_echo(self, packet: bytes, now: float) -> bytes:
        assert self.echo is not None
        end = now - self.echo.seconds
        back = audioop.mul(
            self.playout.recording(end - PACKET_SECONDS, end), BYTES_PER_SAMPLE, self.echo.gain
        )
        mixed = audioop.add(audioop.ulaw2lin(packet, BYTES_PER_SAMPLE), back, BYTES_PER_SAMPLE)
        return audioop.lin2ulaw(mixed, BYTES_PER_SAMPLE)

    def _interrupts(self, now: float) -> bool:
        if len(self.turns) == len(self.questions):
            return False
        after = self.questions[len(self.turns)].interrupts_after
        began = self.turns[-1].answer_began
        return after is not None and began is not None and now - began >= after

    def _has_heard_enough(self, now: float) -> bool:
        began, listen = self.turns[-1].answer_began, self.patience.listen
        return listen is not None and began is not None and now - began >= listen

    def _agent_has_spoken(self, now: float) -> bool:
        last = self.playout.last_audible()
        return last is not None and now - last > self.patience.settled

    def _kept_waiting(self, now: float, since: float) -> bool:
        return self.playout.last_audible() is None and now - since > self.patience.greeting

    def _ask(self, now: float) -> None:
        if len(self.turns) == len(self.questions):
            self._phase = _Phase.DONE
            return
        question = self.questions[len(self.turns)]
        # The packet handed out at `now` holds the 20 ms before it.
        start = now - PACKET_SECONDS
        over = self._phase is _Phase.HEARING and not self._agent_has_spoken(now)
        self.turns.append(AskedTurn(question, start, start + question.speech_seconds, interrupting=over))
        self._packets = _packets(question.pcm)
        self._phase = _Phase.ASKING


def _packets(pcm: bytes) -> list[bytes]:
    size = PACKET_SAMPLES * BYTES_PER_SAMPLE
    padded = pcm + bytes(-len(pcm) % size)
    return [audioop.lin2ulaw(padded[i : i + size], BYTES_PER_SAMPLE) for i in range(0, len(padded), size)]
