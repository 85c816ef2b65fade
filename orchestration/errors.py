"""Errors of the orchestration package.

``OrchestrationError``
    base class; its text is one line that says what to do.
``AgentError``
    an agent definition cannot be used.
``StackError``
    a server of the stack did not start, or ended.
"""


class OrchestrationError(Exception):
    """Base class of what this package raises."""


class AgentError(OrchestrationError):
    """An agent definition is missing or wrong."""


class StackError(OrchestrationError):
    """The stack could not be started or kept up."""
