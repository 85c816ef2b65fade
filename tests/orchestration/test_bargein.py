"""Who takes the turn while the agent speaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.bargein import BargeIn, BargeInSettings, Verdict

WINDOW = 0.032


def info(event: str, transcript: str) -> dict:
    """Return a TurnInfo message."""
    return {"event": event, "transcript": transcript}


def sound(bargein: BargeIn, windows: int, *, start: float = 0.0, probability: float = 0.9) -> list[float]:
    """Feed VAD windows; return when the agent had to fall silent."""
    silenced = []
    for number in range(windows):
        began = start + number * WINDOW
        if bargein.window(probability, began=began, now=began + WINDOW):
            silenced.append(began + WINDOW)
    return silenced


def test_the_agent_falls_silent_with_the_first_window_of_speech() -> None:
    """One window that is surely speech is enough, and it is told once."""
    bargein = BargeIn("en")
    assert sound(bargein, 10, start=5.0) == [pytest.approx(5.032)]
    assert bargein.silenced_at == 5.0


def test_what_may_be_noise_does_not_silence() -> None:
    """Windows that are hardly speech leave the agent alone, however many there are."""
    assert sound(BargeIn("en"), 20, probability=0.7) == []


def test_a_guarded_line_wants_several_windows() -> None:
    """With `windows = 2` one window alone is no speech."""
    bargein = BargeIn("en", BargeInSettings(windows=2))
    assert sound(bargein, 1) == []
    assert sound(bargein, 1, start=1.0, probability=0.1) == []
    assert sound(bargein, 10, start=2.0) == [pytest.approx(2.064)]


def test_words_take_the_turn() -> None:
    """What the ear understands as words passes at once."""
    bargein = BargeIn("en")
    sound(bargein, 10)
    assert bargein.judge(info("StartOfTurn", "wait a moment"), speaking=True) is Verdict.PASS
    assert bargein.silenced_at is None


@pytest.mark.parametrize("murmur", ["Mm-hm.", "yeah", "Okay, right.", "uh-huh", ""])
def test_a_murmur_does_not(murmur: str) -> None:
    """What shows that somebody listens is kept from the call, from its start to its end."""
    bargein = BargeIn("en")
    sound(bargein, 5)
    for event in ("StartOfTurn", "Update", "EagerEndOfTurn", "EndOfTurn"):
        assert bargein.judge(info(event, murmur), speaking=True) is Verdict.KEEP


def test_a_murmur_that_becomes_words_takes_the_turn() -> None:
    """'Yeah' may begin a sentence; the turn then begins with what is known so far."""
    bargein = BargeIn("en")
    sound(bargein, 5)
    assert bargein.judge(info("StartOfTurn", "yeah"), speaking=True) is Verdict.KEEP
    assert bargein.judge(info("Update", "yeah but I meant Rome"), speaking=True) is Verdict.TAKE
    assert bargein.judge(info("EndOfTurn", "yeah but I meant Rome"), speaking=True) is Verdict.PASS


def test_a_yes_after_the_agent_has_finished_is_an_answer() -> None:
    """'Yes' over the agent's last word counts once the agent is silent."""
    bargein = BargeIn("en")
    assert bargein.judge(info("StartOfTurn", "yes"), speaking=True) is Verdict.KEEP
    assert bargein.judge(info("EndOfTurn", "yes"), speaking=False) is Verdict.TAKE


def test_a_yes_to_a_silent_agent_is_a_turn() -> None:
    """Nothing is kept while the agent does not speak."""
    assert BargeIn("en").judge(info("StartOfTurn", "yes"), speaking=False) is Verdict.PASS


def test_the_agents_own_echo_takes_no_turn() -> None:
    """What the agent has just said comes back from a loud handset."""
    bargein = BargeIn("en")
    bargein.said(["The", "capital", "of", "France", "is", "Paris."])
    assert bargein.judge(info("StartOfTurn", "capital of France is"), speaking=True) is Verdict.KEEP
    assert bargein.judge(info("EndOfTurn", "capital of France is"), speaking=False) is Verdict.KEEP
    assert bargein.judge(info("StartOfTurn", "what is the capital of Spain"), speaking=True) is Verdict.PASS


def test_a_false_alarm_is_told_once() -> None:
    """After the sound has ended and nothing was understood, the agent may go on."""
    bargein = BargeIn("en")
    sound(bargein, 5)
    sound(bargein, 6, start=0.2, probability=0.0)
    assert not bargein.false_alarm(0.6)
    assert bargein.false_alarm(1.0)
    assert not bargein.false_alarm(2.0)
    assert bargein.false_alarms == 1


