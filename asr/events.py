"""What a turn detector tells: events for the client, and requests for the models."""

import enum
from dataclasses import dataclass

from asr.transcript import Transcript, WordTimes


class Kind(enum.IntEnum):
    """What a decode is for: a turn that was ended, one that fell quiet, one that may be falling quiet, progress."""

    FINAL = 0
    EAGER = 1
    AHEAD = 2
    PARTIAL = 3


@dataclass(frozen=True, eq=False)
class DecodeRequest:
    """Decode the audio between two stream times.

    Attributes:
        kind: what it is for.
        start: stream time of the first sample, seconds.
        end: stream time after the last sample, seconds.
        speech_probability: mean VAD probability of what was taken for speech in this turn.

    """

    kind: Kind
    start: float
    end: float
    speech_probability: float

    @property
    def ending(self) -> bool:
        """Whether its text may turn out to be the turn's last."""
        return self.kind in (Kind.EAGER, Kind.AHEAD)

    def word_times(self, wanted: WordTimes) -> WordTimes:
        """Return what word times the decode has to give, where the client wants ``wanted``."""
        if self.kind is Kind.FINAL:
            return WordTimes.WITH_TEXT  # A long window is divided by them.
        if self.ending or wanted is WordTimes.WITH_TEXT:
            return wanted
        return WordTimes.NO


@dataclass(frozen=True, eq=False)
class AlignRequest:
    """Find the times of the words of a transcript that may be a turn's last (``Transcript.align``)."""

    transcript: Transcript


@dataclass(frozen=True, eq=False)
class EndRequest:
    """Ask smart-turn whether the turn in this audio is complete."""

    start: float
    end: float


class EventType(enum.StrEnum):
    """The events of Deepgram's Flux protocol."""

    START = "StartOfTurn"
    UPDATE = "Update"
    EAGER_END = "EagerEndOfTurn"
    RESUMED = "TurnResumed"
    END = "EndOfTurn"


class Trigger(enum.StrEnum):
    """Why a turn ended."""

    MODEL = "model"
    MANUAL = "manual"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class TurnEvent:
    """One event for the client; times in seconds of stream time."""

    type: EventType
    turn_index: int
    start: float
    end: float
    transcript: Transcript
    end_confidence: float
    last_speech: float
    trigger: Trigger | None = None


Action = TurnEvent | DecodeRequest | AlignRequest | EndRequest
