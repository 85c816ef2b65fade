"""How late the caller hears what was sent, from the carrier's marks."""

import pytest

from orchestration.playback import MARK_SECONDS, MAX_LAG_SECONDS, MAX_OUTSTANDING, Playback


def marks(playback: Playback, seconds: float, start: float = 0.0) -> dict[str, float]:
    """Send that much sound in pieces of 20 ms; return the marks with the moment their sound ends."""
    playback.make_mark = lambda name: {"mark": name}
    sent = {}
    for number in range(round(seconds / 0.02)):
        now = start + number * 0.02
        if mark := playback.sent(0.02, now):
            sent[mark["mark"]] = now + 0.02
    return sent


def test_a_mark_follows_every_so_much_sound() -> None:
    """Not every packet: a carrier bills nobody for marks, but reads them all."""
    assert len(marks(Playback(), 4 * MARK_SECONDS)) == 4


def test_the_lag_is_the_median_of_the_latest() -> None:
    """One mark that hung in the network changes nothing."""
    playback = Playback()
    assert playback.lag == 0.0
    sent = marks(playback, 2.0)
    for (name, ended), late in zip(sent.items(), (0.12, 0.9, 0.1, 0.14, 0.12), strict=True):
        playback.returned(name, ended + late)
    assert playback.lag == pytest.approx(0.12)


def test_marks_of_what_was_cleared_say_nothing() -> None:
    """Twilio sends them back at once, unplayed."""
    playback = Playback()
    (name, ended), *_ = marks(playback, 0.4).items()
    playback.cleared()
    playback.returned(name, ended + 0.3)
    assert playback.lag == 0.0


def test_a_carrier_that_sends_none_back_is_left_alone() -> None:
    """The marks that are waited for are bounded, and a later one that comes settles those before."""
    playback = Playback()
    sent = marks(playback, 100 * MARK_SECONDS)
    assert len(sent) == MAX_OUTSTANDING
    name, ended = list(sent.items())[-1]
    playback.returned(name, ended + 5.0)
    assert playback.lag == MAX_LAG_SECONDS
    assert marks(playback, MARK_SECONDS, 60.0)


def test_a_mark_of_somebody_elses_is_no_news() -> None:
    """A goodbye waits for a mark of its own."""
    playback = Playback()
    playback.returned("goodbye", 1.0)
    assert playback.lag == 0.0


def test_a_door_without_marks_sends_none() -> None:
    """A browser plays what it gets; nothing is waited for."""
    playback = Playback()
    assert not any(playback.sent(0.02, number * 0.02) for number in range(100))


def test_a_silenced_agent_sends_nothing_more() -> None:
    """What lies before the wire is lost there, and told of when the agent goes on."""
    playback = Playback()
    assert playback.leaves(0.02)
    playback.stop()
    assert not playback.leaves(0.02)
    assert not playback.leaves(0.02)
    assert playback.go_on() == pytest.approx(0.04)
    assert playback.leaves(0.02)
    playback.stop()
    playback.cleared()
    assert playback.leaves(0.02)
