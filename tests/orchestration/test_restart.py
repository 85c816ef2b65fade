"""When a process is started again."""

from orchestration.restart import RestartBackoff, RestartPolicy


def test_waits_longer_each_time_and_no_longer_than_allowed() -> None:
    """Delays double up to the bound."""
    backoff = RestartBackoff(RestartPolicy(first_delay_seconds=0.5, max_delay_seconds=3, factor=2))
    assert [backoff.ended(uptime_seconds=1) for _ in range(5)] == [0.5, 1, 2, 3, 3]


def test_forgets_after_a_stable_while() -> None:
    """A process that was up long enough starts from the first delay."""
    backoff = RestartBackoff(RestartPolicy(first_delay_seconds=0.5, stable_seconds=30))
    backoff.ended(uptime_seconds=1)
    backoff.ended(uptime_seconds=1)
    assert backoff.ended(uptime_seconds=31) == 0.5
