"""Whether one more call may come in."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.admission import MIN_ANSWERS, Admission


def admission(**settings: float) -> Admission:
    """Return one of two places that nothing hinders."""
    made = Admission(max_calls=2, **settings)
    made.impediment = ""
    return made


def test_nothing_before_the_servers_are_there() -> None:
    """The refusal names what is waited for."""
    made = Admission(max_calls=2)
    assert "not warmed up yet" in made.refusal(0.0)


def test_places() -> None:
    """Calls in progress and calls promised a place leave the rest; the refusal names the setting."""
    made = admission()
    made.active = 1
    assert made.refusal(0.0) == ""
    assert "max_calls = 2" in made.refusal(0.0, promised=1)
    made.active = 2
    assert "max_calls = 2" in made.refusal(0.0)


def test_strain() -> None:
    """While callers wait too long nobody is added to them; when that is past, calls are welcome again."""
    made = admission(strained_seconds=1.0, memory_seconds=30.0)
    for number in range(MIN_ANSWERS):
        assert made.refusal(float(number)) == ""
        made.answered(1.5, float(number))
    assert "callers wait 1.50 s" in made.refusal(5.0)
    assert made.refusal(MIN_ANSWERS + 30.0) == ""


def test_one_slow_answer_is_no_strain() -> None:
    """The median decides."""
    made = admission(strained_seconds=1.0)
    for seconds in (0.4, 0.5, 9.0, 0.4, 0.5):
        made.answered(seconds, 0.0)
    assert made.refusal(1.0) == ""


@given(st.lists(st.floats(0.01, 20), max_size=80), st.floats(0.1, 5))
def test_not_judged_unless_asked(answers: list[float], limit: float) -> None:
    """Without a limit no wait turns anybody away; with one, only waits over it do."""
    judged, unjudged = admission(strained_seconds=limit), admission()
    for seconds in answers:
        judged.answered(seconds, 0.0)
        unjudged.answered(seconds, 0.0)
    assert unjudged.refusal(0.0) == ""
    if all(seconds <= limit for seconds in answers):
        assert judged.refusal(0.0) == ""
