"""Murmurs, coughs and noises over the agent's answer: it should finish what it was saying."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from orchestration.murmurs import is_murmur
from voice.bench.figures import spread
from voice.bench.lab import LONG_QUESTIONS, HeldCall, Lab
from voice.bench.systems import TALKER
from voice.caller.questions import question_from_file
from voice.caller.script import Question

#: Murmurs in the caller's own voice, beside those of the recordings.
SPOKEN = ("Yeah.", "Okay.", "Mm-hmm.", "Right.", "Uh-huh.", "Sure.", "Yes.", "I see.", "Oh, okay.", "Hmm.")
#: How much of the answer is heard before, seconds.
AFTER_SECONDS = 1.5
#: A noise is heard for so long, seconds.
NOISE_SECONDS = 1.5


async def measure(lab: Lab) -> dict[str, Any]:
    """Say each murmur over an answer of its own; return how many took the turn, and the pauses."""
    failures: list[str] = []
    rows: list[dict[str, Any]] = []
    clips = await _clips(lab)
    for number, (kind, name, sound) in enumerate(clips):
        lab.report(f"murmurs: {number} of {len(clips)}")
        question = await lab.say(LONG_QUESTIONS[number % len(LONG_QUESTIONS)])
        over = sound.spoken_over(AFTER_SECONDS, murmur=True)
        call = await lab.try_call(failures, TALKER, [question, over])
        if call and len(call.script.turns) > 1 and call.script.turns[1].interrupting:
            rows.append({"kind": kind, "name": name, **_outcome(call)})
    return {"failed_calls": failures, **_figures(rows), "rows": rows}


def _outcome(call: HeldCall) -> dict[str, Any]:
    told = call.record["turns"] if call.record else []
    murmur = call.script.turns[1]
    went_on = murmur.answer_began
    paused = None if murmur.agent_stopped is None or went_on is None else went_on - murmur.agent_stopped
    return {
        "took_the_turn": len(told) > 1 or any(turn["interrupted"] for turn in told),
        "pause": paused,
        "heard": [turn["heard"] for turn in told[1:]],
    }


def _figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = sorted({row["kind"] for row in rows})
    return {
        "by_kind": {kind: _share([row for row in rows if row["kind"] == kind]) for kind in kinds},
        "all": _share(rows),
    }


def _share(rows: list[dict[str, Any]]) -> dict[str, Any]:
    pauses = [row["pause"] for row in rows if row["pause"] is not None]
    return {
        "sounds": len(rows),
        "took_the_turn": sum(row["took_the_turn"] for row in rows),
        "paused": len(pauses),
        "pause": spread(pauses),
    }


async def _clips(lab: Lab) -> list[tuple[str, str, Question]]:
    """Return (kind, name, sound), the kinds turn about so that a short run has some of each."""
    spoken = [("murmur, spoken", text, await lab.say(text)) for text in SPOKEN]
    recorded: list[tuple[str, str, Question]] = []
    noises: list[tuple[str, str, Question]] = []
    for row in _rows(lab.manifest):
        path = str(row["file"])
        if "backchannel" in (row.get("tags") or ()) and is_murmur(str(row.get("text") or ""), "en"):
            recorded.append(("murmur, recorded", str(row["text"]), question_from_file(path)))
        elif row.get("kind") == "noise":
            noise = question_from_file(path)
            length = round(NOISE_SECONDS * 8000) * 2
            noises.append(("noise", Path(path).stem, dataclasses.replace(noise, pcm=noise.pcm[:length])))
    kinds = [recorded, spoken, noises]
    mixed = [kind[n] for n in range(max(map(len, kinds))) for kind in kinds if n < len(kind)]
    return [clip for clip in mixed if clip[2].speech_seconds][: lab.sizes.clips]


def _rows(manifest: Path | None) -> list[dict[str, Any]]:
    if manifest is None or not manifest.is_file():
        return []
    lines = manifest.read_text(encoding="utf-8").splitlines()
    return [{**row, "file": manifest.parent / row["path"]} for row in map(json.loads, lines)]
