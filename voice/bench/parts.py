"""The parts of the measurement: what each needs running, and what measures it."""

from collections.abc import Sequence
from typing import Any

from voice.bench import echoes, hesitations, interruptions, latency, load, murmurs
from voice.bench.lab import Lab
from voice.bench.systems import OFFHOOK, PATIENT, STOCK, STOCK_TALKER, TALKER, TALKER_WITH_ECHO

#: Systems that a part needs beside the stack itself.
NEEDED = {
    "interruptions": (TALKER,),
    "murmurs": (TALKER,),
    "hesitations": (PATIENT,),
    "echo": (TALKER, TALKER_WITH_ECHO),
}
#: What answers at length in the place of what does not.
TALKERS = {OFFHOOK: TALKER, STOCK: STOCK_TALKER}


def systems_of(parts: Sequence[str], compared: Sequence[str]) -> list[str]:
    """Return the systems that ``parts`` need, each once."""
    needed: list[str] = []
    for part in parts:
        if part == "latency":
            needed += compared
        elif part == "long":
            needed += _talkers(compared)
        else:
            needed += NEEDED.get(part, ())
    return list(dict.fromkeys(needed))


async def measure(lab: Lab, part: str, compared: Sequence[str]) -> dict[str, Any]:
    """Measure one part; ``compared`` names the systems of the parts that compare some."""
    match part:
        case "latency":
            return await latency.measure(lab, compared)
        case "long":
            return await latency.measure_long(lab, _talkers(compared))
        case "interruptions":
            return await interruptions.measure(lab)
        case "murmurs":
            return await murmurs.measure(lab)
        case "hesitations":
            return await hesitations.measure(lab)
        case "load":
            return await load.measure(lab)
        case "endurance":
            return await load.endure(lab)
        case _:
            return await echoes.measure(lab)


def _talkers(compared: Sequence[str]) -> list[str]:
    return [TALKERS[name] for name in compared if name in TALKERS]
