"""Faults that real engines show seldom: refusals, half tool calls, garbage, silence; injected by a fake engine."""

from contextlib import AsyncExitStack

import pytest
from pipecat.frames.frames import LLMContextFrame, LLMTextFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.tests.utils import run_test

from llm.budget import ModelCallBudget
from llm.client import Answer, Event, LLMClient
from llm.errors import BudgetError, EngineError
from llm.failover import CallTools, Finish, Limits, Say, ToolCall
from llm.profile import Sampling
from llm.replica import Replica
from llm.service import OffhookLLMService
from llm.sources import Source

from .fake_engine import FakeEngine, tool

LIMITS = Limits(first_token=1.0, stall=1.0, retry=0.01, patience=0.05)
REQUEST = {
    "messages": [{"role": "user", "content": "Hello?"}],
    "max_tokens": 20,
    "temperature": 0.3,
    "seed": 7,
}


async def events_of(*engines: FakeEngine, report: Answer | None = None, **limits: float) -> list[Event]:
    """Ask the engines, the first one first, and return what comes of it."""
    async with AsyncExitStack() as stack:
        for engine in engines:
            await stack.enter_async_context(engine.serving())
        sources = [
            Source(Replica(engine.url, "m", tier=n), health_path="") for n, engine in enumerate(engines)
        ]
        client = await stack.enter_async_context(LLMClient(sources, LIMITS))
        headers = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
        return [event async for event in client.answer(REQUEST, headers=headers, report=report)]


@pytest.mark.parametrize(
    "first",
    [
        FakeEngine(status=500),
        FakeEngine(status=503),
        FakeEngine(FakeEngine.BREAK),
        FakeEngine(FakeEngine.HANG),
        FakeEngine(FakeEngine.GARBAGE),
        FakeEngine(),
    ],
    ids=["500", "503", "breaks", "hangs", "garbage", "empty"],
)
async def test_whatever_is_wrong_before_the_first_word_the_next_engine_answers(first: FakeEngine) -> None:
    """Errors, lost connections, silence and nonsense alike."""
    second = FakeEngine("Yes", "?", FakeEngine.END)
    assert await events_of(first, second) == [Say("Yes"), Say("?"), Finish("stop")]


@pytest.mark.parametrize(
    "fault",
    [FakeEngine.BREAK, FakeEngine.HANG, FakeEngine.GARBAGE, None],
    ids=["breaks", "hangs", "garbage", "ends"],
)
async def test_in_the_middle_of_a_sentence_the_next_engine_continues_it(fault: object) -> None:
    """It gets what was said as the beginning of its answer, with the same sampling and what is left of the length."""
    first = FakeEngine("One ", "two", *([fault] if fault else []))
    second = FakeEngine(" three.", FakeEngine.END)
    report = Answer()
    events = await events_of(first, second, report=report)
    assert "".join(event.text for event in events if isinstance(event, Say)) == "One two three."
    (asked,) = second.requests
    assert asked["messages"][-1] == {"role": "assistant", "content": "One two"}
    assert asked["continue_final_message"] is True
    assert asked["add_generation_prompt"] is False
    assert (asked["max_tokens"], asked["temperature"], asked["seed"]) == (18, 0.3, 7)
    assert (report.moves, len(report.tries), report.complete) == (1, 2, True)


async def test_a_remote_model_is_told_its_limit_by_the_name_it_knows() -> None:
    """OpenAI's newer models refuse the old one."""
    async with FakeEngine("Yes", FakeEngine.END).serving() as engine:
        replica = Replica(engine.url, "m", limit_key="max_completion_tokens")
        async with LLMClient([Source(replica, health_path="")], LIMITS) as client:
            async for _ in client.answer(REQUEST):
                pass
    (asked,) = engine.requests
    assert asked["max_completion_tokens"] == 20
    assert "max_tokens" not in asked


@pytest.mark.parametrize("own", [True, False])
async def test_ones_own_engine_is_held_to_the_schema_of_a_tool(own: bool) -> None:
    """vLLM constrains a tool's arguments where they are strict; OpenAI would refuse most schemas."""
    function = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    async with FakeEngine("Yes", FakeEngine.END).serving() as engine:
        sources = [Source(Replica(engine.url, "m", continues=own), health_path="")]
        async with LLMClient(sources, LIMITS) as client:
            tools = [{"type": "function", "function": function}]
            async for _ in client.answer({**REQUEST, "tools": tools}):
                pass
    assert engine.requests[0]["tools"][0]["function"].get("strict", False) is own


