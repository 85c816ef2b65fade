"""The clients' own tools, round trip: real gateway, ear, mouth and clients, a scripted engine that calls them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.scripted_engine import ScriptedEngine, scripted_engine
from tests.voice.conftest import Gateway, StartGateway
from tests.voice.realtime.clients import AgentsCaller, LiveKitCaller, PipecatCaller, livekit_weather
from tests.voice.realtime.test_protocol import ask, events_until, joined, session

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tell how the weather is in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
QUESTION = "How is the weather in Paris?"


def forecaster(last: dict[str, Any]) -> str | list[tuple[str, dict[str, Any]]]:
    """What a model would do: look the weather up, and say what it found."""
    text = str(last["content"])
    if last["role"] == "tool":
        return text.strip('"')
    return [("weather", {"city": "Paris"})] if "weather" in text.lower() else "I do not know that."


@pytest.fixture(scope="module")
def engine() -> Iterator[ScriptedEngine]:
    """The engine of this module's gateway."""
    with scripted_engine(forecaster) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(
    engine: ScriptedEngine, start_gateway: StartGateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway that asks the scripted engine."""
    profile: Path = tmp_path_factory.mktemp("profile") / "scripted.toml"
    profile.write_text(engine.profile)
    with start_gateway(OFFHOOK_LLM__PROFILE=str(profile)) as running:
        yield running


async def test_openai(gateway: Gateway, engine: ScriptedEngine) -> None:
    """The call comes as items and deltas; its output goes to the mind, and what the mind says is spoken."""
    async with session(gateway.url, tools=[WEATHER]) as connection:
        events = await ask(connection, QUESTION)
        (call,) = [event for event in events if event.type == "response.function_call_arguments.done"]
        assert (call.name, json.loads(call.arguments)) == ("weather", {"city": "Paris"})
        assert events[-1].response.output[0].call_id == call.call_id
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "It is snowing."}
        await connection.conversation.item.create(item=output)
        await connection.response.create(response={"tool_choice": "none"})
        events = await events_until(connection, "response.done")
    assert "snowing" in joined(events, "response.output_audio_transcript.delta")
    # An engine that is slow to begin is asked again, and one that is slow to read ahead may end with that.
    asked = [request for request in engine.requests if request["messages"][-1].get("content") == QUESTION][-1]
    answered = [request for request in engine.requests if request["messages"][-1]["role"] == "tool"][-1]
    assert asked["tools"][0]["function"]["name"] == "weather"
    assert "tools" not in answered
    assert [message["role"] for message in answered["messages"][-3:]] == ["user", "assistant", "tool"]


async def test_agents(gateway: Gateway) -> None:
    """openai-agents runs its tool and asks for the answer by itself."""
    caller = AgentsCaller(gateway.url)
    async with caller.calling():
        await caller.write(QUESTION)
        await caller.until(lambda: "snowing" in " ".join(caller.said), "an answer with what the tool said")
    assert caller.problems == ["tool: It is snowing in Paris."]


async def test_livekit(gateway: Gateway) -> None:
    """livekit's session takes the call from its function stream and gives the output by its chat context."""
    caller = LiveKitCaller(gateway.url)
    async with caller.calling():
        await caller.session.update_tools([livekit_weather])
        await caller.write(QUESTION)
        await caller.until(lambda: "snowing" in " ".join(caller.said), "an answer with what the tool said")
    assert not caller.problems


async def test_pipecat(gateway: Gateway) -> None:
    """pipecat's service runs the registered function and asks for the answer by itself."""
    caller = PipecatCaller(gateway.url)
    caller.tools = True
    async with caller.calling():
        await caller.write(QUESTION)
        await caller.until(lambda: "snowing" in " ".join(caller.said), "an answer with what the tool said")
    assert not caller.problems