def test_a_murmur_is_over_with_its_sound() -> None:
    """Once a murmur has been understood the agent does not wait for more than its end."""
    bargein = BargeIn("en")
    sound(bargein, 10)
    bargein.judge(info("StartOfTurn", "mm-hm"), speaking=True)
    assert not bargein.false_alarm(0.33)
    sound(bargein, 2, start=0.32, probability=0.1)
    assert bargein.false_alarm(0.39)


def test_a_true_interruption_makes_up_for_a_false_alarm() -> None:
    """A caller who does interrupt is heard at once again."""
    bargein = BargeIn("en", BargeInSettings(max_false_alarms=1))
    sound(bargein, 5)
    assert bargein.false_alarm(3.0)
    assert sound(bargein, 5, start=4.0) == []
    bargein.silenced_at = 4.0
    assert bargein.judge(info("StartOfTurn", "no wait"), speaking=True) is Verdict.PASS
    assert sound(bargein, 5, start=6.0) == [pytest.approx(6.032)]


def test_endless_noise_does_not_silence_for_ever() -> None:
    """A sound that goes on without a word is given up on."""
    bargein = BargeIn("en")
    sound(bargein, 100)
    assert bargein.false_alarm(3.2)


def test_a_line_that_echoes_is_not_silenced_again_and_again() -> None:
    """After some false alarms only understood words count."""
    bargein = BargeIn("en", BargeInSettings(max_false_alarms=2))
    for number in range(3):
        start = number * 10.0
        silenced = sound(bargein, 5, start=start)
        assert bool(silenced) is (number < 2)
        sound(bargein, 6, start=start + 0.2, probability=0.0)
        bargein.false_alarm(start + 5)
    assert bargein.judge(info("StartOfTurn", "stop please"), speaking=True) is Verdict.PASS


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]),
            st.sampled_from(["", "yeah", "hello there"]),
            st.booleans(),
            st.floats(0, 1),
        ),
        max_size=40,
    )
)
def test_every_turn_that_passes_has_a_beginning(events: list) -> None:
    """What reaches the call of a kept turn starts with a taken or passed start, whatever comes."""
    bargein = BargeIn("en")
    kept = False
    for number, (event, text, speaking, probability) in enumerate(events):
        if speaking:
            bargein.window(probability, began=number * WINDOW, now=(number + 1) * WINDOW)
            bargein.glimpse(probability, began=(number + 0.5) * WINDOW)
        verdict = bargein.judge(info(event, text), speaking=speaking)
        if event == "StartOfTurn":
            kept = verdict is Verdict.KEEP
        elif verdict is Verdict.TAKE:
            assert kept
            kept = False
        elif verdict is Verdict.KEEP:
            assert kept
            kept = event != "EndOfTurn"


def test_a_glimpse_of_speech_silences_the_agent() -> None:
    """The latest 32 ms are enough, though the VAD's window is not whole yet; the whole one is not told again."""
    bargein = BargeIn("en")
    assert not bargein.glimpse(0.7, began=5.0)
    assert bargein.glimpse(0.9, began=5.012)
    assert bargein.silenced_at == 5.012
    assert sound(bargein, 3, start=5.02) == []


def test_a_glimpse_does_not_count_where_several_windows_are_wanted() -> None:
    """With `windows = 2` only whole windows do."""
    assert not BargeIn("en", BargeInSettings(windows=2)).glimpse(0.99, began=1.0)


def test_a_glimpse_of_nothing_is_a_false_alarm_after_the_verdict_only() -> None:
    """The quiet before it is not taken for the quiet after it."""
    bargein = BargeIn("en")
    sound(bargein, 20, probability=0.1)
    assert bargein.glimpse(0.9, began=0.65)
    assert not bargein.false_alarm(0.69)
    sound(bargein, 6, start=0.66, probability=0.1)
    assert not bargein.false_alarm(0.9)
    assert bargein.false_alarm(0.66 + 6 * WINDOW + 0.3)
    assert bargein.false_alarms == 1


def test_false_alarms_stop_glimpses_too() -> None:
    """On a line that echoes only understood words silence the agent."""
    assert not BargeIn("en", BargeInSettings(max_false_alarms=0)).glimpse(0.99, began=1.0)
