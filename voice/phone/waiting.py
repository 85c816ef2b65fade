"""Callers who wait on the carrier's side for a line to become free, in the order they came. Sans-I/O.

A caller asks again every few seconds; one who does not ask any more has hung up.
"""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from orchestration.doors import PhoneQueue

TICKET_BYTES = 16
#: A caller who has not asked again for this many intervals has gone.
MISSED_ASKS = 3


@dataclass
class _Waiting:
    facts: Mapping[str, str]
    since: float
    asked: float
    asks: int = 1


class WaitingRoom:
    """Who waits.

    Args:
        settings: how many, for how long, how often they ask.

    """

    def __init__(self, settings: PhoneQueue) -> None:
        self._settings = settings
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

    def facts(self, ticket: str) -> Mapping[str, str] | None:
        """Return what was known of a caller who began to wait; None: nobody waits with this ticket."""
        waiting = self._waiting.get(ticket)
        return waiting.facts if waiting else None

    def ahead(self, ticket: str, now: float) -> int:
        """Return how many came before the caller with ``ticket``; before one without, all who wait."""
        gone = MISSED_ASKS * self._settings.every_seconds
        for name in [name for name, one in self._waiting.items() if now - one.asked > gone]:
            del self._waiting[name]
        names = list(self._waiting)
        return names.index(ticket) if ticket in self._waiting else len(names)

    def wait(self, ticket: str, facts: Mapping[str, str], now: float) -> tuple[str, int] | None:
        """Let a caller wait, or go on waiting.

        Returns:
            their ticket and the number of times they have asked; None: there is no room, or they have waited
            long enough.

        """
        waiting = self._waiting.get(ticket)
        if waiting is None:
            if len(self._waiting) >= self._settings.size:
                return None
            ticket = secrets.token_urlsafe(TICKET_BYTES)
            self._waiting[ticket] = _Waiting(facts, since=now, asked=now)
            return ticket, 1
        if now - waiting.since + self._settings.every_seconds > self._settings.seconds:
            self.leave(ticket)
            return None
        waiting.asked = now
        waiting.asks += 1
        return ticket, waiting.asks

    def leave(self, ticket: str) -> None:
        """Forget a caller who need not wait any more."""
        self._waiting.pop(ticket, None)
