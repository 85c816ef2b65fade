"""How often and how much at once: token buckets and counts, per key and per address. Sans-I/O."""

from collections import Counter, OrderedDict


class RateLimiter:
    """A token bucket a name: a minute's worth at once, refilled evenly.

    Args:
        max_names: how many names are remembered; the one longest unused is forgotten first, which can only
            let it have more.

    """

    def __init__(self, *, max_names: int = 10_000) -> None:
        self._max_names = max_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, per_minute: int, now: float) -> float:
        """Take one request of ``name``; return 0, or in how many seconds one will be free again."""
        level, updated = self._buckets.pop(name, (float(per_minute), now))
        level = min(float(per_minute), level + max(0.0, now - updated) * per_minute / 60)
        wait = 0.0 if level >= 1 else (1 - level) * 60 / per_minute
        self._buckets[name] = (level if wait else level - 1, now)
        while len(self._buckets) > self._max_names:
            self._buckets.popitem(last=False)
        return wait


class Occupancy:
    """How many calls each name holds."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    def enter(self, name: str, limit: int) -> bool:
        """Count one more for ``name``; False where it holds ``limit`` already."""
        if self._held[name] >= limit:
            return False
        self._held[name] += 1
        return True

    def leave(self, name: str) -> None:
        """Count one less for ``name``."""
        self._held[name] -= 1
        if self._held[name] <= 0:
            del self._held[name]
