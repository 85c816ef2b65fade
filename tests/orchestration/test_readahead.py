"""What the engine reads while the caller speaks."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.readahead import ReadAhead

WORDS = ("what", "is", "the", "capital", "of", "france", "please")


def partial(count: int, event: str = "Update") -> dict[str, str]:
    """Return what the ear says of the first words."""
    return {"event": event, "transcript": " ".join(WORDS[:count])}


def test_a_partial_that_stands_is_read_without_its_last_word() -> None:
    """The last word may change; the rest is read after the delay, once."""
    ahead = ReadAhead(delay_seconds=0.1)
    ahead.heard(partial(4, "StartOfTurn"), 1.0)
    assert ahead.due == 1.1
    assert ahead.take(1.05, 0.0) is None
    assert ahead.take(1.1, 0.0) == "what is the"
    assert ahead.due is None
    assert ahead.take(1.2, 0.0) is None


def test_only_growth_is_read() -> None:
    """One more word is not worth a request; two are, and so is a text that turned out otherwise."""
    ahead = ReadAhead(delay_seconds=0.0, least_words=2)
    ahead.heard(partial(4, "StartOfTurn"), 1.0)
    assert ahead.take(1.0, 0.0) == "what is the"
    ahead.heard(partial(5), 2.0)
    assert ahead.due is None
    ahead.heard(partial(6), 3.0)
    assert ahead.take(3.0, 0.0) == "what is the capital of"
    ahead.heard({"event": "Update", "transcript": "watt is the capital of france"}, 4.0)
    assert ahead.take(4.0, 0.0) == "watt is the capital of"


def test_an_early_end_is_not_stood_in_the_way_of() -> None:
    """Whatever says that the turn is ending takes back what was due."""
    for event in ("EagerEndOfTurn", "EndOfTurn"):
        ahead = ReadAhead()
        ahead.heard(partial(6, "StartOfTurn"), 1.0)
        ahead.heard(partial(7, event), 1.02)
        assert ahead.due is None
        assert ahead.take(2.0, 0.0) is None


def test_nothing_is_read_in_a_silence() -> None:
    """The silence may be the turn's end; where the voice goes on, what was due is read then."""
    ahead = ReadAhead(delay_seconds=0.1, silence_seconds=0.04)
    ahead.heard(partial(4, "StartOfTurn"), 1.0)
    assert ahead.take(1.1, 0.06) is None
    assert ahead.due is not None
    assert 1.1 < ahead.due < 1.2
    assert ahead.take(ahead.due, 0.0) == "what is the"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]),
            st.integers(0, len(WORDS)),
            st.floats(0, 0.5),
            st.floats(0, 0.2),
        )
    )
)
def test_what_is_read_was_said(heard: list[tuple[str, int, float, float]]) -> None:
    """Only words of the partial before, never its last, never nothing."""
    ahead, now = ReadAhead(), 0.0
    for event, count, pause, silent in heard:
        ahead.heard(partial(count, event), now)
        now += pause
        text = ahead.take(now, silent)
        if text is not None:
            assert tuple(text.split()) == WORDS[: count - 1]
            assert text
