"""An engine that is slow, and one that never answers: what the caller hears, and that the call ends."""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Stack, start_stack
from tests.e2e.scripted_engine import scripted_engine
from voice.caller.call import fetch_record
from voice.caller.line import place_call
from voice.caller.questions import question_from_text
from voice.caller.script import Patience
from voice.errors import CallerError

AGENT = """
name = "patient"
system_prompt = "Answer."
[silence]
filler_seconds = 0.5
apology_seconds = 6.0
reprompt_seconds = 2.0
reprompts = 1
"""
#: Longer than the filler takes to come, shorter than the apology, seconds.
SLOW_SECONDS = 2.0


@pytest.fixture(scope="module")
def never() -> Iterator[threading.Event]:
    """Lets the engine go that never answers, once the tests are over."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(scope="module")
def stack(never: threading.Event, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with an engine that is late with one answer and never gives the other."""

    def script(last: dict[str, Any]) -> str:
        asked = str(last["content"]).lower()
        if asked:  # The prompt that is read ahead ends in an empty question.
            never.wait(SLOW_SECONDS if "france" in asked else None)
        return "It is Paris."

    folder = tmp_path_factory.mktemp("silence")
    (folder / "agent.toml").write_text(AGENT)
    with scripted_engine(script) as engine:
        (folder / "engine.toml").write_text(engine.profile)
        settings = {"OFFHOOK_GATEWAY__AGENT": "./agent.toml", "OFFHOOK_LLM__PROFILE": "./engine.toml"}
        with start_stack(folder, **settings) as running:
            yield running
        never.set()


async def ask(stack: Stack, text: str, *, settled: float) -> dict[str, Any]:
    """Ask one question and stay on the line until nothing was heard for ``settled`` seconds; return the record."""
    mouth = f"http://127.0.0.1:{stack.port('tts')}"
    question = await question_from_text(text, mouth_url=mouth, voice="joe")
    call_sid = f"CA{secrets.token_hex(16)}"
    with contextlib.suppress(CallerError):  # The agent hangs up.
        async with asyncio.timeout(90):
            patience = Patience(greeting=0.5, settled=settled)
            await place_call(stack.media_url, [question], call_sid=call_sid, parameters={}, patience=patience)
    return await fetch_record(stack.gateway_url, call_sid)


async def test_a_filler_is_not_taken_for_the_answer(stack: Stack) -> None:
    """The caller is excused to while the engine thinks; the turn's figures are those of the answer."""
    record = await ask(stack, "What is the capital of France?", settled=4.0)
    (turn, *_) = record["turns"]
    assert "Paris" in turn["spoken"]
    assert "moment" not in turn["spoken"].lower()
    assert turn["after_speech"]["audible"] > turn["after_speech"]["first_token"]


async def test_an_engine_that_never_answers_holds_no_call(stack: Stack) -> None:
    """An apology, a question whether the caller is there, a goodbye: the call ends, and counts as a fault."""
    record = await ask(stack, "Tell me about the weather.", settled=60.0)
    assert record["end_reason"] == "the caller said nothing after 1 reprompts"
    assert record["outcome"] == "fault"
    (turn, *_) = record["turns"]
    assert turn["answered"] == ""
    assert "voice_to_voice" not in turn["seconds"]
