"""Errors of the mind.

``LLMError``
    base class; its text is one line that says what to do.
``ProfileError``
    an engine profile is missing, malformed, or combines what its engine refuses.
``WeightsError``
    a model's files are not what the engine needs.
``EngineNotReadyError``
    an engine did not answer a real completion in its start time.
``EngineError``
    an engine refused or broke off a request (HTTP status, lost connection, malformed stream).
``DeadlineError``
    an engine missed the first-token or the stall deadline.
``NoReplicaError``
    every replica has failed or is shut out by its circuit breaker.
``BudgetError``
    a turn or a call has used up its model calls.
``ToolError``
    a tool could not do what it was asked; the model is told its text.
"""


class LLMError(Exception):
    """Base class of what this package raises."""


class ProfileError(LLMError):
    """An engine profile cannot be used."""


class WeightsError(LLMError):
    """A model's weights cannot be used."""


class EngineNotReadyError(LLMError):
    """An engine did not become ready."""


class EngineError(LLMError):
    """A request failed at an engine.

    ``status`` is the HTTP status, or None where no answer came. ``retryable`` is False where every other
    engine would refuse the same request (a bad request, not an overloaded or broken engine).
    """

    def __init__(self, message: str, *, status: int | None = None, retryable: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = retryable


class DeadlineError(EngineError):
    """An engine was too slow to begin, or stalled."""


class NoReplicaError(LLMError):
    """No replica is left to try."""


class BudgetError(LLMError):
    """The budget of model calls is used up."""


class ToolError(LLMError):
    """A tool failed in a way the model may know of.

    ``kind`` is a short class of it, for traces and metrics.
    """

    def __init__(self, message: str, *, kind: str = "refused") -> None:
        super().__init__(message)
        self.kind = kind
