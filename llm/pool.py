"""Which replica a request goes to: health, load, tiers, and the call's own prefix. Does no I/O."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from llm.replica import Breaker, Replica


@dataclass
class _Member:
    replica: Replica
    breaker: Breaker = field(default_factory=Breaker)
    in_flight: int = 0
    homes: int = 0


class ReplicaPool:
    """The replicas of a process.

    A call's requests go to the replica that answered it last, where its prefix is cached, as long as that one
    is let through by its breaker. A new call goes to the lowest tier, there to the replica with the fewest
    requests in flight, then the fewest calls at home.

    Args:
        replicas: where to begin; :meth:`update` changes them.
        remembered_calls: calls whose home is remembered; the longest unused one is forgotten first.

    """

    def __init__(self, replicas: Sequence[Replica] = (), *, remembered_calls: int = 10_000) -> None:
        self._members: dict[str, _Member] = {}
        self._homes: OrderedDict[str, str] = OrderedDict()
        self._remembered_calls = remembered_calls
        self.update(replicas)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """All replicas, in the order they were given."""
        return tuple(member.replica for member in self._members.values())

    def update(self, replicas: Sequence[Replica]) -> None:
        """Take a new list; what is known of replicas that stay is kept."""
        known = self._members
        self._members = {
            replica.url: _Member(replica) if replica.url not in known else known[replica.url]
            for replica in replicas
        }
        for replica in replicas:
            self._members[replica.url].replica = replica

    def choose(
        self,
        call: str,
        now: float,
        *,
        exclude: Collection[str] = (),
        continuing: bool = False,
        desperate: bool = False,
    ) -> Replica | None:
        """Return the replica for ``call``'s next request, or None when none is left.

        Args:
            call: the call's identity.
            now: seconds.
            exclude: URLs that will not do.
            continuing: only replicas that can continue a sentence.
            desperate: breakers are ignored.

        """
        candidates = [
            member
            for member in self._members.values()
            if member.replica.url not in exclude
            and (member.replica.continues or not continuing)
            and (desperate or member.breaker.allows(now))
        ]
        if not candidates:
            return None
        home = self._homes.get(call)
        best = min(
            candidates,
            key=lambda member: (
                member.replica.tier, member.replica.url != home, member.in_flight, member.homes,
            ),
        )  # fmt: skip
        return best.replica

    def sent(self, url: str, now: float) -> None:
        """Note a request on its way."""
        if member := self._members.get(url):
            member.in_flight += 1
            member.breaker.sent(now)

    def answered(self, url: str, call: str) -> None:
        """Note output: the replica works, and holds the call's prefix from now on."""
        if member := self._members.get(url):
            member.breaker.succeeded()
            self._settle(call, url)

    def closed(self, url: str) -> None:
        """Note the end of a request, whatever became of it."""
        if member := self._members.get(url):
            member.in_flight -= 1
            member.breaker.cancelled()

    def failed(self, url: str, now: float) -> None:
        """Note a failure that says something about the replica, not about the request."""
        if member := self._members.get(url):
            member.breaker.failed(now)

    def probed(self, url: str, healthy: bool, now: float) -> None:
        """Note the result of a health probe."""
        if member := self._members.get(url):
            member.breaker.probed(healthy, now)

    def forget(self, call: str) -> None:
        """Note the end of a call."""
        if (home := self._homes.pop(call, None)) and (member := self._members.get(home)):
            member.homes -= 1

    def home(self, call: str) -> str | None:
        """Return the URL that holds the call's prefix."""
        return self._homes.get(call)

    def in_flight(self, url: str) -> int:
        """Return the number of requests on their way to ``url``."""
        return self._members[url].in_flight

    def shut_out(self) -> list[str]:
        """Return the URLs whose breaker is open."""
        return [url for url, member in self._members.items() if member.breaker.is_open()]

    def _settle(self, call: str, url: str) -> None:
        if self._homes.get(call) == url:
            self._homes.move_to_end(call)
            return
        self.forget(call)
        self._homes[call] = url
        self._members[url].homes += 1
        while len(self._homes) > self._remembered_calls:
            self.forget(next(iter(self._homes)))
