"""Moments in, figures out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.timeline import SPANS_OF_FIGURES, Moment, Timeline, Turn
from telemetry.names import (
    END_OF_TURN_DELAY,
    STAGES,
    TIME_TO_FIRST_SENTENCE,
    TIME_TO_FIRST_TOKEN,
    TRANSCRIPTION_DELAY,
    TTS_TIME_TO_FIRST_AUDIO,
    VOICE_TO_VOICE,
)


def answer(timeline: Timeline, at: float) -> None:
    """Let mind and mouth begin an answer at ``at``."""
    for offset, moment in (
        (0.0, Moment.LLM_REQUESTED),
        (0.1, Moment.FIRST_TOKEN),
        (0.2, Moment.FIRST_SENTENCE),
        (0.2, Moment.TEXT_SENT),
        (0.3, Moment.FIRST_AUDIO),
    ):
        timeline.mark(moment, at + offset)


def test_figures_of_a_speculated_turn() -> None:
    """An answer begun early and confirmed counts from where it began."""
    timeline = Timeline()
    timeline.turn_started(10.0)
    timeline.eager("hello", speech_ended=11.0, at=11.15)
    answer(timeline, 11.15)
    timeline.confirmed("hello", speech_ended=11.0, at=11.3)
    timeline.mark(Moment.AUDIBLE, 11.5)
    turn = timeline.finish()
    assert turn is not None
    assert turn.figures() == pytest.approx(
        {
            END_OF_TURN_DELAY: 0.3,
            TRANSCRIPTION_DELAY: 0.15,
            TIME_TO_FIRST_TOKEN: 0.1,
            TIME_TO_FIRST_SENTENCE: 0.2,
            TTS_TIME_TO_FIRST_AUDIO: 0.1,
            VOICE_TO_VOICE: 0.5,
        }
    )
    assert (turn.speculations, turn.withdrawn) == (1, 0)


def test_a_withdrawn_answer_leaves_only_its_count() -> None:
    """Figures are of the answer that was heard, not of one thrown away."""
    timeline = Timeline()
    timeline.turn_started(10.0)
    timeline.eager("hello", speech_ended=11.0, at=11.1)
    answer(timeline, 11.1)
    timeline.withdrawn(12.0)
    timeline.eager("hello there", speech_ended=12.0, at=12.1)
    answer(timeline, 12.1)
    timeline.confirmed("hello there", speech_ended=12.0, at=12.3)
    turn = timeline.finish()
    assert turn is not None
    assert turn.moments[Moment.LLM_REQUESTED] == 12.1
    assert turn.figure(TRANSCRIPTION_DELAY) == pytest.approx(0.1)
    assert (turn.speculations, turn.withdrawn) == (2, 1)


def test_a_turn_the_ear_never_confirmed_is_none() -> None:
    """A start without an end is no turn."""
    timeline = Timeline()
    timeline.turn_started(1.0)
    assert timeline.turn_started(2.0) is None
    assert timeline.finish() is None


def test_a_transcript_that_changed_counts_from_the_confirmation() -> None:
    """Where the final text differs from the eager one, the transcript came with the end of the turn."""
    timeline = Timeline()
    timeline.turn_started(0.0)
    timeline.eager("four", speech_ended=1.0, at=1.1)
    timeline.confirmed("forty", speech_ended=1.0, at=1.4)
    turn = timeline.finish()
    assert turn is not None
    assert turn.figure(TRANSCRIPTION_DELAY) == pytest.approx(0.4)


EVENTS = st.lists(
    st.one_of(
        st.just(("start",)),
        st.just(("withdrawn",)),
        st.tuples(st.just("eager"), st.text(max_size=3)),
        st.tuples(st.just("confirmed"), st.text(max_size=3)),
        st.tuples(st.just("mark"), st.sampled_from(Moment)),
    ),
    max_size=40,
)


@given(EVENTS)
def test_any_order_of_events(events: list) -> None:
    """Whatever comes in whatever order: turns are numbered in order, counts add up, nothing is raised."""
    timeline = Timeline()
    turns = []
    for now, event in enumerate(events):
        match event:
            case ("start",):
                turns.append(timeline.turn_started(now))
            case ("withdrawn",):
                timeline.withdrawn(12.0)
            case ("eager", text):
                timeline.eager(text, speech_ended=now - 0.5, at=now)
            case ("confirmed", text):
                timeline.confirmed(text, speech_ended=now - 0.5, at=now)
            case ("mark", moment):
                timeline.mark(moment, now)
    turns.append(timeline.finish())
    finished = [turn for turn in turns if turn]
    assert [turn.index for turn in finished] == sorted({turn.index for turn in finished})
    for turn in finished:
        assert Moment.CONFIRMED in turn.moments
        assert set(turn.figures()) <= set(SPANS_OF_FIGURES)


def test_stages_of_a_speculated_turn() -> None:
    """What happens before the turn is confirmed is paid by the pause; the rest of the pause is ``hold``."""
    timeline = Timeline()
    timeline.turn_started(10.0)
    timeline.eager("hello", speech_ended=11.0, at=11.15)
    answer(timeline, 11.2)
    timeline.confirmed("hello", speech_ended=11.0, at=11.6)
    timeline.mark(Moment.AUDIBLE, 11.62)
    turn = timeline.finish()
    assert turn is not None
    assert turn.stages() == pytest.approx(
        {"listen": 0.15, "ask": 0.05, "think": 0.1, "phrase": 0.1, "voice": 0.1, "hold": 0.1, "send": 0.02}
    )


@given(st.dictionaries(st.sampled_from(list(Moment)), st.floats(0, 100)))
def test_stages_add_up_to_voice_to_voice(moments: dict[Moment, float]) -> None:
    """Whatever happened in whatever order, no stage is negative, and together they are what the caller waited."""
    turn = Turn(index=0, moments=moments)
    stages = turn.stages()
    if (waited := turn.figure(VOICE_TO_VOICE)) is None:
        assert stages == {}
        return
    assert list(stages) == [stage.key for stage in STAGES]
    assert min(stages.values()) >= 0
    assert sum(stages.values()) == pytest.approx(waited)
