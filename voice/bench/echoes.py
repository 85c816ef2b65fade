"""The agent's own voice on the caller's line, at several levels and delays: does it interrupt itself?"""

from typing import Any

from voice.bench.lab import LONG_QUESTIONS, HeldCall, Lab
from voice.bench.systems import TALKER, TALKER_WITH_ECHO
from voice.caller.script import EchoPath

#: How much fainter the echo is than the agent, decibels, and how late, seconds.
LEVELS = (-10, -20, -30)
DELAYS = (0.06, 0.2)


async def measure(lab: Lab) -> dict[str, Any]:
    """Ask for a long answer over each line, with the guard and without; return who was interrupted by itself."""
    rows = []
    paths = [(level, delay) for delay in DELAYS for level in LEVELS]
    if lab.sizes.clips < len(paths):
        paths = paths[:: len(paths) // max(1, lab.sizes.clips // 2)]
    failures: list[str] = []
    for number, (level, delay) in enumerate(paths):
        question = await lab.say(LONG_QUESTIONS[number % len(LONG_QUESTIONS)])
        for system in (TALKER, TALKER_WITH_ECHO):
            lab.report(f"echo: {level} dB, {delay * 1000:.0f} ms: {system}")
            echo = EchoPath(delay, 10 ** (level / 20))
            call = await lab.try_call(failures, system, [question], echo=echo)
            if call:
                rows.append({"system": system, "level": level, "delay": delay, **_outcome(call)})
    return {"failed_calls": failures, "rows": rows}


def _outcome(call: HeldCall) -> dict[str, Any]:
    """Return what the echo did: turns taken from the agent, and what it lost of its answer."""
    told = call.record["turns"] if call.record else []
    answered = told[0]["answered"] if told else ""
    return {
        "turns_taken": sum(turn["interrupted"] for turn in told) + max(0, len(told) - 1),
        "false_alarms": call.record.get("false_alarms") if call.record else None,
        "finished": bool(told) and len(told[0]["spoken"].split()) >= len(answered.split()),
    }
