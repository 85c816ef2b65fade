"""The turn detector alone: probabilities, transcripts and judgements in, events and requests out."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from asr.confidence import Thresholds
from asr.events import Action, AlignRequest, DecodeRequest, EndRequest, EventType, Kind, Trigger, TurnEvent
from asr.settings import TurnSettings
from asr.transcript import Transcript, Word, WordTimes
from asr.turn import TurnDetector

WINDOW = 0.032
SETTINGS = TurnSettings()
#: VAD probability at which the voice falls.
FALLING = SETTINGS.falling_threshold - 0.02


def sentence_log_odds(text: str) -> float:
    """Return what Whisper says of a text whose mark at the end it is sure of; nothing where there is none."""
    if text.endswith(("...", ",")):
        return -3.3
    return 3.3 if text.endswith((".", "?", "!")) else 0.0


def said(text: str) -> Transcript:
    """Return a transcript with one word each 0.1 s."""
    words = tuple(Word(word, 0.9, index / 10, index / 10 + 0.1) for index, word in enumerate(text.split()))
    return Transcript(text, words, sentence_log_odds=sentence_log_odds(text))


def untimed(text: str) -> Transcript:
    """Return a transcript whose words have no times yet."""
    words = tuple(Word(word, 0.9) for word in text.split())
    return Transcript(text, words, sentence_log_odds=sentence_log_odds(text), align=lambda: said(text))


class Caller:
    """Plays speech and quiet to a detector and answers its requests at once, or later."""

    def __init__(
        self, thresholds: Thresholds | None = None, *, end: float = 0.97, text: str = "Yes."
    ) -> None:
        self.turns = TurnDetector(SETTINGS, thresholds)
        self.end = end
        self.text = text
        self.answering = True
        self.time = 0.0
        self.events: list[TurnEvent] = []
        self.requests: list[DecodeRequest | AlignRequest | EndRequest] = []
        self.transcript = said

    def hear(self, seconds: float, probability: float, *, fallen: bool = False) -> None:
        """Play windows of one VAD probability, and of one level."""
        for _ in range(round(seconds / WINDOW)):
            self.time += WINDOW
            self.take(self.turns.heard(probability, self.time, fallen=fallen))

    def speak(self, seconds: float) -> None:
        """Play speech."""
        self.hear(seconds, 0.95)

    def rest(self, seconds: float) -> None:
        """Play quiet."""
        self.hear(seconds, 0.02)

    def take(self, actions: list[Action]) -> None:
        """Note events and answer requests."""
        for action in actions:
            if isinstance(action, TurnEvent):
                self.events.append(action)
                continue
            self.requests.append(action)
            if self.answering:
                self.answer(action)

    def answer(self, request: DecodeRequest | AlignRequest | EndRequest) -> None:
        """Answer one request."""
        if isinstance(request, EndRequest):
            self.take(self.turns.judged(request, self.end))
        elif isinstance(request, AlignRequest):
            assert request.transcript.align is not None
            self.take(self.turns.aligned(request, request.transcript.align()))
        else:
            self.take(self.turns.transcribed(request, self.transcript(self.text) if self.text else None))

    def decodes(self, *kinds: Kind) -> list[DecodeRequest]:
        """Return the decodes of some kinds that were asked for."""
        return [item for item in self.requests if isinstance(item, DecodeRequest) and item.kind in kinds]

    def kinds(self) -> list[EventType]:
        """Return the event types so far, without partials."""
        return [event.type for event in self.events if event.type is not EventType.UPDATE]


class UntimedCaller(Caller):
    """Is given transcripts without word times, and holds back the requests for them."""

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        self.transcript = untimed
        self.held: list[AlignRequest] = []

    def answer(self, request: DecodeRequest | AlignRequest | EndRequest) -> None:
        """Answer one request, or hold it."""
        if isinstance(request, AlignRequest):
            self.held.append(request)
        else:
            super().answer(request)


def test_a_turn_starts_with_its_first_words_and_ends_after_short_quiet() -> None:
    """A sure turn ends after min_quiet_seconds, and its end reuses the eager decode."""
    caller = Caller(Thresholds(eager=0.5))
    caller.speak(1.0)
    caller.rest(1.0)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END, EventType.END]
    eager, end = caller.events[-2:]
    assert end.transcript is eager.transcript
    assert SETTINGS.min_quiet_seconds <= end.end - end.last_speech <= SETTINGS.min_quiet_seconds + 2 * WINDOW
    assert end.trigger is Trigger.MODEL
    assert end.end_confidence >= 0.7
    assert len(caller.decodes(Kind.AHEAD, Kind.EAGER, Kind.FINAL)) == 1


def test_what_was_decoded_as_the_voice_fell_is_the_transcript() -> None:
    """The decode starts before the VAD calls it quiet; where its result comes later, smart-turn and the end wait."""
    caller = Caller(Thresholds(eager=0.5))
    caller.speak(1.0)
    caller.answering = False
    caller.hear(WINDOW, FALLING)
    (ahead,) = caller.decodes(Kind.AHEAD)
    assert ahead.end == caller.time
    caller.rest(0.3)
    assert caller.decodes(Kind.EAGER) == []
    assert EventType.EAGER_END not in caller.kinds()
    assert caller.requests[-1] is ahead
    caller.answering = True
    caller.answer(ahead)
    caller.rest(0.1)
    assert caller.kinds()[-2:] == [EventType.EAGER_END, EventType.END]


@pytest.mark.parametrize("answered", [True, False])
def test_a_voice_that_rises_again_leaves_a_partial(answered: bool) -> None:
    """What was decoded ahead is progress where speech goes on, and the turn is decoded again with all its words."""
    caller = Caller(text="I would like")
    caller.speak(0.6)
    caller.answering = answered
    caller.hear(WINDOW, FALLING)
    (ahead,) = caller.decodes(Kind.AHEAD)
    caller.answering = True
    caller.speak(0.1)
    if not answered:
        caller.answer(ahead)
    assert caller.events[-1].transcript.text == "I would like"
    caller.text = "I would like a dog."
    caller.speak(0.6)
    caller.rest(2.0)
    assert caller.events[-1].type is EventType.END
    assert caller.events[-1].transcript.text == "I would like a dog."


def test_an_end_is_announced_before_the_vad_calls_it_quiet() -> None:
    """Finished words of a falling voice are enough; its rise withdraws the end, and is no new turn."""
    caller = Caller(Thresholds(eager=0.3))
    caller.speak(1.0)
    caller.hear(2 * WINDOW, FALLING)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END]
    caller.speak(WINDOW)
    assert caller.kinds()[2:] == [EventType.RESUMED]
    caller.rest(1.0)
    assert caller.kinds()[3:] == [EventType.EAGER_END, EventType.END]
    assert caller.events[-1].turn_index == 0


def test_a_voice_whose_level_falls_may_be_ending_while_the_vad_is_still_sure() -> None:
    """The turn is decoded at the first low window; the fall that the VAD then sees changes nothing."""
    caller = Caller(Thresholds(eager=0.3))
    caller.speak(1.0)
    caller.hear(WINDOW, 1.0, fallen=True)
    (ahead,) = caller.decodes(Kind.AHEAD)
    assert ahead.end == caller.time
    caller.hear(SETTINGS.fallen_seconds - WINDOW, 1.0, fallen=True)
    caller.hear(2 * WINDOW, FALLING, fallen=True)
    caller.hear(2.0, 0.02, fallen=True)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END, EventType.END]
    assert caller.decodes(Kind.AHEAD, Kind.EAGER, Kind.FINAL) == [ahead]


def test_a_voice_that_goes_on_softly_is_speech() -> None:
    """What the VAD is sure of for longer than a fall lasts is decoded as any other speech, however soft."""
    caller = Caller(Thresholds(eager=0.3), text="I would.")
    caller.speak(1.0)
    caller.hear(SETTINGS.fallen_seconds + 2 * WINDOW, 1.0, fallen=True)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END, EventType.RESUMED]
    caller.hear(2.0, 1.0, fallen=True)
    assert len(caller.decodes(Kind.PARTIAL)) >= 2
    caller.rest(2.0)
    assert caller.kinds()[3:] == [EventType.EAGER_END, EventType.END]


def test_unfinished_words_are_no_early_end_until_smart_turn_is_sure() -> None:
    """Where the words want more, the sound decides."""
    caller = Caller(Thresholds(eager=0.3), text="I would like to")
    caller.speak(1.0)
    caller.hear(2 * WINDOW, FALLING)
    caller.rest(SETTINGS.ask_seconds[0] - 2 * WINDOW)
    assert caller.kinds() == [EventType.START]
    caller.rest(2.0)
    assert caller.kinds()[1:] == [EventType.EAGER_END, EventType.END]


def test_a_voice_that_goes_on_faintly_is_speech() -> None:
    """A fall is over soon; what is said at such a probability for longer is decoded as any other speech."""
    caller = Caller(Thresholds(eager=0.3), text="I would.")
    caller.speak(1.0)
    caller.hear(SETTINGS.falling_seconds + 2 * WINDOW, FALLING)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END, EventType.RESUMED]
    caller.hear(2.0, FALLING)
    assert len(caller.decodes(Kind.PARTIAL)) >= 2
    caller.text = "I would. Like a dog."
    caller.rest(2.0)
    assert caller.events[-1].type is EventType.END
    assert caller.events[-1].transcript.text == "I would. Like a dog."


def test_an_unsure_end_is_asked_about_again() -> None:
    """Smart-turn judges better with more quiet to hear; an end it becomes sure of need not be waited for longer."""
    first, second, *_ = SETTINGS.ask_seconds
    caller = Caller(end=0.1)
    caller.speak(1.0)
    caller.rest(second - 2 * WINDOW)
    caller.end = 0.97
    caller.rest(1.0)
    end = caller.events[-1]
    asked = [item.end - end.last_speech for item in caller.requests if isinstance(item, EndRequest)]
    assert asked == [pytest.approx(first, abs=WINDOW), pytest.approx(second, abs=WINDOW)]
    assert end.end - end.last_speech <= second + 2 * WINDOW


def test_the_surest_end_waits_as_long_as_the_threshold_says() -> None:
    """Words and melody alone confirm no end; smart-turn is asked as late as its answer is of use, and once."""
    caller = Caller(Thresholds(end=0.83), end=0.99)
    caller.speak(1.0)
    caller.rest(1.0)
    end = caller.events[-1]
    (asked,) = [item.end - end.last_speech for item in caller.requests if isinstance(item, EndRequest)]
    assert asked == pytest.approx(SETTINGS.ask_seconds[1], abs=WINDOW)
    assert end.end - end.last_speech == pytest.approx(0.5, abs=WINDOW)
    assert end.trigger is Trigger.MODEL


@pytest.mark.parametrize(
    ("threshold", "statement", "question"),
    [
        (0.6, 0.2, 0.2),
        (0.7, 0.2, 0.2),
        (0.8, 0.38, 0.26),
        (0.83, 0.5, 0.38),
        (0.86, 0.64, 0.52),
        (0.9, 0.87, 0.75),
    ],
)
def test_least_quiet(threshold: float, statement: float, question: float) -> None:
    """The table of docs/tuning.md: with a question the turn is handed over."""

    def quiet(text: str) -> float:
        caller = Caller(Thresholds(end=threshold), end=0.99, text=text)
        caller.speak(1.0)
        caller.rest(2.0)
        return caller.events[-1].end - caller.events[-1].last_speech

    assert quiet("What time is it?") == pytest.approx(question, abs=WINDOW)
    assert quiet("It is ten.") == pytest.approx(statement, abs=WINDOW)


@pytest.mark.parametrize(
    ("thresholds", "text"),
    [
        (Thresholds(end=0.83), "What time is it?"),
        (Thresholds(end=0.9, timeout=0.4), "It is ten."),
        (Thresholds(fixed_quiet=0.4), "It is"),
    ],
)
def test_smart_turn_is_not_asked_where_no_answer_matters(thresholds: Thresholds, text: str) -> None:
    """A question that Whisper is sure of, a timeout before the least quiet, silence alone: the end is known."""
    caller = Caller(thresholds, end=0.01, text=text)
    caller.speak(1.0)
    caller.rest(0.5)
    assert caller.kinds() == [EventType.START, EventType.END]
    assert not [item for item in caller.requests if isinstance(item, EndRequest)]


def test_a_doubtful_question_mark_says_nothing() -> None:
    """Whisper wrote it, and might have gone on."""
    assert quiet_after(0.5, -1.0, "What time is?") == quiet_after(0.5, -1.0, "It is ten.")


@pytest.mark.parametrize("times", [(), (0.0,), (-0.1, 0.2), (0.4, 0.2), (0.2, 0.2)])
def test_times_to_ask_rise(times: tuple[float, ...]) -> None:
    """Others are refused where they are set."""
    with pytest.raises(ValidationError, match="ask_seconds"):
        TurnSettings(ask_seconds=times)


def test_a_slow_answer_is_waited_for_not_asked_again() -> None:
    """The first judgement may come after the time to ask again; it counts."""
    caller = Caller(end=0.97)
    caller.speak(1.0)
    caller.answering = False
    caller.hear(WINDOW, FALLING)
    caller.answer(caller.requests[-1])
    caller.rest(0.5)
    (asked,) = [item for item in caller.requests if isinstance(item, EndRequest)]
    caller.answer(asked)
    assert caller.kinds()[-1] is EventType.END


def test_one_decode_of_a_turn_that_may_be_ending_runs_at_a_time() -> None:
    """On a short processor decodes come late: another waits for the one before, whose words begin the turn."""
    caller = Caller(Thresholds(eager=0.3), text="What is")
    caller.speak(0.6)
    caller.answering = False
    for _ in range(5):
        caller.hear(WINDOW, 1.0, fallen=True)
        caller.speak(0.4)
    (ahead,) = caller.decodes(Kind.AHEAD)
    caller.answer(ahead)
    assert caller.kinds() == [EventType.START]
    caller.hear(WINDOW, 1.0, fallen=True)
    assert len(caller.decodes(Kind.AHEAD)) == 2


def test_words_that_come_late_are_news_until_newer_ones_are_known() -> None:
    """What was decoded before a quiet begins the turn while the whole of it is decoded, and changes nothing after."""
    caller = Caller(Thresholds(eager=0.3), text="Yes. And no.")
    caller.answering = False
    caller.speak(0.6)
    caller.hear(WINDOW, 1.0, fallen=True)
    caller.speak(0.1)
    caller.rest(0.1)
    partial, ahead, eager = caller.decodes(*Kind)
    assert (partial.kind, ahead.kind, eager.kind) == (Kind.PARTIAL, Kind.AHEAD, Kind.EAGER)
    caller.take(caller.turns.transcribed(ahead, said("Yes.")))
    assert caller.kinds() == [EventType.START]
    caller.take(caller.turns.transcribed(partial, said("Ye.")))
    assert caller.events[-1].transcript.text == "Yes."
    caller.answer(eager)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END]
    assert caller.events[-1].transcript.text == "Yes. And no."


@pytest.mark.parametrize("late", [True, False])
def test_a_word_that_is_not_believed_ahead_has_a_second_chance(late: bool) -> None:
    """Where nothing is believed of what was decoded ahead, the turn is decoded again with the quiet after it."""
    caller = Caller(text="")
    caller.speak(0.3)
    caller.answering = not late
    caller.hear(WINDOW, FALLING)
    caller.text = "Yes."
    caller.rest(0.064)
    if late:
        caller.answering = True
        caller.take(caller.turns.transcribed(caller.decodes(Kind.AHEAD)[0], None))
        caller.answer(caller.requests[-2])
    caller.rest(1.6)
    assert len(caller.decodes(Kind.EAGER)) == 1
    assert caller.events[-1].type is EventType.END
    assert caller.events[-1].transcript.text == "Yes."


def test_a_wavering_voice_is_not_decoded_at_every_dip() -> None:
    """Decodes ahead keep their distance, and stop where nothing is understood."""
    known, lost = Caller(text="Yes."), Caller(text="")
    for caller in (known, lost):
        for _ in range(100):
            caller.speak(4 * WINDOW)
            caller.hear(WINDOW, FALLING)
    times = [item.end for item in known.decodes(Kind.AHEAD)]
    assert len(times) > 10
    assert all(after - before >= SETTINGS.falling_interval_seconds for before, after in pairwise(times))
    assert len(lost.decodes(Kind.AHEAD)) <= 3


def test_no_eager_end_is_announced_unless_the_client_asks() -> None:
    """Without eager_eot_threshold there is no EagerEndOfTurn."""
    caller = Caller()
    caller.speak(1.0)
    caller.rest(1.0)
    assert caller.kinds() == [EventType.START, EventType.END]


def test_speech_after_an_eager_end_withdraws_it() -> None:
    """TurnResumed follows an eager end, and the whole turn is decoded again at the next quiet."""
    caller = Caller(Thresholds(eager=0.3), end=0.6)
    caller.speak(1.0)
    caller.rest(0.2)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END]
    caller.text = "Yes. And no."
    caller.speak(1.0)
    caller.rest(2.0)
    assert caller.kinds()[2:] == [EventType.RESUMED, EventType.EAGER_END, EventType.END]
    assert caller.events[-1].transcript.text == "Yes. And no."
    assert caller.events[-1].turn_index == 0


def test_an_unsure_turn_ends_at_the_longest_quiet() -> None:
    """However unsure, a turn ends after max_quiet_seconds, as a timeout."""
    caller = Caller(end=0.01, text="I would like to")
    caller.speak(1.0)
    caller.rest(SETTINGS.max_quiet_seconds - 0.1)
    assert EventType.END not in caller.kinds()
    caller.rest(0.2)
    assert caller.events[-1].trigger is Trigger.TIMEOUT


def test_the_timeout_of_the_client_bounds_the_quiet() -> None:
    """eot_timeout_ms ends an unsure turn earlier."""
    caller = Caller(Thresholds(timeout=0.5), end=0.01, text="I would like to")
    caller.speak(1.0)
    caller.rest(0.6)
    assert caller.kinds()[-1] is EventType.END


def quiet_after(end: float, sentence: float, text: str = "Yes.") -> float:
    """Return the quiet needed where smart-turn gives a probability, and Whisper log odds of a sentence's end."""
    caller = Caller(end=end, text=text)
    caller.transcript = lambda text: Transcript(text, sentence_log_odds=sentence)
    caller.speak(0.5)
    caller.rest(0.12)
    return caller.turns.needed_quiet()


