"""Asks the embedded model in each form of its weights, under two system prompts, for two capitals in a row.

``python -m llm.testing.capitals``: 24 conversations, six wordings as speech recognition writes them behind four
greetings, greedily. Prints how many were answered rightly, and how long the answers are.
"""

import asyncio
import secrets
import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from llm.cli import own_place
from llm.client import LLMClient
from llm.engine import launch_specs
from llm.failover import Say
from llm.process import running
from llm.profile import LlamaCppProfile, load_profile
from llm.questions import SYSTEM_PROMPT
from llm.replica import Replica
from llm.sources import Source
from llm.tune import PATIENT

FORMS = ("as_is", "q4_0")
PROMPTS = {"instruction alone": SYSTEM_PROMPT.partition("\n\n")[0], "with an example": SYSTEM_PROMPT}
GREETINGS = ("Hello, how can I help you?", "Hi there.", "Good morning, what can I do for you?", "")
WORDINGS = (
    ("What is the capital of France?", "And what is the capital of Italy?"),
    ("what is the capital of france", "and what is the capital of italy"),
    ("What's the capital of France?", "And of Italy?"),
    ("Can you tell me the capital of France?", "And the capital of Italy?"),
    ("Uh, what's the capital city of France?", "Okay, and the capital city of Italy?"),
    ("Tell me the capital of France, please.", "And Italy's capital?"),
)


@dataclass
class Score:
    """Of how many conversations which answer was right, and the characters of all answers."""

    asked: int = 0
    paris: int = 0
    rome: int = 0
    characters: int = 0

    def __str__(self) -> str:
        """Return a line."""
        mean = self.characters / (2 * self.asked)
        return (
            f"Paris {self.paris}/{self.asked}, Rome {self.rome}/{self.asked}, {mean:.0f} characters an answer"
        )


async def main() -> None:
    """Ask, and print."""
    embedded = load_profile("embedded")
    assert isinstance(embedded, LlamaCppProfile)
    for form in FORMS:
        key = secrets.token_urlsafe()
        (spec,) = launch_specs(embedded.model_copy(update={"precision": form}), own_place(key))
        with tempfile.TemporaryDirectory() as folder:
            async with (
                running(spec, log=Path(folder) / "engine.log", api_key=key),
                LLMClient([Source(Replica(spec.base_url, spec.model, key))], PATIENT) as client,
            ):
                for name, system in PROMPTS.items():
                    print(f"{form:6} {name:18} {await _score(client, system)}", flush=True)


async def _score(client: LLMClient, system: str) -> Score:
    score = Score()
    for greeting, (first, second) in product(GREETINGS, WORDINGS):
        messages = [{"role": "system", "content": system}]
        if greeting:
            messages.append({"role": "assistant", "content": greeting})
        answers = []
        for question in (first, second):
            messages.append({"role": "user", "content": question})
            answers.append(await _answer(client, messages))
            messages.append({"role": "assistant", "content": answers[-1]})
        score.asked += 1
        score.paris += "Paris" in answers[0]
        score.rome += "Rome" in answers[1]
        score.characters += sum(map(len, answers))
    return score


async def _answer(client: LLMClient, messages: list[dict[str, str]]) -> str:
    request = {"messages": messages, "temperature": 0, "max_tokens": 60}
    async with aclosing(client.answer(request)) as events:
        return "".join([event.text async for event in events if isinstance(event, Say)])


if __name__ == "__main__":
    asyncio.run(main())
