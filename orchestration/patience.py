"""What is done about silence: of the caller, and of an engine that takes its time.

Sans-I/O: told what the call is doing, it answers what to say, or that the call is over. Nothing hangs: a caller
who says nothing is asked, then bid goodbye; an engine that is slow is excused once, then given up on.
"""

from dataclasses import dataclass
from enum import Enum

from orchestration.agent import Silence


class Waiting(Enum):
    """Whom the call waits for."""

    NOBODY = "somebody is speaking"
    CALLER = "the caller"
    ENGINE = "the answer"


@dataclass(frozen=True)
class Wait:
    """A wait that is going on.

    Attributes:
        whom: the call waits for.
        seconds: it has waited.
        turn: number of the turn.
        failed: the engine has said that no answer will come.
        quiet: nobody was heard for, seconds.

    """

    whom: Waiting
    seconds: float
    turn: int
    failed: bool = False
    quiet: float = 0.0


@dataclass(frozen=True)
class Say:
    """Say a set phrase; it is no part of the conversation the mind sees."""

    text: str


@dataclass(frozen=True)
class HangUp:
    """End the call, once what was said last has been heard."""

    reason: str


class Patience:
    """One call's patience.

    Args:
        silence: the agent's phrases and times.

    """

    def __init__(self, silence: Silence) -> None:
        self._silence = silence
        self._asked = 0
        self._goodbye = False
        self._excused_turn: int | None = None
        self._gave_up_turn: int | None = None

    def look(self, wait: Wait) -> list[Say | HangUp]:
        """Decide what to do about ``wait``."""
        if wait.whom is Waiting.CALLER:
            return self._with_caller(wait.seconds)
        if wait.whom is Waiting.NOBODY:
            return []
        if (
            wait.turn == self._gave_up_turn
        ):  # It is the caller's turn again, until an answer comes all the same.
            return self._with_caller(wait.quiet)
        self._asked = 0
        return self._with_engine(wait)

    def _with_caller(self, seconds: float) -> list[Say | HangUp]:
        if self._goodbye or seconds < self._silence.reprompt_seconds:
            return []
        if self._asked < self._silence.reprompts and self._silence.reprompt:
            self._asked += 1
            return [Say(self._silence.reprompt)]
        self._goodbye = True
        said = [Say(self._silence.goodbye)] if self._silence.goodbye else []
        return [*said, HangUp(f"the caller said nothing after {self._asked} reprompts")]

    def _with_engine(self, wait: Wait) -> list[Say | HangUp]:
        if wait.failed or wait.seconds >= self._silence.apology_seconds:
            self._gave_up_turn = wait.turn
            return [Say(self._silence.apology)] if self._silence.apology else []
        if wait.seconds >= self._silence.filler_seconds and self._excused_turn != wait.turn:
            self._excused_turn = wait.turn
            return [Say(self._silence.filler)] if self._silence.filler else []
        return []