async def test_a_second_engine_is_asked_beside_a_slow_one() -> None:
    """The first with words wins; the slow one is let go without being shut out."""
    slow, quick = FakeEngine(FakeEngine.HANG), FakeEngine("Yes", FakeEngine.END)
    report = Answer()
    async with slow.serving(), quick.serving():
        sources = [Source(Replica(e.url, "m", tier=n), health_path="") for n, e in enumerate((slow, quick))]
        async with LLMClient(sources, Limits(first_token=30, hedge=0.05)) as client:
            events = [event async for event in client.answer(REQUEST, report=report)]
            assert client.pool.shut_out() == []
            assert [client.pool.in_flight(source.replica.url) for source in sources] == [0, 0]
    assert events == [Say("Yes"), Finish("stop")]
    assert (report.hedges, report.moves) == (1, 0)


async def test_half_a_tool_call_never_leaves_the_client() -> None:
    """The next engine makes it again, and it is passed on once."""
    first = FakeEngine(tool(id="1", name="pay", arguments='{"eur'), FakeEngine.BREAK)
    second = FakeEngine(
        tool(id="2", name="pay", arguments='{"euro": '), tool(arguments="5}"),
        tool(1, id="3", name="log", arguments="{}"), FakeEngine.END,
    )  # fmt: skip
    calls = (ToolCall("2", "pay", '{"euro": 5}'), ToolCall("3", "log", "{}"))
    assert await events_of(first, second) == [CallTools(calls), Finish("stop")]


async def test_the_trace_goes_with_every_request() -> None:
    """The engine's own spans join the call's trace, whichever engine it is."""
    first, second = FakeEngine("One", FakeEngine.BREAK), FakeEngine(" two", FakeEngine.END)
    await events_of(first, second)
    assert first.headers[0]["traceparent"] == second.headers[0]["traceparent"] != ""


async def test_the_last_error_comes_out_when_nobody_is_left() -> None:
    """One line, naming the engine."""
    with pytest.raises(EngineError, match=r"status 503: .*as scripted"):
        await events_of(FakeEngine(status=503))


async def test_a_phrase_is_said_where_no_engine_answers() -> None:
    """Better than silence; the error is in the log."""
    async with (
        FakeEngine(status=500).serving() as engine,
        LLMClient([Source(Replica(engine.url, "m"), health_path="")], LIMITS) as client,
    ):
        service = OffhookLLMService(
            client, call="c", sampling=Sampling(), failure_phrase="Sorry, one moment."
        )
        context = LLMContext([{"role": "user", "content": "Hello?"}])
        down, _ = await run_test(service, frames_to_send=[LLMContextFrame(context)])
    assert [frame.text for frame in down if isinstance(frame, LLMTextFrame)] == ["Sorry, one moment."]


async def test_a_turn_that_asks_too_often_is_stopped() -> None:
    """Model calls are counted until the caller speaks again."""
    async with (
        FakeEngine("Hi", FakeEngine.END).serving() as engine,
        LLMClient([Source(Replica(engine.url, "m"), health_path="")], LIMITS) as client,
    ):
        budget = ModelCallBudget(per_turn=2, per_call=100)
        service = OffhookLLMService(
            client, call="c", sampling=Sampling(), budget=budget, failure_phrase="Let me stop here."
        )
        caller = LLMContextFrame(LLMContext([{"role": "user", "content": "Hello?"}]))
        tools = LLMContextFrame(LLMContext([{"role": "assistant", "content": "..."}]))
        down, _ = await run_test(service, frames_to_send=[caller, tools, tools, caller])
    texts = [frame.text for frame in down if isinstance(frame, LLMTextFrame)]
    assert texts == ["Hi", "Hi", "Let me stop here.", "Hi"]
    assert (budget.turn_calls, budget.calls) == (1, 3)


def test_a_call_has_a_budget_too() -> None:
    """However many turns it has."""
    budget = ModelCallBudget(per_turn=5, per_call=2)
    for _ in range(2):
        budget.begin_turn()
        budget.spend()
    budget.begin_turn()
    with pytest.raises(BudgetError, match="a call may make 2"):
        budget.spend()
