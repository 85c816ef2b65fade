"""Interrupting, and only murmuring, over the real stack."""

import asyncio
import dataclasses
import re
from typing import Any

import httpx

from tests.conftest import Stack
from tests.e2e.test_rough_callers import end_reason
from voice.caller.line import place_call
from voice.caller.questions import question_from_text
from voice.caller.script import CallerScript, Question

LONG = "Can you tell me everything you know about the city of London?"


async def question(stack: Stack, text: str, **options: Any) -> Question:
    """Return a question in the mouth's voice."""
    asked = await question_from_text(text, mouth_url=f"http://127.0.0.1:{stack.port('tts')}", voice="joe")
    return dataclasses.replace(asked, **options)


async def hold(
    stack: Stack, call_sid: str, *questions: Question
) -> tuple[CallerScript, list[dict[str, Any]]]:
    """Hold a call; return the caller's side of it and the gateway's turns."""
    script = await place_call(stack.media_url, questions, call_sid=call_sid, parameters={})
    await end_reason(stack, call_sid)
    async with httpx.AsyncClient() as http:
        record = (await http.get(f"{stack.gateway_url}/api/calls/{call_sid}")).json()
    return script, record["turns"]


def words(text: str) -> list[str]:
    """Return the words of a text, plainly."""
    return re.findall(r"[a-z0-9]+", text.lower())


async def test_an_interruption_takes_the_turn(talker: Stack) -> None:
    """The agent stops, keeps only what was heard of its answer, and answers the new question."""
    script, turns = await hold(
        talker,
        "interrupted",
        await question(talker, LONG),
        await question(talker, "What is the capital of France?", interrupts_after=2.0),
    )
    first, second = turns
    assert first["interrupted"]
    assert first["seconds"]["barge_in_stop"] > 0
    heard = words(first["spoken"])
    assert 0 < len(heard) < len(words(first["answered"]))
    assert words(first["answered"])[: len(heard)] == heard
    assert "france" in second["heard"].lower()
    assert "Paris" in second["answered"]
    assert script.turns[1].agent_stopped is not None


async def test_a_murmur_does_not(talker: Stack) -> None:
    """The agent says all of its answer, though somebody says 'yeah' in between."""
    script, turns = await hold(
        talker,
        "murmured",
        await question(talker, LONG),
        await question(talker, "Yeah.", interrupts_after=1.5, murmur=True),
    )
    (turn,) = turns
    assert not turn["interrupted"]
    assert words(turn["spoken"]) == words(turn["answered"])
    assert script.turns[1].interrupting


async def test_hanging_up_while_the_mind_thinks(talker: Stack) -> None:
    """A caller who goes right after the question leaves nothing behind that a next caller would notice."""
    asked = await question(talker, LONG)
    try:
        async with asyncio.timeout(asked.speech_seconds + 2.5):
            await place_call(talker.media_url, [asked], call_sid="gone", parameters={})
    except TimeoutError:
        pass
    await end_reason(talker, "gone")
    _, turns = await hold(talker, "next", await question(talker, "What is the capital of France?"))
    assert "Paris" in turns[0]["answered"]
