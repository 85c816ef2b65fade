"""What a cached prefix saves: time to first token of a prompt never seen before, and of the same prompt again."""

import secrets
from contextlib import aclosing
from dataclasses import dataclass

from llm.client import Answer, LLMClient
from llm.engine import LaunchSpec
from llm.readiness import filler_words
from llm.replica import Replica
from llm.sources import Source
from llm.tune import PATIENT
from telemetry.statistics import percentile


@dataclass(frozen=True)
class Prefix:
    """Seconds to the first token of as many prompts each way; tokens of one prompt, and those found cached."""

    prompts: int
    prompt_tokens: int
    cached_tokens: int
    cold_p50: float
    cold_p95: float
    cached_p50: float
    cached_p95: float


async def measure(spec: LaunchSpec, *, api_key: str, prompts: int, words: int) -> Prefix:
    """Ask ``prompts`` questions behind prompts of about ``words`` tokens that share no beginning, each twice."""
    cold: list[float] = []
    again: list[float] = []
    async with LLMClient([Source(Replica(spec.base_url, spec.model, api_key))], PATIENT) as client:
        for _ in range(prompts + 1):
            system = " ".join([secrets.token_hex(4), *filler_words(words)])
            for times in (cold, again):
                last = await _ask(client, system)
                assert last.first_token is not None
                times.append(last.first_token - last.sent)
    # The first pair opens the connection.
    return Prefix(
        prompts, last.prompt_tokens, last.cached_tokens,
        percentile(cold[1:], 0.5), percentile(cold[1:], 0.95),
        percentile(again[1:], 0.5), percentile(again[1:], 0.95),
    )  # fmt: skip


async def _ask(client: LLMClient, system: str) -> Answer:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "Hello?"}]
    report = Answer()
    request = {"messages": messages, "temperature": 0, "max_tokens": 4}
    async with aclosing(client.answer(request, report=report)) as events:
        async for _ in events:
            pass
    return report
