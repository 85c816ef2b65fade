"""One answer, whichever engines it takes: the decisions, without any I/O.

:class:`AnswerRun` is told what the engines do and what time it is, and says what to do next. Text that has
been passed on is never taken back: an engine that takes a sentence over gets it as the beginning of its own
answer. Tool calls are passed on only when their engine has ended cleanly, so that a broken one leaves nothing
half called and a repeated one nothing called twice.
"""

from dataclasses import dataclass, field

from llm.errors import DeadlineError, EngineError, LLMError, NoReplicaError
from llm.pool import ReplicaPool
from llm.replica import Replica


@dataclass(frozen=True)
class Limits:
    """Deadlines of an answer, seconds.

    Attributes:
        first_token: request to first output; past it another replica is asked instead.
        stall: between two outputs; past it another replica takes the sentence over.
        hedge: after this long without output a second replica is asked as well; None never does.
        total: the whole answer.
        retry: pause before replicas that have all failed are asked again.
        patience: how long that goes on before the answer is given up.

    """

    first_token: float = 1.0
    stall: float = 0.25
    hedge: float | None = None
    total: float = 60.0
    retry: float = 0.25
    patience: float = 10.0


@dataclass(frozen=True)
class ToolCall:
    """A complete call of a tool; ``arguments`` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class ToolFragment:
    """A piece of a tool call as it is streamed; pieces with the same ``index`` belong together."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True)
class Ask:
    """Send the request to ``replica``; ``said`` is the beginning of the answer it has to continue."""

    attempt: int
    replica: Replica
    said: str
    said_tokens: int


@dataclass(frozen=True)
class Abandon:
    """Close the connection of ``attempt``."""

    attempt: int


@dataclass(frozen=True)
class Say:
    """Pass ``text`` on."""

    text: str


@dataclass(frozen=True)
class CallTools:
    """Pass complete tool calls on."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True)
class Finish:
    """The answer is complete; ``reason`` is the engine's finish reason."""

    reason: str


@dataclass(frozen=True)
class GiveUp:
    """The answer cannot be completed."""

    error: LLMError


Action = Ask | Abandon | Say | CallTools | Finish | GiveUp


@dataclass
class _Attempt:
    replica: Replica
    asked: float
    overlap: str
    continuing: bool
    last: float | None = None
    look_again: float | None = None
    tools: dict[int, ToolFragment] = field(default_factory=dict)

    def deadline(self, limits: Limits) -> float:
        if self.look_again is not None:
            return self.look_again
        return self.asked + limits.first_token if self.last is None else self.last + limits.stall


