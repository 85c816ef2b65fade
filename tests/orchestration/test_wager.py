"""When an answer is begun before the turn is confirmed."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.wager import Wager


def eager(confidence: float) -> dict:
    """Return a likely end of turn."""
    return {"event": "EagerEndOfTurn", "end_of_turn_confidence": confidence}


def turn(wager: Wager, confidence: float, outcome: str, start: float) -> bool:
    """Play one likely end and its outcome, 0.2 s later; return whether the wager was taken."""
    taken = wager.take(eager(confidence), start)
    wager.take({"event": outcome}, start + 0.2)
    return taken


def test_likely_ends_are_taken() -> None:
    """A caller whose turns end where they seem to is always answered early."""
    wager = Wager(0.2)
    assert all(turn(wager, 0.6, "EndOfTurn", float(n)) for n in range(20))
    assert wager.declined == 0


def test_a_hesitant_caller_is_not_wagered_on_until_the_turns_stand_again() -> None:
    """After withdrawals an unsure end is passed over, a sure one is not; it learns from those it passed over."""
    wager = Wager(0.5)
    taken = [turn(wager, 0.45, "TurnResumed", float(n)) for n in range(10)]
    assert taken[0]
    assert not taken[-1]
    assert wager.declined == taken.count(False)
    assert turn(wager, 0.95, "EndOfTurn", 20.0)
    later = [turn(wager, 0.45, "EndOfTurn", 30.0 + n) for n in range(10)]
    assert later[-1]


def test_ends_that_are_confirmed_at_once_do_not_end_early_answers() -> None:
    """On a machine that decodes slowly both come together; the next end may be one that is waited for."""
    wager = Wager(0.2)
    for number in range(40):
        assert wager.take(eager(0.5), float(number))
        wager.take({"event": "EndOfTurn"}, number + 0.001)
    assert wager.take(eager(0.4), 100.0)


def test_a_price_of_nothing_takes_every_wager() -> None:
    """However often it was wrong."""
    wager = Wager(0.0)
    assert all(turn(wager, 0.3, "TurnResumed", float(n)) for n in range(20))


def test_what_gains_little_is_worth_little() -> None:
    """Where the end is confirmed at once, an early start gains nothing and is not paid for."""
    wager = Wager(2.0)
    for number in range(40):
        wager.take(eager(0.6), float(number))
        wager.take({"event": "EndOfTurn"}, number + 0.001)
        wager.take(eager(0.6), number + 0.5)
        wager.take({"event": "TurnResumed"}, number + 0.9)
    assert not wager.take(eager(0.6), 100.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]),
            st.floats(0, 1),
        ),
        max_size=60,
    ),
    st.floats(0, 10),
)
def test_an_end_is_withdrawn_only_where_it_was_announced(events: list, price: float) -> None:
    """What reaches the call is what the ear said, without the pairs that were declined."""
    wager = Wager(price)
    announced = False
    for number, (event, confidence) in enumerate(events):
        passed = wager.take({"event": event, "end_of_turn_confidence": confidence}, float(number))
        if event == "EagerEndOfTurn":
            announced = passed
        elif event == "TurnResumed":
            assert passed == announced
        else:
            assert passed
        if event in ("StartOfTurn", "TurnResumed", "EndOfTurn"):
            announced = False
