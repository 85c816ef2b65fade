"""Who is rendered next: the caller who still hears nothing, then the one whose sound runs out first.

Earliest deadline first (Liu and Layland, 1973), over short steps. A caller who has heard nothing yet is always
before one who is listening; among the former the one who has waited longest comes first, among the latter the
one whose sound ends soonest. Streams that one connection opens beyond its fair share come after everybody else's.
"""

import asyncio
import heapq
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Generic, NamedTuple, TypeVar

#: A step is put off by no more than this, seconds: pipecat gives a stream up that says nothing for 3 s.
MAX_PUT_OFF_SECONDS = 1.5

T = TypeVar("T")
X = TypeVar("X")


class Urgency(NamedTuple):
    """Sorts steps: smaller goes first.

    Attributes:
        surplus: 0 within the fair share of a connection, 1 beyond it.
        listening: 0 while the caller has heard nothing, 1 once sound has been sent.
        due: seconds; when the caller began to wait, or when the sound sent so far will have been played.

    """

    surplus: int
    listening: int
    due: float


class Playback:
    """What one caller has been sent, and until when that lasts when played in real time from its arrival.

    Args:
        waiting_since: when the first text arrived, seconds on any monotonic clock.
        surplus: whether its connection has its fair share of streams without this one.
        max_ahead_seconds: sound beyond what has been played, from which on there is no hurry; None: always hurry.

    """

    def __init__(
        self, waiting_since: float, *, surplus: bool = False, max_ahead_seconds: float | None = None
    ) -> None:
        self._surplus = int(surplus)
        self._max_ahead = max_ahead_seconds
        self._waiting_since = waiting_since
        self._lasts_until: float | None = None

    def sent(self, seconds: float, now: float) -> None:
        """Note that ``seconds`` of sound were sent at ``now``."""
        self._lasts_until = max(self._lasts_until or now, now) + seconds

    def urgency(self) -> Urgency:
        """Return how urgent this caller's next step is."""
        if self._lasts_until is None:
            return Urgency(self._surplus, 0, self._waiting_since)
        return Urgency(self._surplus, 1, self._lasts_until)

    def put_off(self, now: float) -> float:
        """Return how long the next step may wait, seconds: what is never listened to need not be rendered."""
        if self._max_ahead is None or self._lasts_until is None:
            return 0.0
        return min(MAX_PUT_OFF_SECONDS, max(0.0, self._lasts_until - now - self._max_ahead))


class DeadlineQueue(Generic[X]):
    """Items by urgency; those of equal urgency in the order they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[Urgency, int, X]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, urgency: Urgency, item: X) -> None:
        """Add ``item``."""
        heapq.heappush(self._heap, (urgency, next(self._order), item))

    def pop(self) -> X:
        """Remove and return the most urgent item."""
        return heapq.heappop(self._heap)[2]


class ComputePool:
    """Runs steps on ``slots`` threads, the most urgent first.

    A step in progress is never interrupted; steps are therefore short. One whose caller has been cancelled is
    dropped before it starts.

    Args:
        slots: steps that may run at once.

    """

    def __init__(self, slots: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="tts-compute")
        self._free = slots
        self._waiting: DeadlineQueue[asyncio.Future[None]] = DeadlineQueue()

    @property
    def waiting(self) -> int:
        """Steps that wait for a thread."""
        return len(self._waiting)

    async def run(self, urgency: Urgency, step: Callable[[], T]) -> T:
        """Return ``step()`` once its turn has come."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.push(urgency, turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            raise
        work = self._pool.submit(step)
        # The thread stays taken until the step ends, even when its caller is cancelled meanwhile.
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release))
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Let the threads end after their present step."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _release(self) -> None:
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        while self._free and self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
