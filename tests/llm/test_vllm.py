"""A real vLLM behind our client: prefix caching, withdrawal, adapters, and a sentence that outlives it."""

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llm.adapters import load_adapter, unload_adapter
from llm.client import Answer, LLMClient
from llm.engine import LaunchSpec
from llm.errors import EngineError
from llm.failover import Limits, Say
from llm.profile import Adapter
from llm.questions import shipped
from llm.sources import Source
from telemetry.dashboards import dashboards
from telemetry.slo import load_objectives

from .conftest import EXACT, KEY, Collector, replica_of, running, specs_of

pytestmark = pytest.mark.vllm

#: A withdrawn turn may cost at most as many tokens of the 800 it asked for.
WITHDRAWN_TOKENS = 20
LIMITS = Limits(first_token=60, stall=60, total=180)


async def text_of(client: LLMClient, messages: list[dict[str, str]], **more: object) -> tuple[str, Answer]:
    """Return a whole greedy answer and what was measured of it."""
    report = Answer()
    request = {"messages": messages, "temperature": 0, "max_tokens": 40}
    events = client.answer(request, report=report, **more)  # type: ignore[arg-type]
    return "".join([event.text async for event in events if isinstance(event, Say)]), report


async def test_the_second_turn_finds_the_first_ones_prefix(vllm_serving: LaunchSpec) -> None:
    """Cached tokens come back with the usage figures, and cover the first turn's blocks."""
    call = shipped()[0]
    async with LLMClient([Source(replica_of(vllm_serving))], LIMITS) as client:
        messages = [*call.opening(), {"role": "user", "content": call.turns[0]}]
        text, first = await text_of(client, messages)
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": call.turns[1]}]
        _, second = await text_of(client, messages)
    assert second.cached_tokens >= first.prompt_tokens // 32 * 32 > 0


async def test_a_withdrawn_turn_leaves_the_engine_at_once(vllm_serving: LaunchSpec) -> None:
    """The engine's own count of running requests falls to zero, after a few tokens of the 800 asked for."""
    request = {"messages": [{"role": "user", "content": "Count to a thousand."}], "temperature": 0,
               "max_tokens": 800, "extra_body": {"ignore_eos": True}}  # fmt: skip
    async with (
        LLMClient([Source(replica_of(vllm_serving))], LIMITS) as client,
        httpx.AsyncClient(base_url=vllm_serving.base_url) as http,
    ):

        async def counted(name: str) -> float:
            text = (await http.get("/metrics")).text
            return float(re.findall(rf"^vllm:{name}{{.*}} (\S+)$", text, re.MULTILINE)[0])

        async with aclosing(client.answer(request)) as events:
            async for _ in events:
                if await counted("num_requests_running") == 1:
                    break
        withdrawn = await counted("generation_tokens_total")
        while await counted("num_requests_running") > 0:
            await asyncio.sleep(0.01)
        assert await counted("generation_tokens_total") - withdrawn <= WITHDRAWN_TOKENS


async def test_the_engines_own_span_hangs_under_the_turn(
    vllm_serving: LaunchSpec, collector: Collector
) -> None:
    """The span that travels in traceparent is the parent of vLLM's ``llm_request``."""
    trace, turn = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    async with LLMClient([Source(replica_of(vllm_serving))], LIMITS) as client:
        headers = {"traceparent": f"00-{trace}-{turn}-01"}
        await text_of(client, [{"role": "user", "content": "Hello?"}], headers=headers)
    async with asyncio.timeout(30):
        while not (bodies := [body for body in collector.bodies if bytes.fromhex(trace) in body]):
            await asyncio.sleep(0.05)
    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.trace_id.hex() == trace
    ]
    assert [(span.name, span.parent_span_id.hex()) for span in spans] == [("llm_request", turn)]


