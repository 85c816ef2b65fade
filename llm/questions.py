"""What is asked in benchmarks and in tuning where the owner gives no transcripts: short calls of several turns.

Laid out as calls are: system prompt, greeting, then the turns, so that each turn extends the last one's prefix.
"""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from llm.errors import LLMError

GREETING = "Hello, how can I help you?"
SYSTEM_PROMPT = (
    "You are a helpful phone assistant. Answer each question with one short sentence.\n\n"
    "Question: what is the capital of spain\nAnswer: The capital of Spain is Madrid."
)


@dataclass(frozen=True)
class Transcript:
    """One call: what the agent is told, and what the caller says, turn by turn."""

    system: str
    greeting: str
    turns: tuple[str, ...]

    def opening(self) -> list[dict[str, str]]:
        """Return the messages that stand before the caller's first word."""
        messages = [{"role": "system", "content": self.system}]
        return [*messages, {"role": "assistant", "content": self.greeting}] if self.greeting else messages


def shipped() -> list[Transcript]:
    """Return the calls that ship with Offhook."""
    return _parse(
        resources.files("llm").joinpath("questions.json").read_text(encoding="utf-8"), "questions.json"
    )


def load(path: Path) -> list[Transcript]:
    """Read calls from a JSON file: a list of ``{"system", "greeting", "turns": [...]}``.

    Raises:
        LLMError: it cannot be read as that.

    """
    try:
        return _parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise LLMError(f"{path}: cannot be read: {error}") from None


def _parse(text: str, shown: str) -> list[Transcript]:
    try:
        calls = [
            Transcript(
                call.get("system", SYSTEM_PROMPT), call.get("greeting", GREETING), tuple(call["turns"])
            )
            for call in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LLMError(
            f'{shown}: expected [{{"system": "...", "greeting": "...", "turns": ["..."]}}]: {error!r}'
        ) from None
    if not calls or not all(call.turns for call in calls):
        raise LLMError(f"{shown}: there must be at least one call, each with at least one turn")
    return calls
