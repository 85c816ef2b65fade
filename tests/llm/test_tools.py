"""An agent's tools within their bounds: what runs, when, how often, and what the model is told."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    FunctionCallResultFrame,
    LLMContextFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import SleepFrame, run_test

from llm.budget import ModelCallBudget
from llm.client import LLMClient
from llm.errors import ToolError
from llm.failover import Limits
from llm.profile import Sampling
from llm.replica import Replica
from llm.service import OffhookLLMService, ToolChoice
from llm.sources import Source
from llm.tools import Outcome, Run, Tool, ToolLimits, ToolRunner, schema_of

from .fake_engine import FakeEngine, tool

DAY = {"type": "object", "properties": {"day": {"type": "string", "enum": ["monday"]}}, "required": ["day"]}
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def make(run: Run, *, name: str = "look", parameters: Mapping[str, Any] = NOTHING, **more: Any) -> Tool:
    """Return a tool."""
    return Tool(name, "Looks something up.", parameters, run, **more)


async def nothing(_: Mapping[str, Any], __: Mapping[str, str]) -> Any:
    """Do nothing, and say so."""
    return {"done": True}


class Counted:
    """A tool that counts, and waits to be let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def run(self, _: Mapping[str, Any], __: Mapping[str, str]) -> Any:
        """Count, wait, and return the count."""
        self.begun += 1
        await self.go.wait()
        return {"count": self.begun}


async def one(tool: Tool, arguments: Mapping[str, Any] | None = None) -> tuple[Outcome, str]:
    """Run a tool once; return its outcome, and the class of error that telemetry was told."""
    told: list[str] = []
    runner = ToolRunner({tool.name: tool}, on_ended=lambda *call: told.append(call[4]))
    outcome = await runner.run(tool.name, "1", {} if arguments is None else arguments)
    return outcome, told[0]


# One call of one tool.


async def test_a_result_too_large_is_refused() -> None:
    """The model is told how much it may ask for, and the prompt stays small."""

    async def run(_: Any, __: Any) -> Any:
        return {"rows": ["x" * 100] * 100}

    outcome, error = await one(make(run, limits=ToolLimits(result_bytes=500)))
    assert "ask for less than 500" in outcome.result["error"]
    assert len(json.dumps(outcome.result)) < 500
    assert error == "too_large"


async def test_arguments_that_do_not_fit_the_schema_never_reach_the_tool() -> None:
    """The model is told which one, and what would do."""
    counted = Counted()
    outcome, error = await one(make(counted.run, parameters=DAY), {"day": "someday"})
    assert outcome.result == {"error": "day: 'someday' is not one of ['monday']"}
    assert error == "invalid_arguments"
    outcome, _ = await one(make(counted.run, parameters=DAY), {})
    assert "'day' is a required property" in outcome.result["error"]
    assert counted.begun == 0