def test_quiet_needed_falls_smoothly_with_confidence() -> None:
    """The surer Whisper and smart-turn are, the less quiet is needed, in small steps, from one bound to the other."""
    judged = [quiet_after(step / 1000, 2.5) for step in range(1001)]
    written = [quiet_after(0.9, step / 100) for step in range(-350, 351)]
    assert written[0] == SETTINGS.max_quiet_seconds
    assert written[-1] == judged[-1] == SETTINGS.min_quiet_seconds
    assert judged[0] > judged[-1]
    assert all(
        0 <= before - after < 0.02 for needed in (judged, written) for before, after in pairwise(needed)
    )


def test_sound_without_words_never_becomes_a_turn() -> None:
    """Where nothing is understood there is no event, and the partials become rare."""
    caller = Caller(text="")
    for _ in range(30):
        caller.speak(3.0)
        caller.rest(0.5)
    assert caller.events == []
    partials = [
        item for item in caller.requests if isinstance(item, DecodeRequest) and item.kind is Kind.PARTIAL
    ]
    assert len(partials) < 2 * 30 * 3.5 / SETTINGS.partial_interval_seconds / 2


def test_partials_keep_their_distance_and_pause_in_quiet() -> None:
    """Partials come no faster than their interval, one at a time, and never in a quiet."""
    caller = Caller()
    caller.speak(5.0)
    times = [item.end for item in caller.requests if isinstance(item, DecodeRequest)]
    assert all(
        after - before >= SETTINGS.partial_interval_seconds - WINDOW for before, after in pairwise(times)
    )
    caller.answering = False
    caller.speak(3.0)
    assert len(caller.requests) == len(times) + 1


