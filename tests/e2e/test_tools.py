"""An agent's tools in a whole call: real ear, mouth and gateway, the shipped example agent, a scripted engine."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Stack, start_stack
from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from voice.caller.call import fetch_record
from voice.caller.line import place_call
from voice.caller.questions import question_from_text
from voice.errors import CallerError


def baker(last: dict[str, Any]) -> str | list[tuple[str, dict[str, Any]]]:
    """What a model would do: look up what it is asked, say what it found, hang up on a goodbye."""
    said = str(last["content"]).lower()
    if last["role"] == "tool":
        return str(json.loads(said))
    if "goodbye" in said or "bye" in said:
        return [("hang_up", {})]
    return [("opening_hours", {"day": "sunday"})] if "sunday" in said else "I do not know that."


@pytest.fixture(scope="module")
def engine() -> Iterator[ScriptedEngine]:
    """The engine of this module's stack."""
    with scripted_engine(baker) as server:
        yield server


@pytest.fixture(scope="module")
def bakery(engine: ScriptedEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose agent is the shipped example with tools."""
    folder = tmp_path_factory.mktemp("bakery")
    profile = folder / "scripted.toml"
    profile.write_text(engine.profile)
    with start_stack(folder, OFFHOOK_GATEWAY__AGENT="bakery", OFFHOOK_LLM__PROFILE=str(profile)) as stack:
        yield stack


async def hold(stack: Stack, *sentences: str) -> dict[str, Any]:
    """Hold a call in which the caller says these sentences; return the gateway's record of it."""
    mouth = f"http://127.0.0.1:{stack.port('tts')}"
    questions = [await question_from_text(text, mouth_url=mouth, voice="joe") for text in sentences]
    call_sid = f"CA{secrets.token_hex(16)}"
    with contextlib.suppress(CallerError):  # The agent may hang up first.
        await place_call(stack.media_url, questions, call_sid=call_sid, parameters={})
    return await fetch_record(stack.gateway_url, call_sid)


@pytest.fixture(scope="module")
def call(bakery: Stack) -> dict[str, Any]:
    """One call: a question that needs a tool, and a goodbye."""
    return asyncio.run(hold(bakery, "When are you open on Sunday?", "Thank you, goodbye."))


def test_a_tool_runs_and_its_result_is_heard(call: dict[str, Any]) -> None:
    """The answer holds what only the tool knows, and was begun with it."""
    first = call["turns"][0]
    assert "from nine to noon" in first["answered"].lower()
    assert "nine" in first["spoken"].lower()
    assert first["tool_calls"] >= 1
    assert first["model_calls"] >= 2


def test_the_agent_hangs_up_after_its_goodbye(call: dict[str, Any]) -> None:
    """The call ends by the agent's own hand, and as it should."""
    assert call["end_reason"] == "the agent hung up"
    assert call["outcome"] == "completed"
    assert call["turns"][1]["tool_calls"] == 1


def test_the_conversation_holds_the_call_and_its_result(call: dict[str, Any], engine: ScriptedEngine) -> None:
    """Each later prompt extends the earlier one: tools first, then what was called and what came of it."""
    last = engine.requests[-1]["messages"]
    roles = [message["role"] for message in last]
    assert roles[:2] == ["system", "assistant"]
    asked = next(message for message in last if message.get("tool_calls"))
    assert asked["tool_calls"][0]["function"]["name"] == "opening_hours"
    result = last[last.index(asked) + 1]
    assert result["role"] == "tool"
    assert "nine to noon" in result["content"]
    assert all(request["tools"] == engine.requests[0]["tools"] for request in engine.requests)


def test_the_trace_and_the_metrics_know_of_the_tools(call: dict[str, Any], bakery: Stack) -> None:
    """A span for each, and a count; of what was said and found, nothing."""
    shown = bakery.offhook("trace", call["trace_id"][:12]).stdout
    assert shown.count("execute_tool") >= 2
    text = httpx.get(f"{bakery.gateway_url}/metrics").text
    assert 'voice_tool_calls_total{agent="bakery",door="twilio",failed="no"' in text
    assert 'voice_model_calls_total{agent="bakery"' in text
    assert "noon" not in bakery.log("gateway")
    assert "sunday" not in bakery.log("gateway").lower()
    assert b"noon" not in Path(bakery.folder / "calls.sqlite").read_bytes()