async def test_the_dashboards_ask_for_what_the_engine_says(vllm_serving: LaunchSpec) -> None:
    """Every metric of vLLM's that a panel names is in its own."""
    async with httpx.AsyncClient(base_url=vllm_serving.base_url) as http:
        said = (await http.get("/metrics")).text
    asked = {
        name
        for _, panels in dashboards(load_objectives()).values()
        for panel in panels
        for expression, _ in panel.queries
        for name in re.findall(r"vllm:(\w+)", expression)
    }
    assert "kv_cache_usage_perc" in asked
    assert [name for name in asked if f"vllm:{name}" not in said] == []


async def test_an_adapter_is_loaded_used_and_unloaded(vllm_serving: LaunchSpec, hf_weights: Path) -> None:
    """An agent's adapter changes the words; the base model's stay; afterwards it is gone."""
    adapter = Adapter(name="shop", path=str(hf_weights / "lora"))
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    async with LLMClient([Source(replica_of(vllm_serving))], LIMITS) as client:
        before, _ = await text_of(client, messages)
        await load_adapter(vllm_serving.base_url, adapter, api_key=KEY)
        adapted, _ = await text_of(client, messages, adapter="shop")
        after, _ = await text_of(client, messages)
        await unload_adapter(vllm_serving.base_url, "shop", api_key=KEY)
        with pytest.raises(EngineError, match="404"):
            await text_of(client, messages, adapter="shop")
        client.adapters.add(adapter)
        both = await asyncio.gather(*(text_of(client, messages, adapter="shop") for _ in range(2)))
        await unload_adapter(vllm_serving.base_url, "shop", api_key=KEY)
    assert before == after != adapted
    assert [text for text, _ in both] == [adapted, adapted], (
        "an engine that lacks an agent's adapter is given it"
    )


async def test_a_missing_adapter_is_refused_by_the_engine(vllm_serving: LaunchSpec) -> None:
    """The error is the engine's, in one line."""
    with pytest.raises(EngineError, match="load_lora_adapter"):
        await load_adapter(vllm_serving.base_url, Adapter(name="none", path="/nowhere"), api_key=KEY)


@pytest.fixture
def small_engine(embedded_model: None) -> Iterator[tuple[LaunchSpec, int]]:
    """A llama.cpp with the same weights, which the test may kill."""
    (spec,) = specs_of(EXACT)
    with running(spec) as (process,):
        yield spec, process.pid


async def test_vllm_and_llama_cpp_finish_each_others_sentences(
    vllm_engine: tuple[LaunchSpec, int], small_engine: tuple[LaunchSpec, int]
) -> None:
    """Frozen in the middle, vLLM's sentence is ended by llama.cpp; killed in the middle, the other way round.

    Both compute with the same weights in float32, so the words are those of an undisturbed answer.
    """
    (spec, group), (small, small_group) = vllm_engine, small_engine
    request = {
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        "temperature": 0,
        "max_tokens": 40,
    }
    limits = Limits(first_token=10, stall=2.0)
    async with LLMClient([Source(replica_of(spec))], LIMITS) as client:
        expected, _ = await text_of(client, request["messages"])  # type: ignore[arg-type]
    async with LLMClient([Source(replica_of(spec)), Source(replica_of(small, tier=1))], limits) as client:
        heard = await struck(client, request, group, signal.SIGSTOP)
    os.killpg(group, signal.SIGCONT)
    assert heard == expected
    async with LLMClient([Source(replica_of(spec, tier=1)), Source(replica_of(small))], limits) as client:
        heard = await struck(client, request, small_group, signal.SIGKILL)
    assert heard == expected


async def struck(client: LLMClient, request: dict[str, Any], group: int, with_signal: signal.Signals) -> str:
    """Return an answer whose engine was struck after its fifth token."""
    report = Answer()
    tokens: list[str] = []
    async with aclosing(client.answer(request, report=report)) as events:
        async for event in events:
            if isinstance(event, Say):
                tokens.append(event.text)
                if len(tokens) == 5:
                    os.killpg(group, with_signal)
    assert (report.complete, report.moves) == (True, 1)
    return "".join(tokens)