def test_a_long_turn_is_decoded_in_windows_that_stay_short() -> None:
    """Without any pause, no decode is asked for more than the longest window, and no word is lost or doubled."""
    caller = Caller()
    spoken = 0.0
    caller.answering = False
    for _ in range(1200):
        caller.speak(WINDOW)
        spoken += WINDOW
        for request in caller.requests:
            assert isinstance(request, DecodeRequest)
            first, last = round(request.start * 2), round(request.end * 2)
            words = tuple(Word(f"w{n}", 0.9, n / 2, n / 2 + 0.5) for n in range(first, last))
            text = " ".join(word.text for word in words)
            caller.take(caller.turns.transcribed(request, Transcript(text, words)))
            assert request.end - request.start <= SETTINGS.max_window_seconds + 1
        caller.requests.clear()
    latest = caller.events[-1].transcript.text.split()
    numbers = [int(word[1:]) for word in latest]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) >= 2 * (spoken - 4)


def test_force_end_gives_the_turn_so_far() -> None:
    """ForceEndTurn decodes what was said and ends the turn by hand."""
    caller = Caller(text="Stop")
    caller.speak(1.0)
    caller.take(caller.turns.force_end())
    assert caller.events[-1].type is EventType.END
    assert caller.events[-1].trigger is Trigger.MANUAL
    assert not caller.turns.busy
    assert caller.turns.force_end() == []


