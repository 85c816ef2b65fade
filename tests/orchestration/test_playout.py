"""When speech leaves, with time passed in."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.gathering import Gathering
from orchestration.playout import LEAD_SECONDS, Playout

PIECE = 0.02


def play(playout: Playout[str], start: float, end: float) -> list[tuple[float, str]]:
    """Ask every 5 ms from ``start`` to ``end``; return what left, and when."""
    left = []
    for step in range(round((end - start) / 0.005) + 1):
        now = start + step * 0.005
        left += [(now, frame) for frame in playout.due(now)]
    return left


def speech(pieces: int, words: dict[str, float] | None = None) -> Playout[str]:
    """Return a context of ``pieces`` pieces of sound with words at their positions."""
    playout: Playout[str] = Playout()
    playout.add_mark("began", starts_context=True)
    for number in range(pieces):
        playout.add_sound(f"sound{number}", PIECE)
    for word, position in (words or {}).items():
        playout.add_word(word, position)
    playout.add_mark("ended", ends_context=True)
    return playout


def test_sound_leaves_in_real_time() -> None:
    """Half a second of sound takes half a second, but for the lead."""
    left = play(speech(25), 10.0, 12.0)
    assert left[0] == (10.0, "began")
    assert [frame for _, frame in left] == ["began", *(f"sound{n}" for n in range(25)), "ended"]
    assert left[-1][0] == pytest.approx(10.0 + 24 * PIECE - LEAD_SECONDS, abs=0.011)


def test_a_word_is_said_when_enough_of_it_was_heard() -> None:
    """Words leave a little after their sound began, in order, and before the end of their context."""
    left = dict(
        reversed([(frame, now) for now, frame in play(speech(50, {"one": 0.0, "two": 0.5}), 0.0, 2.0)])
    )
    assert left["one"] == pytest.approx(0.15 - LEAD_SECONDS, abs=0.03)
    assert left["two"] == pytest.approx(0.65 - LEAD_SECONDS, abs=0.03)
    assert left["two"] < left["ended"]


def test_a_short_word_is_said_when_all_of_it_was_heard() -> None:
    """In "on a river" the first two words are over before either has lasted long enough for a longer one."""
    words = {"on": 0.2, "a": 0.26, "river": 0.32}
    left = dict(reversed([(frame, now) for now, frame in play(speech(50, words), 0.0, 2.0)]))
    for word, heard in (("on", 0.26), ("a", 0.32), ("river", 0.47)):
        assert left[word] == pytest.approx(heard - LEAD_SECONDS, abs=0.03)


def test_what_was_lost_at_the_wire_is_said_again() -> None:
    """The agent goes on with the very piece that the caller missed; no word is said twice."""
    playout = speech(25, {"one": 0.0})
    left = [frame for _, frame in play(playout, 0.0, 0.3)]
    assert playout.pause(0.3)
    playout.resume(1.0, lost=2 * PIECE)
    again = [frame for _, frame in play(playout, 1.0, 2.0)]
    assert again[:3] == [*left[-2:], f"sound{len(left) - 2}"]
    assert [*left, *again].count("one") == 1
    assert again[-1] == "ended"


def test_a_carrier_that_buffers_is_waited_for() -> None:
    """Words count as said when the caller has heard them, the end as well; the sound itself leaves as ever."""
    playout = speech(50, {"one": 0.0, "two": 0.5})
    playout.lag_seconds = 0.2
    left = dict(reversed([(frame, now) for now, frame in play(playout, 0.0, 2.0)]))
    assert left["sound49"] == pytest.approx(49 * PIECE - LEAD_SECONDS, abs=0.011)
    assert left["two"] == pytest.approx(0.85 - LEAD_SECONDS, abs=0.03)
    assert left["ended"] == pytest.approx(1.0 + 0.2, abs=0.03)


def test_speech_that_goes_on_does_not_wait_for_the_carrier() -> None:
    """The end of one context holds up no sound of the next."""
    playout = speech(10)
    playout.lag_seconds = 0.5
    playout.add_mark("again", starts_context=True)
    playout.add_sound("more", PIECE)
    left = dict(reversed([(frame, now) for now, frame in play(playout, 0.0, 1.0)]))
    assert left["more"] == pytest.approx(10 * PIECE - LEAD_SECONDS, abs=0.011)


def test_words_without_their_sound_are_said_at_the_end() -> None:
    """A word past the sound's end is not lost."""
    frames = [frame for _, frame in play(speech(5, {"late": 3.0}), 0.0, 1.0)]
    assert frames[-2:] == ["late", "ended"]


def test_a_mark_in_the_middle_does_not_say_what_comes_after_it() -> None:
    """What passes between two clauses leaves the words of the second for when they are heard."""
    playout: Playout[str] = Playout()
    playout.add_mark("began", starts_context=True)
    playout.add_word("late", 0.4)
    playout.add_mark("between")
    for number in range(50):
        playout.add_sound(f"sound{number}", PIECE)
    left = play(playout, 0.0, 2.0)
    frames = [frame for _, frame in left]
    assert frames.index("between") < frames.index("sound0") < frames.index("late")


