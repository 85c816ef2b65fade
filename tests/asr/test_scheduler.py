"""Order, batches and drops of decodes."""

from hypothesis import given
from hypothesis import strategies as st

from asr.scheduler import DecodeScheduler, Priority, Ticket


def scheduler(**changes: float) -> DecodeScheduler:
    """Return a scheduler with small bounds."""
    values = {"max_batch": 4, "max_wait_seconds": 0.01, "max_partials": 2, **changes}
    return DecodeScheduler(**values)  # type: ignore[arg-type]


def ticket(stream: object, priority: Priority, model: str = "tiny") -> Ticket:
    """Return a ticket."""
    return Ticket(stream, model, priority, None)


def test_finals_go_before_eager_before_partials_before_files() -> None:
    """The most urgent runs first, whatever came first, and nothing rides with something less urgent."""
    queue = scheduler()
    for stream, priority in enumerate(reversed(Priority)):
        assert queue.submit(ticket(stream, priority), 0.0) == []
    order = [[item.priority for item in queue.next_batch()] for _ in range(4)]
    assert order == [[Priority.FINAL], [Priority.EAGER], [Priority.PARTIAL], [Priority.FILE]]
    assert queue.next_batch() == []


def test_what_waits_together_runs_together() -> None:
    """One batch holds tickets of one model, at most as many as it may."""
    queue = scheduler(max_batch=2)
    for stream in range(3):
        queue.submit(ticket(stream, Priority.EAGER), stream)
    queue.submit(ticket(9, Priority.EAGER, "base"), 9)
    assert [[item.stream for item in queue.next_batch()] for _ in range(3)] == [[0, 1], [2], [9]]


def test_a_lane_for_the_urgent_takes_nothing_else() -> None:
    """What a caller waits for goes to the free lane; partials and files are left to the other."""
    queue = scheduler()
    partial, eager = ticket(1, Priority.PARTIAL), ticket(2, Priority.EAGER)
    queue.submit(partial, 0)
    assert queue.wait_seconds(0, streams=1, least=Priority.EAGER) is None
    assert queue.next_batch(Priority.EAGER) == []
    queue.submit(eager, 1)
    assert queue.wait_seconds(1, streams=1, least=Priority.EAGER) == 0.0
    assert queue.next_batch(Priority.EAGER) == [eager]
    assert queue.next_batch() == [partial]


def test_windows_of_files_are_decoded_one_by_one() -> None:
    """A batch cannot be interrupted, so that none is long."""
    queue = scheduler()
    for stream in range(3):
        queue.submit(ticket(stream, Priority.FILE), stream)
    assert [len(queue.next_batch()) for _ in range(3)] == [1, 1, 1]


def test_a_newer_decode_replaces_what_still_waits() -> None:
    """An eager decode drops the stream's partial; a partial drops only the older partial."""
    queue = scheduler()
    first, second = ticket(1, Priority.PARTIAL), ticket(1, Priority.PARTIAL)
    assert queue.submit(first, 0) == []
    assert queue.submit(second, 1) == [first]
    eager = ticket(1, Priority.EAGER)
    assert queue.submit(eager, 2) == [second]
    assert queue.submit(ticket(1, Priority.PARTIAL), 3) == []
    assert queue.submit(ticket(2, Priority.EAGER), 4) == []
    assert queue.next_batch()[0] is eager


def test_the_oldest_partials_are_dropped_first() -> None:
    """Under load the oldest partials give way."""
    queue = scheduler(max_partials=2)
    tickets = [ticket(stream, Priority.PARTIAL) for stream in range(4)]
    dropped = [item for moment, item in enumerate(tickets) for item in queue.submit(item, moment)]
    assert dropped == tickets[:2]


def test_nobody_waits_alone() -> None:
    """A single stream never waits for company; several wait no longer than the bound."""
    queue = scheduler(max_wait_seconds=0.01)
    assert queue.wait_seconds(0.0, streams=5) is None
    queue.submit(ticket(1, Priority.EAGER), 1.0)
    assert queue.wait_seconds(1.0, streams=1) == 0.0
    assert queue.wait_seconds(1.004, streams=5) == 0.01 - 0.004 or queue.wait_seconds(1.004, streams=5) > 0
    assert queue.wait_seconds(1.02, streams=5) == 0.0
    queue.submit(ticket(2, Priority.EAGER), 1.0)
    assert queue.wait_seconds(1.0, streams=2) == 0.0


def test_a_closed_stream_leaves_nothing_behind() -> None:
    """Withdrawing a stream takes all its tickets."""
    queue = scheduler()
    queue.submit(ticket(1, Priority.EAGER), 0)
    queue.submit(ticket(2, Priority.EAGER), 0)
    queue.withdraw(1)
    assert [item.stream for item in queue.next_batch()] == [2]


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Priority), st.booleans()), max_size=60))
def test_every_ticket_runs_once_or_is_dropped(steps: list[tuple[int, Priority, bool]]) -> None:
    """Nothing is lost, nothing runs twice, finals are dropped only for newer finals of their stream."""
    queue = scheduler()
    submitted, ended = [], []
    for moment, (stream, priority, run) in enumerate(steps):
        item = ticket(stream, priority)
        submitted.append(item)
        dropped = queue.submit(item, moment)
        assert all(other.priority is Priority.PARTIAL or other.stream == stream for other in dropped)
        ended += dropped
        if run:
            batch = queue.next_batch()
            assert len({other.priority for other in batch}) == 1
            ended += batch
    while batch := queue.next_batch():
        ended += batch
    assert sorted(map(id, ended)) == sorted(map(id, submitted))
    assert len(queue) == 0
