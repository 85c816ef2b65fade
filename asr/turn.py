"""When a turn begins, pauses, resumes and ends: decisions alone, in audio time, without clock or I/O.

One :class:`TurnDetector` follows one stream. It is told the VAD probability of every window, the transcripts
and the end probabilities it asked for, and answers with events for the client and requests for the models.

The whole turn is decoded at the first sign that the voice falls, before the VAD calls it quiet. If speech goes on,
that decode was a partial; if it does not, it is the transcript of the turn, some 100 ms earlier. An early end is
announced with it at once if the words allow it; their times follow while the quiet goes on. Smart-turn judges better
the more quiet it hears, so it is asked a little later, and again while the turn is not confirmed.
"""

import enum
import math

from asr.completeness import completeness
from asr.confidence import (
    Thresholds,
    ask_time,
    confidence,
    needed_quiet,
    prior,
    unjudged,
    worth_asking,
)
from asr.events import Action, AlignRequest, DecodeRequest, EndRequest, EventType, Kind, Trigger, TurnEvent
from asr.settings import TurnSettings
from asr.transcript import Transcript, join, of_words

#: Half a VAD window: times are compared no more exactly than they are known, seconds.
TOLERANCE_SECONDS = 0.016
#: Words this near the end of a long window are decoded again with what follows them, seconds.
UNSETTLED_SECONDS = 2.0


class _State(enum.Enum):
    IDLE = enum.auto()
    SPEAKING = enum.auto()
    QUIET = enum.auto()


