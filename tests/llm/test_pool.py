"""Calls stay where their prefix is; failures shut a replica out, and health lets it in again."""

from llm.pool import ReplicaPool
from llm.replica import Breaker, Replica

A, B, C = (Replica(f"http://{name}", "m") for name in "abc")


def chosen(pool: ReplicaPool, call: str, now: float = 0.0) -> str:
    """Return the URL a call's next request goes to, and let it be answered there."""
    replica = pool.choose(call, now)
    assert replica
    pool.sent(replica.url, now)
    pool.answered(replica.url, call)
    pool.closed(replica.url)
    return replica.url


def test_new_calls_are_spread_and_old_ones_stay() -> None:
    """A call keeps its home while others come and go."""
    pool = ReplicaPool([A, B, C])
    homes = {call: chosen(pool, call) for call in "123"}
    assert sorted(homes.values()) == [A.url, B.url, C.url]
    assert {call: chosen(pool, call) for call in "123"} == homes


def test_a_call_leaves_a_failing_home_and_stays_where_it_went() -> None:
    """The prefix is now at the other one; going back would read it again."""
    pool = ReplicaPool([A, B])
    home = chosen(pool, "1")
    pool.failed(home, 0.0)
    away = chosen(pool, "1", 0.5)
    assert away != home
    assert chosen(pool, "1", 10.0) == away


def test_higher_tiers_are_the_last_resort() -> None:
    """A closed model is asked only when every engine of one's own is shut out."""
    last = Replica("https://api.example.com", "big", tier=1)
    pool = ReplicaPool([last, A])
    assert chosen(pool, "1") == A.url
    pool.failed(A.url, 0.0)
    assert chosen(pool, "2", 0.5) == last.url
    pool.probed(A.url, True, 0.6)
    assert chosen(pool, "2", 0.7) == A.url


def test_requests_in_flight_weigh_more_than_calls_at_home() -> None:
    """Load is what is being asked now."""
    pool = ReplicaPool([A, B])
    pool.sent(A.url, 0.0)
    assert pool.choose("new", 0.0) == B


def test_what_is_known_survives_a_new_list() -> None:
    """DNS is asked every second; breakers must not be forgotten with it."""
    pool = ReplicaPool([A, B])
    pool.failed(A.url, 0.0)
    pool.update([A, B, C])
    assert pool.shut_out() == [A.url]
    pool.update([B])
    assert pool.replicas == (B,)
    pool.closed(A.url)


def test_only_so_many_calls_are_remembered() -> None:
    """A call that never says goodbye is forgotten in the end."""
    pool = ReplicaPool([A], remembered_calls=2)
    for call in "123":
        chosen(pool, call)
    assert [pool.home(call) for call in "123"] == [None, A.url, A.url]


def test_a_breaker_opens_tries_and_closes() -> None:
    """One trial at a time; each failed one doubles the pause, a good one closes."""
    breaker = Breaker(failures=2, open_seconds=1.0, longest_open_seconds=3.0)
    breaker.failed(0.0)
    assert breaker.allows(0.0)
    breaker.failed(0.0)
    assert not breaker.allows(0.9)
    for now, pause in ((1.0, 2.0), (3.0, 3.0), (6.0, 3.0)):
        assert breaker.allows(now)
        breaker.sent(now)
        assert not breaker.allows(now)
        breaker.failed(now)
        assert not breaker.allows(now + pause - 0.1)
    breaker.sent(9.0)
    breaker.succeeded()
    assert breaker.allows(9.0)
    assert not breaker.is_open()


def test_a_withdrawn_trial_does_not_block_the_next() -> None:
    """A caller who interrupts during the trial says nothing about the engine."""
    breaker = Breaker()
    breaker.failed(0.0)
    breaker.sent(2.0)
    breaker.cancelled()
    assert breaker.allows(2.0)


def test_health_probes_open_and_reopen() -> None:
    """An engine that stops answering its health path is shut out before a caller finds out."""
    pool = ReplicaPool([A, B])
    pool.probed(A.url, False, 0.0)
    assert pool.choose("1", 0.1) == B
    pool.probed(A.url, True, 0.2)
    pool.sent(B.url, 0.3)
    assert pool.choose("2", 0.3) == A
