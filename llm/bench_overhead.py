"""What our client costs: time to first token through it, and through bare streaming HTTP, to the same engine."""

import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from llm.client import LLMClient
from llm.engine import LaunchSpec
from llm.failover import Limits, Say
from llm.questions import shipped
from llm.replica import Replica
from llm.sources import Source
from telemetry.statistics import percentile


@dataclass(frozen=True)
class Overhead:
    """Seconds to the first token, of as many answers each way, asked in turn."""

    answers: int
    bare_p50: float
    bare_p95: float
    client_p50: float
    client_p95: float


async def measure(spec: LaunchSpec, *, api_key: str, answers: int) -> Overhead:
    """Ask the same question ``answers`` times each way, alternating, and compare."""
    call = shipped()[0]
    messages = [*call.opening(), {"role": "user", "content": call.turns[0]}]
    request = {"messages": messages, "temperature": 0, "max_tokens": 4}
    bare: list[float] = []
    ours: list[float] = []
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    async with (
        LLMClient([Source(Replica(spec.base_url, spec.model, api_key))], Limits()) as client,
        httpx.AsyncClient(base_url=spec.base_url, headers=headers, timeout=60) as http,
    ):
        for number in range(answers + 1):
            times = (await _bare(http, {**request, "model": spec.model}), await _through(client, request))
            if number:  # The first pair opens the connections and fills the prefix cache.
                bare.append(times[0])
                ours.append(times[1])
    return Overhead(
        answers, percentile(bare, 0.5), percentile(bare, 0.95), percentile(ours, 0.5), percentile(ours, 0.95)
    )


async def _bare(http: httpx.AsyncClient, request: dict[str, Any]) -> float:
    began, first = time.monotonic(), None
    async with http.stream("POST", "/v1/chat/completions", json={**request, "stream": True}) as response:
        async for line in response.aiter_lines():
            if first is None and line.startswith("data: {"):
                choices = json.loads(line.removeprefix("data: "))["choices"]
                if choices and choices[0]["delta"].get("content"):
                    first = time.monotonic()
    return (first or time.monotonic()) - began


async def _through(client: LLMClient, request: dict[str, Any]) -> float:
    began, first = time.monotonic(), None
    async with aclosing(client.answer(request)) as events:
        async for event in events:
            if first is None and isinstance(event, Say):
                first = time.monotonic()
    return (first or time.monotonic()) - began