class TurnDetector:
    """Follows the turns of one stream."""

    def __init__(self, settings: TurnSettings, thresholds: Thresholds | None = None) -> None:
        self.thresholds = thresholds or Thresholds()
        self.settings = settings
        self._state = _State.IDLE
        self._now = 0.0
        self._index = 0
        self._earliest = 0.0
        self._run_start: float | None = None
        self._begin()

    def _begin(self) -> None:
        """Forget the turn that was."""
        self._state = _State.IDLE
        self._announced = False
        self._eager_announced = False
        self._turn_start = self._window_start = 0.0
        self._last_speech = self._last_sure = self._last_probable = 0.0
        self._committed: list[Transcript] = []
        self._current = Transcript("")
        self._understood_to = 0.0
        self._out: set[DecodeRequest] = set()
        self._next_partial = 0.0
        self._ahead: DecodeRequest | None = None
        self._ahead_transcript: Transcript | None = None
        self._next_ahead = 0.0
        self._partial_interval = self.settings.partial_interval_seconds
        self._commit: DecodeRequest | None = None
        self._forced: Trigger | None = None
        self._speech_sum = 0.0
        self._speech_windows = 0
        self._forget_quiet()

    def _forget_quiet(self) -> None:
        self._ahead = self._ahead_transcript = None
        self._eager: DecodeRequest | None = None
        self._eager_transcript: Transcript | None = None
        self._untimed: Transcript | None = None
        self._end_request: EndRequest | None = None
        self._end_log_odds: float | None = None
        self._asked = 0.0

    # What the shell tells.

    def heard(self, probability: float, end: float, *, fallen: bool = False) -> list[Action]:
        """Take the VAD probability of the window that ends at stream time ``end``.

        Args:
            probability: of speech, 0 to 1.
            end: seconds.
            fallen: whether the level says that the voice may be over (:mod:`asr.level`).

        """
        window_start, self._now = self._now, end
        if probability < self.settings.speech_threshold:
            self._run_start = None
        else:
            self._speech_sum += probability
            self._speech_windows += 1
            if self._run_start is None:
                self._run_start = window_start
                if self._state is _State.IDLE:
                    self._speech_sum, self._speech_windows = probability, 1
        if self._forced:
            return []
        if self._state is _State.IDLE:
            return self._while_idle()
        if self._state is _State.SPEAKING:
            return self._while_speaking(probability, fallen)
        return self._while_quiet()

    def transcribed(self, request: DecodeRequest, transcript: Transcript | None) -> list[Action]:
        """Take the result of a decode; None where there was nothing to believe in it."""
        if request is self._commit:
            self._commit = None
            return self._committed_to(transcript)
        if request not in self._out:
            return []
        self._out.remove(request)
        if request is self._eager:
            if transcript is None and request.kind is Kind.AHEAD:
                # With the quiet that has followed, a word may be clear enough to be believed.
                return [self._decode_all(Kind.EAGER)]
            self._eager_transcript = transcript or Transcript("")
            self._understood_to = request.end
            return self._eager_transcribed()
        # Words are news even where speech has gone on since, or the next decode is already under way.
        newest = request.start == self._window_start and request.end > self._understood_to
        actions = self._partially_transcribed(request, transcript) if newest else []
        if request is not self._ahead:
            return actions
        self._ahead_transcript = transcript or Transcript("")
        return [*actions, *self._decide()]

    def aligned(self, request: AlignRequest, timed: Transcript) -> list[Action]:
        """Take a transcript with the times of its words."""
        if request.transcript is not self._untimed:
            return []
        self._untimed = None
        self._eager_transcript = timed
        if self._current is request.transcript:
            self._current = timed
        return self._decide()

    def dropped(self, request: DecodeRequest) -> None:
        """Note that a partial was not decoded, because there was too much else to do."""
        self._out.discard(request)

    def judged(self, request: EndRequest, probability: float) -> list[Action]:
        """Take smart-turn's probability that the turn is complete."""
        if request is not self._end_request:
            return []
        self._end_log_odds = prior(probability, self.settings)
        return self._decide()

    def force_end(self) -> list[Action]:
        """End the turn now, with what has been said so far; the event follows its decode."""
        if self._state is _State.IDLE or self._forced:
            return []
        self._forced = Trigger.MANUAL
        if self._eager is not None:
            return self._eager_transcribed() if self._eager_transcript is not None else []
        return [self._decode_all(Kind.FINAL)]

    @property
    def busy(self) -> bool:
        """Whether a turn is going on."""
        return self._state is not _State.IDLE

    # What happens in each state.

    def _while_idle(self) -> list[Action]:
        start = self._run_start
        if start is None or self._now - start < self.settings.start_seconds - TOLERANCE_SECONDS:
            return []
        self._state = _State.SPEAKING
        self._turn_start = self._window_start = max(self._earliest, start - self.settings.preroll_seconds)
        self._next_partial = start + self.settings.first_partial_seconds
        self._last_speech = self._now
        return []

    def _while_speaking(self, probability: float, fallen: bool) -> list[Action]:
        voice = self._is_voice(probability, fallen)
        risen = self._rise() if voice else []
        if probability >= self.settings.quiet_threshold:
            self._last_speech = self._now
        if self._now - self._last_speech >= self.settings.eager_quiet_seconds - TOLERANCE_SECONDS:
            return self._fall_quiet()
        if voice:
            return [*risen, *self._maybe_commit(), *self._maybe_partial()]
        return [*self._maybe_ahead(), *self._decide()]

    def _is_voice(self, probability: float, fallen: bool) -> bool:
        """Whether a window of speech is just that, and not the fall of a voice."""
        if probability >= self.settings.falling_threshold:
            self._last_probable = self._now
            if fallen:
                return self._past(self._last_sure, self.settings.fallen_seconds)
            self._last_sure = self._now
            return True
        wavering = self._past(self._last_probable, self.settings.falling_seconds)
        return wavering and probability >= self.settings.quiet_threshold

    def _past(self, time: float, seconds: float) -> bool:
        return self._now - time > seconds + TOLERANCE_SECONDS

    def _rise(self) -> list[Action]:
        """Go on where the voice had seemed to fall; an end that was announced early is withdrawn."""
        withdrawn = self._eager_announced
        self._eager_announced = False
        self._forget_quiet()
        return [self._event(EventType.RESUMED)] if withdrawn else []

    def _fall_quiet(self) -> list[Action]:
        self._state = _State.QUIET
        if self._ahead is None or self._ahead_transcript == Transcript(""):
            return [self._decode_all(Kind.EAGER)]
        self._eager, self._eager_transcript = self._ahead, self._ahead_transcript
        return self._eager_transcribed()

    def _while_quiet(self) -> list[Action]:
        if self._run_start is None:
            return [*self._decide(), *self._maybe_ask()]
        if self._now - self._run_start < self.settings.resume_seconds - TOLERANCE_SECONDS:
            return []
        return self._resume(self._run_start)

    def _resume(self, since: float) -> list[Action]:
        self._state = _State.SPEAKING
        spoken, quiet_from = self._eager_transcript, self._last_speech
        if spoken is not None and quiet_from - self._window_start >= self.settings.commit_seconds:
            self._committed.append(spoken)
            self._current = Transcript("")
            self._window_start = (quiet_from + since) / 2
        self._last_speech = self._now
        self._next_partial = self._now + self._partial_interval
        return self._rise()

    def _maybe_ask(self) -> list[Action]:
        # Beside the decode it would take the processor time that the answer waits for.
        if self._state is not _State.QUIET or self._eager_transcript is None:
            return []
        quiet = self._now - self._last_speech
        least, most = self._quiet_if(math.inf), self._quiet_if(-math.inf)
        time = ask_time(quiet + TOLERANCE_SECONDS, least, self.settings)
        if least == most or time <= self._asked:
            return []
        if self._asked:
            unanswered = self._end_log_odds is None or not self._announced
            if unanswered or not worth_asking(self.needed_quiet(), quiet, least, self.settings):
                return []
        self._asked = time
        self._end_request = EndRequest(self._turn_start, self._now)
        return [self._end_request]

    # Partials, and long turns.

    def _maybe_partial(self) -> list[Action]:
        if self._out or self._commit or self._now < self._next_partial:
            return []
        return [self._decode_so_far(Kind.PARTIAL)]

    def _maybe_ahead(self) -> list[Action]:
        """Decode the turn in case it is ending, unless that was done a moment ago or nothing is understood.

        Nor while such a decode is still running: where the processor is short, two would take it from each other.
        """
        doubtful = self._partial_interval > self.settings.partial_interval_seconds
        running = any(request.ending for request in self._out)
        if self._ahead or running or self._commit or self._now < self._next_ahead or doubtful:
            return []
        self._next_ahead = self._now + self.settings.falling_interval_seconds
        self._ahead = self._decode_so_far(Kind.AHEAD)
        self._ahead_transcript = None
        return [self._ahead]

    def _decode_so_far(self, kind: Kind) -> DecodeRequest:
        if not self._announced and not self._committed:
            # Nothing understood so far: a caller's first words are recent, hold music goes on for minutes.
            oldest = self._now - self.settings.commit_seconds
            self._turn_start = self._window_start = max(self._window_start, oldest)
        self._next_partial = self._now + self._partial_interval
        return self._send_out(kind)

    def _maybe_commit(self) -> list[Action]:
        long = self._now - self._window_start >= self.settings.max_window_seconds
        if self._commit or not long or not self._announced:
            return []
        self._ahead = None
        self._commit = self._request(Kind.FINAL)
        return [self._commit]

    def _partially_transcribed(self, request: DecodeRequest, transcript: Transcript | None) -> list[Action]:
        if transcript is None or not transcript.text:
            if not self._announced:
                limit = self.settings.max_partial_interval_seconds
                self._partial_interval = min(self._partial_interval * 2, limit)
            return []
        self._understood_to = request.end
        return self._understood(transcript)

    def _understood(self, transcript: Transcript) -> list[Action]:
        changed = transcript.text != self._current.text
        self._current = transcript
        self._partial_interval = self.settings.partial_interval_seconds
        if not self._announced:
            self._announced = True
            return [self._event(EventType.START)]
        return [self._event(EventType.UPDATE)] if changed else []

    def _committed_to(self, transcript: Transcript | None) -> list[Action]:
        """Keep the words of a long window but for its last seconds, and decode on from there."""
        if transcript is None:
            self._window_start = self._now
            return []
        limit = self._window_start + self.settings.max_window_seconds - UNSETTLED_SECONDS
        kept = [word for word in transcript.words if word.end is not None and word.end <= limit]
        if not kept or kept[-1].end is None:
            self._window_start = self._now
            self._committed.append(transcript)
            self._current = Transcript("")
            return [self._event(EventType.UPDATE)]
        self._committed.append(of_words(transcript, kept))
        self._current = of_words(transcript, list(transcript.words[len(kept) :]))
        self._window_start = kept[-1].end
        return [self._event(EventType.UPDATE)]

    # The end.

    def _decode_all(self, kind: Kind) -> DecodeRequest:
        self._ahead = self._commit = None
        self._eager = self._send_out(kind)
        return self._eager

    def _eager_transcribed(self) -> list[Action]:
        transcript = self._eager_transcript
        if transcript is None:
            return []
        actions: list[Action] = []
        if transcript.text:
            actions = self._understood(transcript)
            if transcript.align:
                self._untimed = transcript
                return [*actions, *self._decide(), AlignRequest(transcript)]
        elif self._current.text or self._committed:
            # Words were believed a moment ago; a decode that lost them does not unsay them.
            self._eager_transcript = self._current
        elif not self._announced:
            self._discard()
            return []
        return [*actions, *self._decide()]

    def _decide(self) -> list[Action]:
        if self._forced and self._eager_transcript is not None:
            return [] if self._untimed else [self._end(self._forced)]
        transcript = self._eager_transcript if self._state is _State.QUIET else self._ahead_transcript
        if transcript is None or not self._announced:
            return []
        actions: list[Action] = []
        eager = self.thresholds.eager
        if eager is not None and not self._eager_announced and self._confidence() >= eager:
            self._eager_announced = True
            actions.append(self._event(EventType.EAGER_END))
        if self._state is not _State.QUIET:
            return actions
        quiet = self._now - self._last_speech
        if not self._untimed and self._run_start is None and quiet >= self._quiet_to_end():
            sure = self._confidence() >= self.thresholds.end
            actions.append(self._end(Trigger.MODEL if sure else Trigger.TIMEOUT))
        return actions

    def _send_out(self, kind: Kind) -> DecodeRequest:
        """Return a decode whose words are taken when they come, whatever has happened since."""
        request = self._request(kind)
        self._out.add(request)
        return request

    def _request(self, kind: Kind) -> DecodeRequest:
        probability = self._speech_sum / max(1, self._speech_windows)
        return DecodeRequest(kind, self._window_start, self._now, probability)

    def needed_quiet(self) -> float:
        """Return the quiet after which the turn ends if the caller says nothing more, seconds."""
        return self._quiet_if(self._judged())

    def _quiet_to_end(self) -> float:
        """Return the quiet after which the turn ends; until smart-turn answers, as if it would say no."""
        return self._quiet_if(-math.inf if self._end_log_odds is None else self._end_log_odds)

    def _quiet_if(self, judged: float) -> float:
        """Return the quiet after which the turn ends if smart-turn's log odds are ``judged``, seconds."""
        complete = completeness(judged, self._text(), self.settings)
        return needed_quiet(complete, self.thresholds, self.settings)

    def _judged(self) -> float:
        """Return smart-turn's log odds, or what they are on average."""
        return unjudged(self.settings) if self._end_log_odds is None else self._end_log_odds

    def _confidence(self) -> float:
        """Return the probability that no more speech is coming in this turn."""
        falling = self._state is _State.SPEAKING and self._ahead is not None
        if not falling and self._state is not _State.QUIET:
            return 0.0
        since = self._last_sure if falling else self._last_speech
        complete = completeness(self._judged(), self._text(), self.settings)
        return confidence(complete, self._now - since, self.settings)

    def _end(self, trigger: Trigger) -> TurnEvent:
        event = self._event(EventType.END, trigger)
        self._index += 1
        self._discard()
        return event

    def _discard(self) -> None:
        self._earliest = self._last_speech
        self._run_start = None
        self._begin()

    def _event(self, kind: EventType, trigger: Trigger | None = None) -> TurnEvent:
        return TurnEvent(
            type=kind,
            turn_index=self._index,
            start=self._turn_start,
            end=self._now,
            transcript=self._text(),
            end_confidence=self._confidence(),
            last_speech=self._last_speech,
            trigger=trigger,
        )

    def _text(self) -> Transcript:
        return join([*self._committed, self._current])