def test_fixed_quiet_ends_a_turn_whatever_was_said() -> None:
    """With a fixed quiet smart-turn is not asked."""
    caller = Caller(Thresholds(fixed_quiet=0.3), text="and")
    caller.speak(1.0)
    caller.rest(0.25)
    assert EventType.END not in caller.kinds()
    caller.rest(0.1)
    assert EventType.END in caller.kinds()
    assert not any(isinstance(request, EndRequest) for request in caller.requests)


def test_a_late_result_of_a_withdrawn_quiet_changes_nothing() -> None:
    """Results of requests that are no longer wanted are ignored."""
    caller = Caller(end=0.99)
    caller.speak(1.0)
    caller.answering = False
    caller.rest(0.13)
    stale = list(caller.requests[-2:])
    caller.speak(0.5)
    before = list(caller.events)
    for request in stale:
        caller.answer(request)
    assert caller.events == before


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.booleans(),
            st.integers(1, 40),
            st.sampled_from(["now", "later", "never"]),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.sampled_from([None, 0.3, 0.5]),
)
def test_events_always_come_in_the_protocols_order(
    steps: list[tuple[float, bool, int, str, bool]], eager: float | None
) -> None:
    """Whatever is heard and whenever answers come, the events of each turn follow Flux's grammar."""
    caller = Caller(Thresholds(eager=eager), end=0.8)
    late: list[DecodeRequest | AlignRequest | EndRequest] = []
    for probability, fallen, windows, when, understood in steps:
        caller.text = "Yes." if understood else ""
        caller.answering = when == "now"
        known = len(caller.requests)
        caller.hear(windows * WINDOW, probability, fallen=fallen)
        if when == "later":
            late += caller.requests[known:]
        elif late:
            caller.answering = True
            caller.answer(late.pop(0))
    check_order(caller.events)