async def test_a_tool_that_never_ends_is_cancelled() -> None:
    """It is stopped at its time limit, and the model told."""
    ended = asyncio.Event()

    async def run(_: Any, __: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    outcome, error = await one(make(run, limits=ToolLimits(seconds=0.05)))
    assert outcome.result == {"error": "look took longer than 0.05 s"}
    assert error == "timeout"
    assert ended.is_set()


@pytest.mark.parametrize(
    ("raised", "told", "kind"),
    [
        (ToolError("no table is free", kind="full"), "no table is free", "full"),
        (ZeroDivisionError("caller's secret"), "look failed", "ZeroDivisionError"),
    ],
)
async def test_what_a_tool_raises_becomes_a_result(
    raised: Exception, told: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What it means the model to know, the model is told; of anything else it only learns that it failed."""

    async def run(_: Any, __: Any) -> Any:
        raise raised

    outcome, error = await one(make(run))
    assert outcome.result == {"error": told}
    assert error == kind
    assert "secret" not in caplog.text


async def test_an_interrupted_side_effect_ends_and_is_not_begun_again() -> None:
    """The model that asks again gets the result of the first time."""
    counted = Counted()
    runner = ToolRunner({"book": make(counted.run, name="book")})
    first = asyncio.create_task(runner.run("book", "1", {}))
    while not counted.begun:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    again = asyncio.create_task(runner.run("book", "2", {}))
    await asyncio.sleep(0)
    counted.go.set()
    assert (await again).result == {"count": 1}
    assert (await runner.run("book", "3", {})).result == {"count": 2}, "asked for anew, it is done anew"


async def test_an_interrupted_look_is_broken_off() -> None:
    """Nobody waits for it, and nothing is lost."""
    counted, told = Counted(), []
    runner = ToolRunner(
        {"look": make(counted.run, read_only=True)}, on_ended=lambda *call: told.append(call[4])
    )
    task = asyncio.create_task(runner.run("look", "1", {}))
    while not counted.begun:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told == ["cancelled"]


# Through pipecat, with an engine that calls tools as scripted.


async def frames_of(
    tools: Sequence[Tool],
    *script: Any,
    speculation: bool = False,
    last: float = 0.0,
    budget: ModelCallBudget | None = None,
    tool_choice: ToolChoice = "auto",
) -> tuple[list[Any], list[dict[str, Any]]]:
    """Let an engine answer as scripted; return all frames until ``last`` seconds later, and the requests."""
    async with (
        FakeEngine(*script).serving() as engine,
        LLMClient([Source(Replica(engine.url, "m"), health_path="")], Limits()) as client,
    ):
        service = OffhookLLMService(
            client,
            call="c",
            sampling=Sampling(),
            tools=ToolRunner({tool.name: tool for tool in tools}),
            tool_choice=tool_choice,
            budget=budget,
        )
        context = LLMContext([{"role": "user", "content": "Hello?"}], schema_of(tools))
        frames = [LLMContextFrame(context, speculation=speculation), SleepFrame(last)]
        down, up = await run_test(service, frames_to_send=frames)
        return [*down, *up], engine.requests


def calls(*names: str, arguments: str = "{}") -> list[Any]:
    """Return what an engine streams to call tools together."""
    return [
        *(tool(n, id=str(n), name=name, arguments=arguments) for n, name in enumerate(names)),
        FakeEngine.END,
    ]


def results_of(frames: Sequence[Any]) -> dict[str, Any]:
    """Return what each tool gave back to the model."""
    return {
        frame.function_name: frame.result for frame in frames if isinstance(frame, FunctionCallResultFrame)
    }


async def test_tools_called_together_run_together() -> None:
    """Each waits for the other to have begun: one after the other they would never end."""
    begun = {"left": asyncio.Event(), "right": asyncio.Event()}

    def meeting(own: str, other: str) -> Tool:
        async def run(_: Any, __: Any) -> Any:
            begun[own].set()
            await begun[other].wait()
            return {"met": other}

        return make(run, name=own)

    frames, _ = await frames_of([meeting("left", "right"), meeting("right", "left")], *calls("left", "right"))
    assert results_of(frames) == {"left": {"met": "right"}, "right": {"met": "left"}}


async def test_arguments_that_are_not_json_are_refused() -> None:
    """The call is answered, so that the model can try again; the tool does not run."""
    counted = Counted()
    frames, _ = await frames_of([make(counted.run)], *calls("look", arguments='{"day": '))
    assert results_of(frames) == {"look": {"error": "the arguments are not a JSON object"}}
    assert counted.begun == 0


async def test_a_slow_tool_is_covered_by_a_phrase_and_a_fast_one_is_not() -> None:
    """The phrase is spoken, and kept out of the context."""
    heard = asyncio.Event()

    async def slow(_: Any, __: Any) -> Any:
        await asyncio.sleep(0.2)
        heard.set()

    limits = ToolLimits(filler="One moment.", filler_seconds=0.05)
    frames, _ = await frames_of([make(slow, limits=limits)], *calls("look"), last=0.5)
    spoken = [frame for frame in frames if isinstance(frame, TTSSpeakFrame)]
    assert [(frame.text, frame.append_to_context) for frame in spoken] == [("One moment.", False)]
    frames, _ = await frames_of([make(nothing, limits=limits)], *calls("look"))
    assert not any(isinstance(frame, TTSSpeakFrame) for frame in frames)


async def test_an_answer_begun_early_looks_up_what_it_needs_and_goes_on() -> None:
    """The look-up is part of the answer: it reaches the conversation with it, or is thrown away with it."""
    frames, requests = await frames_of(
        [make(nothing, read_only=True)], *calls("look"), FakeEngine.NEXT, "Found it.", FakeEngine.END,
        speculation=True,
    )  # fmt: skip
    held = [frame for frame in frames if isinstance(frame, LLMMessagesAppendFrame | LLMTextFrame)]
    assert held == [], "all of it waits behind pipecat's gate for the turn to be confirmed"
    assert not any(isinstance(frame, EagerEndOfTurnCancelFrame) for frame in frames)
    assert [message["role"] for message in requests[1]["messages"]] == ["user", "assistant", "tool"]
    assert requests[1]["messages"][-1]["content"] == '{"done": true}'


async def test_an_answer_begun_early_that_would_change_something_is_withdrawn() -> None:
    """Nothing happens before the turn is confirmed, not even the look-up that was asked for beside it."""
    counted = Counted()
    tools = [make(counted.run, name="book"), make(counted.run, name="look", read_only=True)]
    frames, requests = await frames_of(tools, *calls("book", "look"), speculation=True)
    assert any(isinstance(frame, EagerEndOfTurnCancelFrame) for frame in frames)
    assert counted.begun == 0
    assert len(requests) == 1


async def test_a_turn_can_be_made_to_begin_with_a_tool() -> None:
    """The first model call must call one; what follows the result need not."""
    _, requests = await frames_of(
        [make(nothing, read_only=True)], *calls("look"), FakeEngine.NEXT, "Done.", FakeEngine.END,
        speculation=True, tool_choice="required",
    )  # fmt: skip
    assert [request.get("tool_choice") for request in requests] == ["required", None]


async def test_the_last_model_call_of_a_turn_must_say_something() -> None:
    """A model that would go on calling tools is stopped by its budget, and answers."""
    budget = ModelCallBudget(per_turn=3, per_call=100)
    _, requests = await frames_of(
        [make(nothing, read_only=True)],
        *calls("look"), FakeEngine.NEXT, *calls("look"), FakeEngine.NEXT, "Enough.", FakeEngine.END,
        speculation=True, budget=budget,
    )  # fmt: skip
    assert [request.get("tool_choice") for request in requests] == [None, None, "none"]
    assert budget.turn_calls == 3
