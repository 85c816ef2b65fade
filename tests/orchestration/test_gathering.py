"""Late sound is gathered, more each time, and never held for long."""

from orchestration.gathering import Gathering


def late(gathering: Gathering, now: float) -> bool:
    """Let the last piece that waited leave, due again at 1 s; return whether the next, at ``now``, is late."""
    gathering.left(last=True)
    gathering.came(now, due=1.0)
    return gathering.until is not None


def test_sound_in_time_is_not_held() -> None:
    """What comes when it is due, or behind other sound, goes on."""
    gathering = Gathering()
    assert not late(gathering, 1.0)
    gathering.left(last=False)
    gathering.came(5.0, due=1.0)
    assert gathering.until is None
    assert not gathering.holds(5.0, 0.0, complete=False)


def test_twice_as_much_each_time_up_to_a_bound() -> None:
    """A mouth that is late again is given more time; another answer begins anew."""
    gathering = Gathering(first_seconds=0.1, most_seconds=0.3)
    for needed in (0.1, 0.2, 0.3, 0.3):
        assert late(gathering, 2.0)
        assert gathering.holds(2.0, needed - 0.01, complete=False)
        assert not gathering.holds(2.1, needed, complete=False)
        assert gathering.until is None
    gathering.begin()
    assert late(gathering, 2.0)
    assert not gathering.holds(2.0, 0.1, complete=False)


def test_the_end_of_an_answer_waits_for_nothing() -> None:
    """Where no more will come, what there is goes on."""
    gathering = Gathering()
    assert late(gathering, 2.0)
    assert not gathering.holds(2.0, 0.02, complete=True)
    gathering.left(last=True)
    gathering.complete()
    gathering.came(9.0, due=1.0)
    assert gathering.until is None


def test_nothing_is_held_for_long() -> None:
    """A mouth that has stopped in the middle is not waited for."""
    gathering = Gathering(max_hold_seconds=2.0)
    assert late(gathering, 3.0)
    assert gathering.until == 5.0
    assert gathering.holds(4.9, 0.02, complete=False)
    assert not gathering.holds(5.0, 0.02, complete=False)