def check_order(events: list[TurnEvent]) -> None:
    """Assert Flux's grammar: start, then updates and eager ends each resumed or confirmed, then end."""
    index, state = 0, "idle"
    allowed = {
        "idle": {EventType.START: "open"},
        "open": {EventType.UPDATE: "open", EventType.EAGER_END: "eager", EventType.END: "idle"},
        "eager": {EventType.RESUMED: "open", EventType.END: "idle"},
    }
    for event in events:
        assert event.turn_index == index
        assert event.type in allowed[state], f"{event.type} in {state}"
        assert event.start <= event.end
        if event.type is not EventType.RESUMED:
            assert event.transcript.text
        state = allowed[state][event.type]
        index += event.type is EventType.END


@pytest.mark.parametrize(
    ("text", "later"),
    [("I want a", "I want a dog."), ("My number is 555", "My number is 555."), ("Fine...", "Fine.")],
)
def test_an_open_ending_waits_longer(text: str, later: str) -> None:
    """What the words say shifts the quiet that is needed."""
    waits = []
    for said_text in (text, later):
        caller = Caller(end=0.6, text=said_text)
        caller.speak(0.5)
        caller.rest(0.12)
        waits.append(caller.turns.needed_quiet())
    assert waits[0] > waits[1]


def test_an_early_end_does_not_wait_for_the_times_of_its_words_and_the_end_does() -> None:
    """The early end is announced with the text; the end waits for the word times, and has them."""
    caller = UntimedCaller(Thresholds(eager=0.5))
    caller.speak(1.0)
    caller.rest(1.0)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END]
    assert [word.start for word in caller.events[-1].transcript.words] == [None]
    assert len(caller.held) == 1
    Caller.answer(caller, caller.held[0])
    assert caller.kinds()[-1] is EventType.END
    assert [word.start for word in caller.events[-1].transcript.words] == [0.0]


