"""Several callers at once, and many turns in a row: what the machine holds, and whether anything stays behind."""

import asyncio
import time
from typing import Any

from voice.bench import usage
from voice.bench.figures import figures_of
from voice.bench.lab import HeldCall, Lab
from voice.bench.latency import QUESTIONS, QUESTIONS_A_CALL
from voice.bench.systems import OFFHOOK
from voice.caller.script import Question

#: Callers of the endurance run.
ENDURANCE_CALLERS = 2
#: Turns of one call of the endurance run.
ENDURANCE_TURNS_A_CALL = 10
#: Turns after which memory is looked at first: caches and arenas have then been filled.
WARM_TURNS = 20
#: A gateway has this long to end its tasks after the last call, seconds.
SETTLE_SECONDS = 5.0
SECONDS_A_MINUTE = 60.0


async def measure(lab: Lab) -> dict[str, Any]:
    """Let 1, 2, 4, … callers talk at once; return voice to voice and the processor time of a call minute."""
    questions = await lab.script(QUESTIONS)
    steps = []
    for callers in lab.sizes.callers:
        lab.report(f"load: {callers} at once")
        failures: list[str] = []
        began, used = time.monotonic(), usage.cpu_seconds()
        held = await asyncio.gather(
            *(lab.try_call(failures, OFFHOOK, _some(questions, number)) for number in range(callers))
        )
        seconds, used = time.monotonic() - began, usage.cpu_seconds() - used
        calls = [call for call in held if call]
        minutes = sum(_length(call) for call in calls) / SECONDS_A_MINUTE
        figures = figures_of(calls, failures)
        steps.append(
            {
                "callers": callers,
                "seconds": seconds,
                "cpu_seconds": used,
                "cpu_seconds_per_call_minute": used / minutes if minutes else None,
                **{
                    name: figures.get(name)
                    for name in ("turns", "unanswered", "failed_calls", "voice_to_voice")
                },
                "end_of_turn_share": figures.get("end_of_turn_share"),
            }
        )
    return {"steps": steps}


async def endure(lab: Lab) -> dict[str, Any]:
    """Hold many turns in one run; return what did not end, and what grew."""
    questions = await lab.script(QUESTIONS)
    failures: list[str] = []
    calls: list[HeldCall] = []
    url = lab.systems[OFFHOOK].base_url
    tasks_before = await usage.tasks(url)
    warm: dict[str, float] | None = None
    number = 0
    while _turns(calls) < lab.sizes.turns and len(failures) < lab.sizes.turns:
        lab.report(f"endurance: {_turns(calls)} of {lab.sizes.turns} turns")
        scripts = [_some(questions, number + n, ENDURANCE_TURNS_A_CALL) for n in range(ENDURANCE_CALLERS)]
        number += ENDURANCE_CALLERS
        held = await asyncio.gather(*(lab.try_call(failures, OFFHOOK, script) for script in scripts))
        calls += [call for call in held if call]
        if warm is None and _turns(calls) >= min(WARM_TURNS, lab.sizes.turns):
            warm = dict(usage.memory())
    await asyncio.sleep(SETTLE_SECONDS)
    return {
        **{
            name: value
            for name, value in figures_of(calls, failures).items()
            if name in ("turns", "unanswered", "failed_calls", "voice_to_voice", "speculations", "withdrawn")
        },
        "calls": len(calls),
        "memory_after_first_turns": warm,
        "memory_at_the_end": dict(usage.memory()),
        "tasks_before": tasks_before,
        "tasks_at_the_end": await usage.tasks(url),
    }


def _turns(calls: list[HeldCall]) -> int:
    return sum(len(call.script.turns) for call in calls)


def _some(questions: list[Question], number: int, size: int = QUESTIONS_A_CALL) -> list[Question]:
    """Return ``size`` questions, others for each number."""
    return [questions[(number * size + n) % len(questions)] for n in range(size)]


def _length(call: HeldCall) -> float:
    """Return how long a call lasted, seconds."""
    turns = call.script.turns
    ends = [turn.answer_ended or turn.speech_ended for turn in turns]
    return max(ends) - call.script.began if ends else 0.0
