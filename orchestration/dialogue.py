"""Where a door's client keeps the conversation itself, what the pipeline asks it, and tells it.

The pipeline of such a call is the same; its context holds no messages, and the mind is asked what the client's
conversation says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pipecat.frames.frames import DataFrame, FunctionCallFromLLM
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage

from llm.client import Answer


@dataclass(frozen=True)
class Request:
    """What the mind is asked: messages and tools as the chat completions API has them.

    Attributes:
        messages: the whole prompt.
        tools: the client's functions.
        tool_choice: ``auto``, ``none``, ``required`` or one function.
        max_tokens: longest answer; None for what the agent or the profile says.
        temperature: likewise.
        spoken: the answer goes to the mouth; otherwise it is written.

    """

    messages: Sequence[Any]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = "auto"
    max_tokens: int | None = None
    temperature: float | None = None
    spoken: bool = True

    def complete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request of a chat completion with what is asked here in place of its own."""
        asked: dict[str, Any] = {**request, "messages": list(self.messages)}
        if self.tools:
            asked |= {"tools": list(self.tools), "tool_choice": self.tool_choice}
        if self.max_tokens is not None:
            asked["max_tokens"] = self.max_tokens
        if self.temperature is not None:
            asked["temperature"] = self.temperature
        return asked


class Dialogue(Protocol):
    """One client's conversation."""

    def interruptible(self) -> bool:
        """Return whether the caller may interrupt now."""

    def turn_info(self, message: Mapping[str, Any]) -> bool:
        """Take an event of the ear's that takes effect; return whether the call is to act on it."""

    def request(self, context: LLMContext) -> Request | None:
        """Return what the mind is to be asked for ``context``; None where nobody wants an answer.

        Args:
            context: as the call has it. It has messages of its own only where a turn that may not be over is
                answered.

        """

    def called(self, calls: Sequence[FunctionCallFromLLM]) -> None:
        """Take the mind's calls of the client's functions."""

    def answered(self, answer: Answer) -> None:
        """Take what is known of an answer that has ended."""


class UnkeptContext(LLMContext):
    """The context of a call whose conversation is kept elsewhere: it holds no messages."""

    def add_message(self, message: LLMContextMessage) -> None:
        """Keep nothing."""

    def add_messages(self, messages: list[LLMContextMessage]) -> None:
        """Keep nothing."""


@dataclass
class WrittenFrame(DataFrame):
    """Text of an answer that is written, not spoken."""

    text: str = ""
