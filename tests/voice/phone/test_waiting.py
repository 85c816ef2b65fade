"""Callers who wait for a line."""

from hypothesis import given
from hypothesis import strategies as st

from orchestration.doors import PhoneQueue
from voice.phone.waiting import MISSED_ASKS, WaitingRoom

QUEUE = PhoneQueue(size=2, seconds=60, every_seconds=8)


def test_in_the_order_they_came() -> None:
    """Who came first is next; who is new comes after all who wait; a full room takes nobody."""
    room = WaitingRoom(QUEUE)
    first, second = room.wait("", {"call_id": "1"}, 0.0), room.wait("", {"call_id": "2"}, 1.0)
    assert first is not None
    assert second is not None
    assert room.wait("", {"call_id": "3"}, 2.0) is None
    assert [room.ahead(ticket, 2.0) for ticket in (first[0], second[0], "")] == [0, 1, 2]
    assert room.facts(second[0]) == {"call_id": "2"}
    room.leave(first[0])
    assert room.ahead(second[0], 3.0) == 0
    assert room.facts(first[0]) is None


def test_long_enough() -> None:
    """Nobody waits longer than is allowed, and each question has a number of its own."""
    room = WaitingRoom(QUEUE)
    ticket, asks = room.wait("", {}, 0.0) or ("", 0)
    numbers, now = [asks], 8.0
    while waiting := room.wait(ticket, {}, now):
        numbers.append(waiting[1])
        now += 8.0
    assert now <= 60
    assert numbers == list(range(1, len(numbers) + 1))
    assert room.facts(ticket) is None


def test_who_hangs_up_is_forgotten() -> None:
    """A caller who does not ask again holds no place in the row."""
    room = WaitingRoom(QUEUE)
    room.wait("", {}, 0.0)
    assert room.ahead("", 8.0 * MISSED_ASKS) == 1
    assert room.ahead("", 8.0 * MISSED_ASKS + 1) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 30)), max_size=60))
def test_never_more_than_there_is_room(steps: list[tuple[int, float]]) -> None:
    """Whoever comes, asks or leaves, the room holds its number and each ticket has its own place."""
    room, now, tickets = WaitingRoom(QUEUE), 0.0, [""]
    for choice, pause in steps:
        now += pause
        if waiting := room.wait(tickets[choice % len(tickets)], {}, now):
            tickets.append(waiting[0])
        assert room.ahead("", now) <= QUEUE.size
