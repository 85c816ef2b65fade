"""How soon a withdrawn answer leaves its engine: by the engine's own count of the requests it runs."""

import asyncio
import re
import time
from contextlib import aclosing
from dataclasses import dataclass

import httpx

from llm.client import LLMClient
from llm.engine import LaunchSpec
from llm.errors import EngineError
from llm.replica import Replica
from llm.sources import Source
from llm.tune import PATIENT
from telemetry.statistics import percentile

#: A gauge of running requests, as vLLM and SGLang name it.
RUNNING = re.compile(r"^(?:vllm|sglang):num_(?:requests_running|running_reqs)(?:{.*})? (\S+)$", re.MULTILINE)
#: Far more tokens than are generated before the answer is withdrawn.
ASKED_TOKENS = 800
#: An engine that has not let go by then never will, seconds.
PATIENCE_SECONDS = 10.0
#: How often the engine is asked, seconds.
POLL_SECONDS = 0.005


@dataclass(frozen=True)
class Withdrawal:
    """Seconds from the withdrawal of an answer to the first report of an engine that runs nothing."""

    answers: int
    gone_p50: float
    gone_p95: float
    gone_max: float


async def measure(spec: LaunchSpec, *, api_key: str, answers: int) -> Withdrawal:
    """Withdraw ``answers`` answers, each after its first words, and ask the engine until it runs none.

    Raises:
        EngineError: the engine does not tell what it runs, or goes on with an answer that nobody wants.

    """
    request = {
        "messages": [{"role": "user", "content": "Count to a thousand."}],
        "temperature": 0,
        "max_tokens": ASKED_TOKENS,
        "extra_body": {"ignore_eos": True},
    }
    headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
    gone: list[float] = []
    async with (
        LLMClient([Source(Replica(spec.base_url, spec.model, api_key))], PATIENT) as client,
        httpx.AsyncClient(base_url=spec.base_url, headers=headers, timeout=PATIENCE_SECONDS) as http,
    ):
        for _ in range(answers):
            async with aclosing(client.answer(request)) as events:
                async for _ in events:
                    if await _running(http):
                        break
                withdrawn = time.monotonic()
            await _until_idle(http)
            gone.append(time.monotonic() - withdrawn)
    return Withdrawal(answers, percentile(gone, 0.5), percentile(gone, 0.95), max(gone))


async def _until_idle(http: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while await _running(http):
        if time.monotonic() > deadline:
            raise EngineError(f"the engine still runs a withdrawn answer after {PATIENCE_SECONDS:g} s")
        await asyncio.sleep(POLL_SECONDS)


async def _running(http: httpx.AsyncClient) -> float:
    found = RUNNING.findall((await http.get("/metrics")).text)
    if not found:
        raise EngineError("the engine does not tell what it runs (no such gauge in its /metrics); ask vLLM")
    return sum(map(float, found))