def test_a_turn_that_smart_turn_never_judges_ends_after_the_longest_quiet() -> None:
    """Where its answer does not come, the words and the quiet decide alone."""
    caller = Caller(Thresholds(eager=0.5))
    caller.speak(1.0)
    caller.hear(WINDOW, FALLING)
    caller.answering = False
    caller.rest(SETTINGS.max_quiet_seconds - 2 * WINDOW)
    assert isinstance(caller.requests[-1], EndRequest)
    assert EventType.END not in caller.kinds()
    caller.rest(4 * WINDOW)
    assert caller.kinds()[-1] is EventType.END


@pytest.mark.parametrize("wanted", WordTimes)
def test_which_decodes_time_their_words(wanted: WordTimes) -> None:
    """A long window always, since it is divided by them; an end as the client wants; progress only with its text."""
    found = {kind: DecodeRequest(kind, 0.0, 1.0, 0.9).word_times(wanted) for kind in Kind}
    progress = WordTimes.WITH_TEXT if wanted is WordTimes.WITH_TEXT else WordTimes.NO
    assert found == {
        Kind.FINAL: WordTimes.WITH_TEXT,
        Kind.EAGER: wanted,
        Kind.AHEAD: wanted,
        Kind.PARTIAL: progress,
    }


def test_word_times_that_come_after_the_turn_went_on_change_nothing() -> None:
    """The times of a withdrawn end belong to nobody."""
    caller = UntimedCaller(Thresholds(eager=0.5))
    caller.speak(1.0)
    caller.rest(0.3)
    caller.speak(1.0)
    assert caller.kinds() == [EventType.START, EventType.EAGER_END, EventType.RESUMED]
    assert caller.turns.aligned(caller.held[0], said(caller.text)) == []
    caller.rest(0.3)
    Caller.answer(caller, caller.held[-1])
    assert caller.kinds()[-1] is EventType.END