class AnswerRun:
    """The decisions of one answer.

    Call :meth:`begin` once, then the other methods as things happen, :meth:`elapsed` no later than
    :attr:`deadline`; carry out the actions each returns, in order. After ``Finish`` or ``GiveUp`` it is over.

    Args:
        pool: the replicas, shared with every other answer.
        limits: the deadlines.
        call: identity of the call, for its home replica.
        max_tokens: longest answer, over all its engines together; None leaves it to them.

    """

    def __init__(
        self, pool: ReplicaPool, limits: Limits, *, call: str, max_tokens: int | None = None
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._call = call
        self._max_tokens = max_tokens
        self._attempts: dict[int, _Attempt] = {}
        self._tried: set[str] = set()
        self._started = 0.0
        self._retry_at: float | None = None
        self._waiting_since: float | None = None
        self._error: LLMError | None = None
        self._tokens = 0
        self.asked = 0
        self.moves = 0
        self.hedges = 0
        self.said = ""
        self.over = False

    @property
    def deadline(self) -> float:
        """When :meth:`elapsed` has to be called, seconds."""
        times = [attempt.deadline(self._limits) for attempt in self._attempts.values()]
        times.append(self._started + self._limits.total)
        if self._retry_at is not None:
            times.append(self._retry_at)
        if (hedge := self._hedge_at()) is not None:
            times.append(hedge)
        return min(times)

    def begin(self, now: float) -> list[Action]:
        """Ask the first replica."""
        self._started = now
        return self._ask_next(now)

    def text(self, attempt: int, text: str, now: float, *, tokens: int = 1) -> list[Action]:
        """Note text from an engine: ``tokens`` tokens of it."""
        actions = self._progress(attempt, now)
        if attempt not in self._attempts:
            return []
        state = self._attempts[attempt]
        shared = _common_prefix(state.overlap, text)
        state.overlap = state.overlap[shared:] if shared == len(text) else ""
        self._tokens += tokens
        if text := text[shared:]:
            self.said += text
            actions.append(Say(text))
        return actions

    def tool(self, attempt: int, fragment: ToolFragment, now: float) -> list[Action]:
        """Note a piece of a tool call; it is kept until the engine has ended."""
        actions = self._progress(attempt, now)
        if state := self._attempts.get(attempt):
            known = state.tools.get(fragment.index, ToolFragment(fragment.index))
            state.tools[fragment.index] = ToolFragment(
                fragment.index,
                known.id or fragment.id,
                known.name + fragment.name,
                known.arguments + fragment.arguments,
            )
        return actions

    def ended(self, attempt: int, reason: str, now: float) -> list[Action]:
        """Note a clean end, with the engine's finish reason; no reason means the stream was cut off."""
        if attempt not in self._attempts:
            return []
        if not reason:
            url = self._attempts[attempt].replica.url
            return self.failed(attempt, EngineError(f"{url}: the stream ended in the middle"), now)
        actions = self._progress(attempt, now)
        state = self._attempts[attempt]
        if state.tools:
            calls = tuple(
                ToolCall(part.id, part.name, part.arguments) for _, part in sorted(state.tools.items())
            )
            actions.append(CallTools(calls))
        return [*actions, *self._end(), Finish(reason)]

    def failed(self, attempt: int, error: EngineError, now: float) -> list[Action]:
        """Note a failure: a refused, broken or lost request."""
        state = self._attempts.pop(attempt, None)
        if state is None:
            return []
        self._error = error
        if error.retryable:
            self._pool.failed(state.replica.url, now)
        self._pool.closed(state.replica.url)
        if self._attempts:
            return []
        if not error.retryable and not state.continuing:
            return self._give_up(error)
        self.moves += 1
        return self._ask_next(now)

    def elapsed(self, now: float) -> list[Action]:
        """Note the time: move on from what is late, hedge, retry, or give up."""
        if self.over:
            return []
        if now >= self._started + self._limits.total:
            error = DeadlineError(f"the answer was not complete after {self._limits.total:g} s")
            return self._give_up(error)
        actions: list[Action] = []
        for number, attempt in list(self._attempts.items()):
            if now >= attempt.deadline(self._limits):
                actions += self._late(number, attempt, now)
        if (hedge := self._hedge_at()) is not None and now >= hedge:
            actions += self._hedge(now)
        if self._retry_at is not None and now >= self._retry_at:
            actions += self._ask_next(now)
        return actions

    def close(self) -> list[Action]:
        """Withdraw the answer: abandon what is in flight."""
        return self._end()

    def _progress(self, number: int, now: float) -> list[Action]:
        """Note output of an attempt; the first to have any wins over those asked beside it."""
        state = self._attempts.get(number)
        if state is None:
            return []
        actions: list[Action] = []
        if state.last is None or state.look_again is not None:
            # Its first output, or that of an engine that was late and is not lost: it may be asked again.
            self._pool.answered(state.replica.url, self._call)
            for other in [key for key in self._attempts if key != number]:
                actions += self._abandon(other)
        state.last, state.look_again = now, None
        self._waiting_since = None
        return actions

    def _late(self, number: int, attempt: _Attempt, now: float) -> list[Action]:
        if attempt.look_again is None:
            self._blame(attempt, now)
        others = len(self._attempts) > 1
        if not others and self._candidate(now) is None:
            # Nobody else is left, and a late answer is better than none: wait on, and look again.
            attempt.look_again = now + self._limits.retry
            return []
        abandoned = self._abandon(number)
        if others:
            return abandoned
        self.moves += 1
        return [*abandoned, *self._ask_next(now)]

    def _blame(self, attempt: _Attempt, now: float) -> None:
        what = "no first token" if attempt.last is None else "no further token"
        limit = self._limits.first_token if attempt.last is None else self._limits.stall
        self._error = DeadlineError(f"{attempt.replica.url}: {what} for {limit * 1000:.0f} ms")
        self._pool.failed(attempt.replica.url, now)

    def _hedge_at(self) -> float | None:
        if self._limits.hedge is None or self.over or len(self._attempts) != 1:
            return None
        (attempt,) = self._attempts.values()
        if attempt.last is not None or attempt.look_again is not None or self.hedges:
            return None
        return attempt.asked + self._limits.hedge

    def _hedge(self, now: float) -> list[Action]:
        self.hedges += 1
        replica = self._candidate(now)
        return self._ask(replica, now) if replica else []

    def _candidate(self, now: float, *, desperate: bool = False) -> Replica | None:
        return self._pool.choose(
            self._call, now, exclude=self._tried, continuing=bool(self.said), desperate=desperate
        )

    def _ask_next(self, now: float) -> list[Action]:
        """Ask a replica not tried yet; after all of them, begin a new round, until patience ends."""
        if self._max_tokens is not None and self._tokens >= self._max_tokens:
            return [*self._end(), Finish("length")]
        if replica := self._candidate(now) or self._candidate(now, desperate=True):
            return self._ask(replica, now)
        if self._waiting_since is None:
            self._waiting_since = now
        self._tried.clear()
        if now - self._waiting_since >= self._limits.patience or not self._candidate(now, desperate=True):
            return self._give_up(self._error or NoReplicaError("no language model replica is left to ask"))
        self._retry_at = now + self._limits.retry
        return []

    def _give_up(self, error: LLMError) -> list[Action]:
        return [*self._end(), GiveUp(error)]

    def _ask(self, replica: Replica, now: float) -> list[Action]:
        said = self.said.rstrip()
        self._retry_at = None
        self._tried.add(replica.url)
        self._pool.sent(replica.url, now)
        self._attempts[self.asked] = _Attempt(
            replica, now, overlap=self.said[len(said) :], continuing=bool(said)
        )
        self.asked += 1
        return [Ask(self.asked - 1, replica, said, self._tokens)]

    def _abandon(self, number: int) -> list[Action]:
        attempt = self._attempts.pop(number)
        self._pool.closed(attempt.replica.url)
        return [Abandon(number)]

    def _end(self) -> list[Action]:
        self.over = True
        self._retry_at = None
        return [action for number in list(self._attempts) for action in self._abandon(number)]


def _common_prefix(left: str, right: str) -> int:
    count = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        count += 1
    return count
