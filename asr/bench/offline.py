"""Plays audio to an ear with the models called in line: what it decides, without a clock.

The decisions run on audio time, so this gives what a stream in real time gives on a machine that is fast
enough, and gives the same every time.
"""

import math
from dataclasses import dataclass, field

from asr.audio import SAMPLE_RATE, AudioInput, Samples
from asr.bench.corpus import linear16
from asr.confidence import Thresholds
from asr.detectors import VAD_WINDOW_SECONDS, EndDetector, SpeechDetector, SpeechState
from asr.ear import Ear
from asr.events import Action, AlignRequest, DecodeRequest, EndRequest, EventType, Kind, TurnEvent
from asr.guard import believed
from asr.settings import DecodeSettings, TurnSettings
from asr.transcript import Transcript, WordTimes
from asr.turn import TurnDetector
from asr.whisper import DecodeJob, Whisper

#: Audio handed over at once, seconds.
CHUNK_SECONDS = 0.02


@dataclass(frozen=True)
class Judgement:
    """What was known at ``time``, some way into a quiet: smart-turn's probability, and what had been understood."""

    time: float
    probability: float
    transcript: Transcript


@dataclass(frozen=True)
class Quiet:
    """One quiet that was judged, as the VAD saw it; times in seconds.

    Attributes:
        start: when it began.
        seconds: how long it lasted; None where nothing followed.
        judgements: what was known, in order.

    """

    start: float
    seconds: float | None
    judgements: tuple[Judgement, ...]


@dataclass
class Run:
    """What one piece of audio led to."""

    events: list[TurnEvent] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    decodes: dict[Kind, int] = field(default_factory=dict)
    probabilities: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The words of all its turns."""
        return " ".join(event.transcript.text for event in self.of(EventType.END))

    def of(self, kind: EventType) -> list[TurnEvent]:
        """Return the events of one type."""
        return [event for event in self.events if event.type is kind]

    def quiets(self, settings: TurnSettings) -> list[Quiet]:
        """Return every quiet that was judged."""
        starts: dict[int, list[Judgement]] = {}
        for item in self.judgements:
            starts.setdefault(self._start(item.time, settings), []).append(item)
        return [
            Quiet(start * VAD_WINDOW_SECONDS, self._length(start, items[0].time, settings), tuple(items))
            for start, items in starts.items()
        ]

    def _start(self, judged: float, settings: TurnSettings) -> int:
        """Return the first window of the quiet that was judged at a time."""
        start = round(judged / VAD_WINDOW_SECONDS)
        while start > 0 and self.probabilities[start - 1] < settings.quiet_threshold:
            start -= 1
        return start

    def _length(self, first: int, judged: float, settings: TurnSettings) -> float | None:
        needed = math.ceil(settings.resume_seconds / VAD_WINDOW_SECONDS - 1e-6)
        loud = [probability >= settings.speech_threshold for probability in self.probabilities]
        for start in range(round(judged / VAD_WINDOW_SECONDS), len(loud) - needed + 1):
            if all(loud[start : start + needed]):
                return (start - first) * VAD_WINDOW_SECONDS
        return None


class Player:
    """Loaded models, and how to play audio to them."""

    def __init__(self, whisper: Whisper, turn: TurnSettings, decode: DecodeSettings) -> None:
        self.whisper = whisper
        self.turn = turn
        self.decode = decode
        self.speech = SpeechDetector()
        self.end = EndDetector()

    def play(
        self,
        audio: Samples,
        thresholds: Thresholds | None = None,
        *,
        turn: TurnSettings | None = None,
        keyterms: tuple[str, ...] = (),
        narrowband: bool = False,
    ) -> Run:
        """Play ``audio`` (16 kHz, ``narrowband`` if it came over an 8 kHz line) to a fresh ear."""
        stream = OfflineStream(self, thresholds, turn=turn, keyterms=keyterms, narrowband=narrowband)
        stream.feed(audio)
        stream.finish()
        return stream.run


class OfflineStream:
    """One ear whose requests are answered at once."""

    def __init__(
        self,
        player: Player,
        thresholds: Thresholds | None = None,
        *,
        turn: TurnSettings | None = None,
        keyterms: tuple[str, ...] = (),
        narrowband: bool = False,
    ) -> None:
        self.run = Run()
        self._player = player
        self._keyterms = keyterms
        self._eager = Transcript("")
        detector = TurnDetector(turn or player.turn, thresholds)
        self._ear = Ear(
            AudioInput("linear16", SAMPLE_RATE), self._probability, detector, narrowband=narrowband
        )

    def feed(self, audio: Samples) -> None:
        """Play ``audio`` (16 kHz)."""
        data = linear16(audio)
        size = int(CHUNK_SECONDS * self._ear.bytes_per_second)
        for offset in range(0, len(data), size):
            for actions in self._ear.feed(data[offset : offset + size]):
                self._act(actions)

    def finish(self) -> None:
        """End the turn in progress, if there is one."""
        self._act(self._ear.turns.force_end())

    def _probability(self, window: Samples, state: SpeechState) -> float:
        self.run.probabilities.append(self._player.speech(window, state))
        return self.run.probabilities[-1]

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, TurnEvent):
                self.run.events.append(action)
            elif isinstance(action, DecodeRequest):
                self._transcribe(action)
            elif isinstance(action, AlignRequest):
                assert action.transcript.align is not None
                self._act(self._ear.turns.aligned(action, action.transcript.align()))
            else:
                self._judge(action)

    def _transcribe(self, request: DecodeRequest) -> None:
        self.run.decodes[request.kind] = self.run.decodes.get(request.kind, 0) + 1
        job = DecodeJob(
            self._ear.slice(request.start, request.end),
            offset=request.start,
            keyterms=self._keyterms,
            words=request.word_times(WordTimes.ON_DEMAND),
            ending=request.ending,
        )
        transcript = self._player.whisper.decode([job])[0]
        believable = (
            transcript if believed(transcript, request.speech_probability, self._player.decode) else None
        )
        if request.ending:
            self._eager = believable or Transcript("")
        self._act(self._ear.turns.transcribed(request, believable))

    def _judge(self, request: EndRequest) -> None:
        probability = self._player.end(self._ear.slice(request.start, request.end))
        if self._eager.text:
            self.run.judgements.append(Judgement(request.end, probability, self._eager))
        self._act(self._ear.turns.judged(request, probability))
