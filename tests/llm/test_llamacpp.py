"""The embedded engine answers rightly, keeps its doors closed, and caches prefixes."""

import httpx
import openai
import pytest

from llm.engine import LaunchSpec
from llm.llamacpp import parameters
from llm.profile import LlamaCppProfile

from .conftest import KEY

SYSTEM = (
    "You are a helpful phone assistant. Answer each question with one short sentence.\n"
    "User: what is the capital of spain\nAssistant: The capital of Spain is Madrid."
)
CONVERSATION = [
    {"role": "system", "content": SYSTEM},
    {"role": "assistant", "content": "Hello, how can I help you?"},
    {"role": "user", "content": "What is the capital of France?"},
]


async def ask(spec: LaunchSpec, messages: list[dict[str, str]]) -> openai.types.chat.ChatCompletion:
    """Ask the engine through the official client."""
    async with openai.AsyncOpenAI(base_url=f"{spec.base_url}/v1", api_key=KEY) as client:
        return await client.chat.completions.create(
            model=spec.model,
            messages=messages,  # type: ignore[arg-type]
            temperature=0,
            max_tokens=40,
        )


async def test_a_conversation_of_two_turns_is_answered_rightly(embedded: LaunchSpec) -> None:
    """Paris, then Rome, with the first turn in the context."""
    first = (await ask(embedded, CONVERSATION)).choices[0].message.content or ""
    more = [
        {"role": "assistant", "content": first},
        {"role": "user", "content": "And what is the capital of Italy?"},
    ]
    second = await ask(embedded, CONVERSATION + more)
    assert "Paris" in first
    assert "Rome" in (second.choices[0].message.content or "")


async def test_the_second_turn_extends_the_first_ones_prefix(embedded: LaunchSpec) -> None:
    """Of turn 2's prompt, all of turn 1 comes from the cache."""
    first = await ask(embedded, CONVERSATION)
    text = first.choices[0].message.content or ""
    more = [
        {"role": "assistant", "content": text},
        {"role": "user", "content": "And what is the capital of Italy?"},
    ]
    usage = (await ask(embedded, CONVERSATION + more)).usage
    assert usage
    assert usage.prompt_tokens_details
    assert first.usage
    assert (usage.prompt_tokens_details.cached_tokens or 0) >= first.usage.prompt_tokens


@pytest.mark.parametrize("path", ["/v1/models", "/metrics", "/slots", "/props"])
async def test_nothing_but_health_is_open_without_the_key(embedded: LaunchSpec, path: str) -> None:
    """A stranger on this machine learns nothing."""
    async with httpx.AsyncClient(base_url=embedded.base_url) as http:
        assert (await http.get("/health")).status_code == 200
        assert (await http.get(path)).status_code == 401


async def test_no_other_origin_may_read_answers(embedded: LaunchSpec) -> None:
    """A web page elsewhere gets no CORS permission."""
    async with httpx.AsyncClient(base_url=embedded.base_url) as http:
        answer = await http.get("/health", headers={"origin": "https://elsewhere.example"})
    assert answer.headers.get("access-control-allow-origin", "") == ""


async def test_metrics_are_prometheus_text(embedded: LaunchSpec) -> None:
    """The engine's own counters are there to scrape."""
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as http:
        text = (await http.get(embedded.metrics_url)).text
    assert "llamacpp:prompt_tokens_total" in text


def test_prompts_of_ended_calls_take_bounded_memory() -> None:
    """llama.cpp would keep 8 GiB of them; a profile says how much it may be."""
    profile = LlamaCppProfile(engine="llamacpp", model="smollm2-135m-instruct", prompt_cache_mebibytes=16)
    assert parameters(profile, host="127.0.0.1", port=1, api_key="").cache_ram_mib == 16
    assert LlamaCppProfile(engine="llamacpp", model="any").prompt_cache_mebibytes <= 256
