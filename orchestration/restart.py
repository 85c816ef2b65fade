"""When a process that ended is started again.

Sans-I/O: exponential backoff, forgotten once a process has been up for a while.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RestartPolicy:
    """How long to wait before the next start.

    Attributes:
        first_delay_seconds: after the first failure.
        max_delay_seconds: never longer than this.
        factor: each further failure waits this much longer.
        stable_seconds: a process that was up this long starts from the first delay again.

    """

    first_delay_seconds: float = 0.25
    max_delay_seconds: float = 10.0
    factor: float = 2.0
    stable_seconds: float = 30.0


class RestartBackoff:
    """The failures of one process so far."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self._failures = 0

    def ended(self, *, uptime_seconds: float) -> float:
        """Note that the process ended after ``uptime_seconds``; return how long to wait, seconds."""
        if uptime_seconds >= self._policy.stable_seconds:
            self._failures = 0
        delay = self._policy.first_delay_seconds * self._policy.factor**self._failures
        self._failures += 1
        return min(delay, self._policy.max_delay_seconds)
