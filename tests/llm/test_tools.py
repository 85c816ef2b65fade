"""An agent's tools within their bounds, through pipecat's own function calling."""

import asyncio
import json
from typing import Any

from pipecat.frames.frames import FunctionCallResultFrame, LLMContextFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams
from pipecat.tests.utils import SleepFrame, run_test

from llm.client import LLMClient
from llm.failover import Limits
from llm.profile import Sampling
from llm.replica import Replica
from llm.service import OffhookLLMService
from llm.sources import Source
from llm.tools import Handler, ToolLimits

from .fake_engine import FakeEngine, tool


async def frames_of(handlers: dict[str, Handler], limits: ToolLimits, *, last: float = 0.0) -> list[Any]:
    """Let a model call every handler at once; return the frames that go down until ``last`` seconds later."""
    calls = [tool(n, id=str(n), name=name, arguments="{}") for n, name in enumerate(handlers)]
    async with (
        FakeEngine(*calls, FakeEngine.END).serving() as engine,
        LLMClient([Source(Replica(engine.url, "m"), health_path="")], Limits()) as client,
    ):
        service = OffhookLLMService(client, call="c", sampling=Sampling())
        for name, handler in handlers.items():
            service.register_tool(name, handler, limits)
        context = LLMContext([{"role": "user", "content": "Hello?"}])
        frames = [LLMContextFrame(context), SleepFrame(last)]
        down, _ = await run_test(service, frames_to_send=frames)
    return list(down)


def results_of(frames: list[Any]) -> dict[str, Any]:
    """Return what each tool gave back to the model."""
    return {
        frame.function_name: frame.result for frame in frames if isinstance(frame, FunctionCallResultFrame)
    }


async def test_tools_called_together_run_together() -> None:
    """Each waits for the other to have begun: one after the other they would never end."""
    begun = {"left": asyncio.Event(), "right": asyncio.Event()}

    def meeting(own: str, other: str) -> Handler:
        async def run(params: FunctionCallParams) -> None:
            begun[own].set()
            await begun[other].wait()
            await params.result_callback({"met": other})

        return run

    handlers = {"left": meeting("left", "right"), "right": meeting("right", "left")}
    frames = await frames_of(handlers, ToolLimits())
    assert results_of(frames) == {"left": {"met": "right"}, "right": {"met": "left"}}


async def test_a_result_too_large_is_refused() -> None:
    """The model is told how much it may ask for, and the prompt stays small."""

    async def run(params: FunctionCallParams) -> None:
        await params.result_callback({"rows": ["x" * 100] * 100})

    result = results_of(await frames_of({"list": run}, ToolLimits(result_bytes=500)))["list"]
    assert "ask for less than 500" in result["error"]
    assert len(json.dumps(result)) < 500


async def test_a_slow_tool_is_covered_by_a_phrase_and_a_fast_one_is_not() -> None:
    """The phrase is spoken, and kept out of the context."""

    async def slow(params: FunctionCallParams) -> None:
        await asyncio.sleep(0.2)
        await params.result_callback({})

    async def fast(params: FunctionCallParams) -> None:
        await params.result_callback({})

    limits = ToolLimits(filler="One moment.", filler_seconds=0.05)
    spoken = [
        frame
        for frame in await frames_of({"slow": slow}, limits, last=0.5)
        if isinstance(frame, TTSSpeakFrame)
    ]
    assert [(frame.text, frame.append_to_context) for frame in spoken] == [("One moment.", False)]
    assert not any(isinstance(frame, TTSSpeakFrame) for frame in await frames_of({"fast": fast}, limits))


async def test_a_tool_that_never_ends_is_cancelled() -> None:
    """Its handler is stopped at the time limit."""
    ended = asyncio.Event()

    async def run(params: FunctionCallParams) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    await frames_of({"endless": run}, ToolLimits(seconds=0.1), last=0.5)
    assert ended.is_set()
