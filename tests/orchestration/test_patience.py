"""What is done about silence."""

from orchestration.agent import Silence
from orchestration.patience import HangUp, Patience, Say, Wait, Waiting

SILENCE = Silence(reprompt_seconds=10, reprompts=2, filler_seconds=2, apology_seconds=8)


def test_a_silent_caller_is_asked_then_bid_goodbye() -> None:
    """Two questions, a goodbye, the end; and no more after that."""
    patience = Patience(SILENCE)
    assert patience.look(Wait(Waiting.CALLER, 9.9, 0)) == []
    assert patience.look(Wait(Waiting.CALLER, 10, 0)) == [Say(SILENCE.reprompt)]
    assert patience.look(Wait(Waiting.CALLER, 10, 0)) == [Say(SILENCE.reprompt)]
    goodbye, end = patience.look(Wait(Waiting.CALLER, 10, 0))
    assert goodbye == Say(SILENCE.goodbye)
    assert isinstance(end, HangUp)
    assert patience.look(Wait(Waiting.CALLER, 99, 0)) == []


def test_a_caller_who_answers_is_asked_anew() -> None:
    """Reprompts are counted from the last time the caller spoke."""
    patience = Patience(SILENCE)
    patience.look(Wait(Waiting.CALLER, 10, 0))
    patience.look(Wait(Waiting.CALLER, 10, 0))
    assert patience.look(Wait(Waiting.ENGINE, 0.1, 1)) == []
    assert patience.look(Wait(Waiting.CALLER, 10, 1)) == [Say(SILENCE.reprompt)]


def test_a_slow_engine_is_excused_once_then_given_up_on() -> None:
    """One filler a turn, then an apology."""
    patience = Patience(SILENCE)
    said = [patience.look(Wait(Waiting.ENGINE, seconds, 3)) for seconds in (1, 2, 3, 7, 8, 9, 20)]
    assert said == [[], [Say(SILENCE.filler)], [], [], [Say(SILENCE.apology)], [], []]


def test_after_an_apology_it_is_the_callers_turn() -> None:
    """A caller who says nothing to it is asked, then bid goodbye: the call does not wait for ever."""
    patience = Patience(SILENCE)
    patience.look(Wait(Waiting.ENGINE, 8, 3, quiet=5))
    quiet = [
        patience.look(Wait(Waiting.ENGINE, 9 + seconds, 3, quiet=seconds)) for seconds in (1, 10, 10, 10)
    ]
    assert quiet[:3] == [[], [Say(SILENCE.reprompt)], [Say(SILENCE.reprompt)]]
    assert [type(action) for action in quiet[3]] == [Say, HangUp]


def test_a_failed_engine_is_apologised_for_at_once() -> None:
    """Where no answer will come, nobody waits."""
    patience = Patience(SILENCE)
    assert patience.look(Wait(Waiting.ENGINE, 0.1, 0, failed=True)) == [Say(SILENCE.apology)]


def test_nothing_is_said_while_somebody_speaks() -> None:
    """Silence is nobody's turn."""
    assert Patience(SILENCE).look(Wait(Waiting.NOBODY, 1000, 0)) == []


def test_an_empty_phrase_is_not_said() -> None:
    """What the owner left empty stays unsaid; the call still ends."""
    patience = Patience(Silence(reprompt="", goodbye="", filler="", apology=""))
    assert [type(action) for action in patience.look(Wait(Waiting.CALLER, 100, 0))] == [HangUp]
    assert patience.look(Wait(Waiting.ENGINE, 100, 0)) == []
