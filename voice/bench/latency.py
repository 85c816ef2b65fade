"""Voice to voice beside the peers: the same conversations with every system, turn about."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from voice.bench.figures import figures_of, ratios, speculation
from voice.bench.lab import LONG_QUESTIONS, HeldCall, Lab
from voice.bench.systems import STOCK, STOCK_TALKER, TALKER
from voice.caller.script import Question

#: Spoken by the mouth where no recordings are given; every call of a system asks the next ones.
QUESTIONS = tuple(
    """
What is the capital of France?
How many days are there in a week?
What colour is the sky on a clear day?
Can you tell me what a telephone is used for?
What is the opposite of hot?
What is the capital of Italy?
Which animal says meow?
What do bees make?
How many hours are there in a day?
What do people drink in the morning?
Where do fish live?
What is the largest planet?
What is bread made of?
Who looks after people in a hospital?
What do you wear when it rains?
What is the capital of Germany?
How many months are there in a year?
What is the opposite of small?
What does a baker do?
Which season comes after winter?
What is ice made of?
What is the capital of Japan?
Why do birds have wings?
What do cows eat?
How many legs does a spider have?
What is a library for?
What is the opposite of early?
Which fruit is yellow and long?
What does a doctor do?
Where does the sun rise?
What is the capital of Greece?
How many minutes are there in an hour?
What do you use to cut paper?
What is the opposite of loud?
What is a bicycle?
Which month comes after May?
What is the capital of Portugal?
What do you find on a beach?
How do plants grow?
What is the opposite of heavy?
""".strip().splitlines()
)
QUESTIONS_A_CALL = 5
#: Longest conversation with an agent that talks at length: each answer takes its time.
LONG_QUESTIONS_A_CALL = 3


@dataclass
class SystemCalls:
    """All calls placed to one system."""

    name: str
    calls: list[HeldCall] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def measure(lab: Lab, names: Sequence[str]) -> dict[str, Any]:
    """Return the figures of each of ``names``, and what follows from them."""
    questions = await lab.script(QUESTIONS)
    measured = await _interleaved(lab, names, _calls(questions, QUESTIONS_A_CALL, bool(lab.files)))
    systems = {one.name: figures_of(one.calls, one.failures) for one in measured}
    return {"systems": systems, "ratios": ratios(systems, STOCK), "speculation": speculation(systems)}


async def measure_long(lab: Lab, names: Sequence[str]) -> dict[str, Any]:
    """Return the same where replies are long: two sentences and more."""
    questions = await lab.script(LONG_QUESTIONS)
    measured = await _interleaved(lab, names, _calls(questions, LONG_QUESTIONS_A_CALL, bool(lab.files)))
    systems = {one.name: figures_of(one.calls, one.failures) for one in measured}
    sentences = [sentence_count(answer) for answer in systems.get(TALKER, {}).get("answers", [])]
    return {
        "systems": systems,
        "ratios": ratios(systems, STOCK_TALKER),
        "replies": len(sentences),
        "replies_of_two_sentences_and_more": sum(count > 1 for count in sentences),
    }


def sentence_count(text: str) -> int:
    """Return the number of sentences in ``text``, the last one ended or not."""
    return len([part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part])


def _calls(questions: Sequence[Question], size: int, whole: bool) -> list[Sequence[Question]]:
    """Cut a list of questions into calls; the user's own recordings are one call."""
    if whole:
        return [questions]
    return [questions[start : start + size] for start in range(0, len(questions) - size + 1, size)]


async def _interleaved(
    lab: Lab, names: Sequence[str], scripts: Sequence[Sequence[Question]]
) -> list[SystemCalls]:
    """Call every system once a round with the same script; the order turns by one each round."""
    measured = [SystemCalls(name) for name in names]
    for number in range(lab.sizes.rounds):
        start = number % len(measured)
        for one in measured[start:] + measured[:start]:
            lab.report(f"round {number + 1} of {lab.sizes.rounds}: {one.name}")
            call = await lab.try_call(one.failures, one.name, scripts[number % len(scripts)])
            if call:
                one.calls.append(call)
    return measured