def test_a_pause_stops_at_once_and_goes_on_where_it_stopped() -> None:
    """While paused nothing leaves, neither sound nor words; afterwards the very next piece does."""
    playout = speech(50, {"one": 0.0, "two": 0.3})
    before = play(playout, 0.0, 0.2)
    assert playout.pause(0.2)
    assert play(playout, 0.205, 5.0) == []
    assert playout.next_due() is None
    playout.resume(5.0)
    after = play(playout, 5.0, 7.0)
    frames = [frame for _, frame in before + after]
    assert [frame for frame in frames if frame.startswith("sound")] == [f"sound{n}" for n in range(50)]
    assert after[0][0] == 5.0
    assert "two" in [frame for _, frame in after]


def test_there_is_nothing_to_pause_in_silence() -> None:
    """An agent that does not speak cannot be silenced."""
    assert not Playout[str]().pause(1.0)


def test_cleared_speech_is_forgotten() -> None:
    """After an interruption only what has left counts as said."""
    playout = speech(50, {"one": 0.0, "two": 0.8})
    left = play(playout, 0.0, 0.4)
    forgotten = list(playout.clear())
    assert "one" in [frame for _, frame in left]
    assert "two" in forgotten
    assert not playout.speaking(0.4)
    assert play(playout, 0.4, 2.0) == []


def test_sound_that_comes_too_slowly_is_gathered() -> None:
    """Half as fast as it is heard, all of it leaves, in few stretches, some of them long."""
    playout: Playout[str] = Playout()
    playout.add_mark("began", starts_context=True)
    left: list[tuple[float, str]] = []
    for number in range(50):
        playout.add_sound(f"sound{number}", PIECE)
        left += play(playout, 2 * PIECE * number, 2 * PIECE * (number + 1) - 0.005)
    playout.add_mark("ended", ends_context=True)
    left += play(playout, 100 * PIECE, 200 * PIECE)
    assert [frame for _, frame in left] == ["began", *(f"sound{n}" for n in range(50)), "ended"]
    times = [now for now, frame in left if frame.startswith("sound")]
    begins = [0.0, *(later for now, later in pairwise(times) if later - now > 1.5 * PIECE)]
    stretches = [sum(begin <= now < end for now in times) for begin, end in pairwise([*begins, 99.0])]
    assert len(stretches) <= 6
    assert max(stretches) >= 20


def test_sound_that_stops_coming_is_not_held_for_ever() -> None:
    """Where the mouth is gone, what came of it is heard."""
    playout: Playout[str] = Playout(gathering=Gathering(max_hold_seconds=3.0))
    playout.add_mark("began", starts_context=True)
    playout.add_sound("first", PIECE)
    play(playout, 0.0, 0.5)
    playout.add_sound("late", PIECE)
    assert playout.due(0.5) == []
    held = playout.next_due()
    assert held == 0.5 + 3.0
    assert playout.due(held) == ["late"]


def test_sound_in_time_is_not_held() -> None:
    """Where each piece comes just before it is needed, each leaves at once."""
    playout: Playout[str] = Playout()
    playout.add_mark("began", starts_context=True)
    for number in range(50):
        playout.add_sound(f"sound{number}", PIECE)
        assert len([frame for frame in playout.due(PIECE * number) if frame != "began"]) == 1


def test_a_late_wake_up_does_not_hurry() -> None:
    """After a gap the sound goes on in real time; what was missed is not rushed out."""
    playout = speech(100)
    play(playout, 0.0, 0.2)
    left = play(playout, 1.0, 1.1)
    assert 4 <= len(left) <= 9


@given(
    st.lists(
        st.tuples(st.sampled_from(["sound", "word", "mark", "pause", "resume"]), st.floats(0, 1)), max_size=60
    )
)
def test_nothing_is_lost_or_doubled(steps: list[tuple[str, float]]) -> None:
    """Whatever happens, every frame leaves once, sounds in order."""
    playout: Playout[int] = Playout()
    added: list[int] = []
    left: list[int] = []
    now = 0.0
    for number, (step, amount) in enumerate(steps):
        match step:
            case "sound":
                playout.add_sound(number, PIECE)
                added.append(number)
            case "word":
                playout.add_word(number, amount)
                added.append(number)
            case "mark":
                playout.add_mark(number, starts_context=amount < 0.5)
                added.append(number)
            case "pause":
                playout.pause(now)
            case "resume":
                playout.resume(now)
        now += amount / 10
        left += playout.due(now)
    left += playout.clear()
    assert sorted(left) == sorted(added)


def test_a_mark_between_late_sounds_hides_nothing() -> None:
    """Something else that waits behind the last sound does not hide that the mouth owes more."""
    playout: Playout[str] = Playout()
    playout.add_mark("began", starts_context=True)
    playout.add_sound("first", PIECE)
    playout.add_mark("something else")
    play(playout, 0.0, 0.5)
    playout.add_sound("late", PIECE)
    assert playout.due(0.5) == []
