"""Pauses inside a turn: whether the agent cuts in, and what its patience costs those who have finished."""

import dataclasses
import json
import statistics
from collections.abc import Callable
from typing import Any

from voice.bench.figures import spread
from voice.bench.lab import HeldCall, Lab
from voice.bench.systems import OFFHOOK, PATIENT
from voice.caller.questions import question_from_file
from voice.caller.script import Patience
from voice.errors import CallerError

SYSTEMS = (OFFHOOK, PATIENT)
#: A hesitation is a pause of this length inside a turn, seconds.
SHORTEST, LONGEST = 0.5, 1.5
#: Kinds of recordings that hold one speaker's single turn.
TURN_KINDS = ("short_command", "read_sentence", "digits", "names_jargon", "phone_8k")
#: Tags of recordings that are no single whole turn.
NO_TURN_TAGS = {"word_list_with_pauses", "incomplete_turn"}
#: A turn without a pause: its longest is below this, seconds.
FLUENT = 0.3
#: The caller hangs up once so much of the answer was heard, seconds.
LISTEN_SECONDS = 0.3
#: Nobody answers a fragment: no longer waited for than this, seconds.
ANSWER_SECONDS = 8.0


async def measure(lab: Lab) -> dict[str, Any]:
    """Say hesitant and fluent turns to the agent and to a patient one, a call each; return cut-offs and delays."""
    if lab.manifest is None or not lab.manifest.is_file():
        raise CallerError(f"no manifest at {lab.manifest}; name one with --manifest")
    rows = [json.loads(line) for line in lab.manifest.read_text(encoding="utf-8").splitlines()]
    failures: list[str] = []
    hesitant = await _held(lab, rows, failures, lambda row: SHORTEST <= _pause(row) <= LONGEST, "hesitant")
    fluent = await _held(lab, rows, failures, lambda row: _pause(row) < FLUENT, "fluent")
    return {
        "failed_calls": failures,
        "systems": {name: _figures(hesitant[name], fluent[name]) for name in SYSTEMS},
    }


def _figures(hesitant: list[dict[str, Any]], fluent: list[dict[str, Any]]) -> dict[str, Any]:
    delays = [row["delay"] for row in (*fluent, *hesitant) if row["delay"] is not None and not row["cut_off"]]
    return {
        "hesitant_turns": len(hesitant),
        "cut_off": sum(row["cut_off"] for row in hesitant),
        "fluent_turns": len(fluent),
        "fluent_cut_off": sum(row["cut_off"] for row in fluent),
        "complete_turns": len(delays),
        "median_delay": statistics.median(delays) if delays else None,
        "delay": spread(delays),
        "rows": [*hesitant, *fluent],
    }


def _pause(row: dict[str, Any]) -> float:
    """Return the longest pause inside a recording, seconds."""
    return float(row.get("max_internal_pause_s") or 0.0)


async def _held(
    lab: Lab,
    rows: list[dict[str, Any]],
    failures: list[str],
    wanted: Callable[[dict[str, Any]], bool],
    what: str,
) -> dict[str, list[dict[str, Any]]]:
    assert lab.manifest is not None
    chosen = [row for row in rows if _is_a_turn(row) and wanted(row)]
    step = max(1, len(chosen) // lab.sizes.clips)
    chosen = chosen[::step][: lab.sizes.clips]
    patience = Patience(answer=ANSWER_SECONDS, listen=LISTEN_SECONDS)
    held: dict[str, list[dict[str, Any]]] = {name: [] for name in SYSTEMS}
    for number, row in enumerate(chosen):
        lab.report(f"{what} turns: {number} of {len(chosen)}")
        question = question_from_file(str(lab.manifest.parent / row["path"]))
        question = dataclasses.replace(question, said=str(row.get("text") or ""))
        for name in SYSTEMS:
            if call := await lab.try_call(failures, name, [question], patience=patience):
                held[name].append({"path": row["path"], "pause": _pause(row), **_outcome(call)})
    return held


def _is_a_turn(row: dict[str, Any]) -> bool:
    tags = set(row.get("tags") or ())
    return row.get("kind") in TURN_KINDS and row.get("eot_count", 1) == 1 and not tags & NO_TURN_TAGS


def _outcome(call: HeldCall) -> dict[str, Any]:
    """Return whether a turn was cut off: ended in several pieces, or answered before it was over."""
    (asked, *_), told = call.script.turns, call.record["turns"] if call.record else []
    spoke = call.script.playout.first_audible_after(asked.speech_began)
    early = spoke is not None and spoke < asked.speech_ended
    delay = told[-1]["seconds"].get("end_of_turn_delay") if told else None
    return {"cut_off": early or len(told) > 1, "heard": [turn["heard"] for turn in told], "delay": delay}
