"""Which decodes run next: decisions alone, without clock, thread or model.

Finals go before eager decodes before partials before files. What waits together runs together, in batches of
one model and one priority, so that nobody's final waits for somebody's partial. A stream's newer decode of the
whole turn replaces whatever of it still waits, a newer partial an older one, and the oldest partials are dropped
when too many wait: their words come with the next one.
"""

import enum
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any


class Priority(enum.IntEnum):
    """Order in which decodes run."""

    FINAL = 0
    EAGER = 1
    PARTIAL = 2
    FILE = 3


@dataclass(eq=False)
class Ticket:
    """One decode that waits for its turn.

    Attributes:
        stream: whose it is; a newer ticket of the same stream replaces its waiting partials.
        model: what decodes it; a batch has one model.
        priority: when it runs.
        payload: what is to be decoded; not looked at here.
        submitted: when it came, seconds.

    """

    stream: Hashable
    model: str
    priority: Priority
    payload: Any = field(repr=False)
    submitted: float = 0.0


class DecodeScheduler:
    """Orders tickets into batches.

    Args:
        max_batch: most tickets in a batch.
        max_wait_seconds: how long a ticket may wait for company, if more streams than one are open.
        max_partials: most partials that may wait; the oldest are dropped beyond.

    """

    def __init__(self, *, max_batch: int, max_wait_seconds: float, max_partials: int) -> None:
        self._max_batch = max_batch
        self._max_wait = max_wait_seconds
        self._max_partials = max_partials
        self._waiting: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, ticket: Ticket, now: float) -> list[Ticket]:
        """Add ``ticket`` and return the tickets that are dropped for it."""
        ticket.submitted = now
        dropped = [other for other in self._waiting if _replaces(ticket, other)]
        kept = [other for other in self._waiting if other not in dropped]
        kept.append(ticket)
        partials = [other for other in kept if other.priority is Priority.PARTIAL]
        dropped += partials[: max(0, len(partials) - self._max_partials)]
        self._waiting = [other for other in kept if other not in dropped]
        return dropped

    def withdraw(self, stream: Hashable) -> None:
        """Forget what waits for a stream that has gone."""
        self._waiting = [ticket for ticket in self._waiting if ticket.stream != stream]

    def wait_seconds(self, now: float, streams: int, least: Priority = Priority.FILE) -> float | None:
        """Return how long the next batch should still wait for company; None where nothing waits.

        Args:
            now: the time, seconds.
            streams: how many are open.
            least: what is less urgent is not looked at.

        """
        waiting = [ticket for ticket in self._waiting if ticket.priority <= least]
        if not waiting:
            return None
        if streams <= 1 or len(waiting) >= min(self._max_batch, streams):
            return 0.0
        return max(0.0, min(ticket.submitted for ticket in waiting) + self._max_wait - now)

    def next_batch(self, least: Priority = Priority.FILE) -> list[Ticket]:
        """Take the most urgent tickets of one model off the queue; none that are less urgent than ``least``."""
        order = sorted(
            (ticket for ticket in self._waiting if ticket.priority <= least),
            key=lambda ticket: (ticket.priority, ticket.submitted),
        )
        if not order:
            return []
        first = order[0]
        together = [
            ticket for ticket in order if (ticket.model, ticket.priority) == (first.model, first.priority)
        ]
        # A batch cannot be interrupted, and a window of a file takes longer than any turn.
        batch = together[: 1 if first.priority is Priority.FILE else self._max_batch]
        self._waiting = [ticket for ticket in self._waiting if ticket not in batch]
        return batch


def _replaces(newer: Ticket, older: Ticket) -> bool:
    """Return whether ``older`` is of no use once ``newer`` has come."""
    if newer.stream != older.stream or Priority.FILE in (newer.priority, older.priority):
        return False
    return newer.priority is not Priority.PARTIAL or older.priority is Priority.PARTIAL
