"""Places the calls, one system after the other and round after round, and keeps what was heard."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice.bench.systems import System
from voice.caller.call import fetch_record
from voice.caller.line import place_call
from voice.caller.script import AskedTurn, CallerScript, Question
from voice.errors import CallerError


@dataclass
class SystemCalls:
    """All calls placed to one system."""

    system: System
    scripts: list[CallerScript] = field(default_factory=list)
    records: list[dict[str, Any] | None] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def turns(self) -> list[tuple[AskedTurn, dict[str, Any] | None]]:
        """Every question asked, with what the system told of the turn."""
        pairs: list[tuple[AskedTurn, dict[str, Any] | None]] = []
        for script, record in zip(self.scripts, self.records, strict=True):
            told = record["turns"] if record else []
            same = len(told) == len(script.turns)
            pairs += [(turn, told[n] if same else None) for n, turn in enumerate(script.turns)]
        return pairs


async def place_calls(
    systems: Sequence[System],
    scripts: Sequence[Sequence[Question]],
    *,
    rounds: int,
    progress: Callable[[str], None],
) -> list[SystemCalls]:
    """Call every system once a round with the same script; the order turns by one each round.

    Args:
        systems: whom to call.
        scripts: the questions of one call each; after the last, the first again.
        rounds: calls to each system.
        progress: told what happens.

    """
    measured = [SystemCalls(system) for system in systems]
    for number in range(rounds):
        order = measured[number % len(measured) :] + measured[: number % len(measured)]
        for calls in order:
            progress(f"round {number + 1} of {rounds}: {calls.system.name}")
            await _one(calls, scripts[number % len(scripts)])
    return measured


async def _one(calls: SystemCalls, questions: Sequence[Question]) -> None:
    call_sid = f"CA{secrets.token_hex(16)}"
    base = calls.system.base_url
    url = f"ws{base.removeprefix('http')}/phone/twilio/media"
    try:
        script = await place_call(url, questions, call_sid=call_sid, parameters={})
        record = await fetch_record(base, call_sid) if calls.system.tells else None
    except CallerError as error:
        calls.failures.append(str(error))
        return
    calls.scripts.append(script)
    calls.records.append(record)
