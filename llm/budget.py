"""How many model calls a turn and a call may make: a tool that keeps asking must not keep a caller waiting."""

from llm.errors import BudgetError


class ModelCallBudget:
    """Counts the model calls of one phone call.

    Args:
        per_turn: model calls between two things the caller says.
        per_call: model calls of the whole call.

    """

    def __init__(self, *, per_turn: int, per_call: int) -> None:
        self._per_turn = per_turn
        self._per_call = per_call
        self.turn_calls = 0
        self.calls = 0

    @property
    def last(self) -> bool:
        """Whether one more model call is all that the turn or the call has left."""
        return self.turn_calls >= self._per_turn - 1 or self.calls >= self._per_call - 1

    def begin_turn(self) -> None:
        """Note that the caller has said something new."""
        self.turn_calls = 0

    def spend(self) -> None:
        """Count one model call.

        Raises:
            BudgetError: the turn or the call has used its budget up.

        """
        if self.turn_calls >= self._per_turn:
            raise BudgetError(
                f"a turn may make {self._per_turn} model calls and has made them; raise [llm] calls_per_turn"
            )
        if self.calls >= self._per_call:
            raise BudgetError(
                f"a call may make {self._per_call} model calls and has made them; raise [llm] calls_per_call"
            )
        self.turn_calls += 1
        self.calls += 1
