"""Prefill and decode in two vLLMs: what one has read the other does not read again."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm.client import LLMClient
from llm.failover import Limits, Say
from llm.profile import parse_profile
from llm.questions import shipped
from llm.settings import LLMSettings
from llm.sources import Source, sources_of
from serving.ports import free_port

from .conftest import KEY, launch_specs, running

pytestmark = pytest.mark.vllm


def test_the_decode_engine_takes_over_what_the_prefill_engine_has_read(
    vllm_table: dict[str, Any], vllm_python: str, tmp_path: Path
) -> None:
    """The answer is right, and most of its prompt came from the other engine.

    On processors the two meet in shared storage (vLLM's ExampleConnector); NIXL needs GPUs.
    """
    table = {
        **vllm_table,
        "disaggregation": {
            "connector": "ExampleConnector",
            "connector_settings": {"shared_storage_path": str(tmp_path / "kv")},
            "prefill_environment": {},
            "decode_environment": {},
        },
    }
    profile = parse_profile(table, shown="pair")
    settings = LLMSettings(port=free_port(), api_key=KEY, engine_python=vllm_python)
    call = shipped()[0]
    messages = [*call.opening(), {"role": "user", "content": call.turns[0]}]
    request = {"messages": messages, "temperature": 0, "max_tokens": 20}
    prefill, decode = launch_specs(profile, settings)
    with running(prefill, decode, log=tmp_path / "engines.log"):
        read_before = computed(prefill.metrics_url)
        text = asyncio.run(answered(sources_of(settings, profile), request))
        assert computed(prefill.metrics_url) > read_before
        assert any((tmp_path / "kv").rglob("*.safetensors"))
        assert "Paris" in text
        assert fetched(decode.metrics_url) > 0


async def answered(sources: Sequence[Source], request: dict[str, Any]) -> str:
    """Return the text of an answer."""
    async with LLMClient(sources, Limits(first_token=60, stall=60)) as client:
        return "".join([event.text async for event in client.answer(request) if isinstance(event, Say)])


def computed(metrics_url: str) -> float:
    """Return how many prompt tokens an engine has read."""
    return _counter(metrics_url, "vllm:prompt_tokens_total")


def fetched(metrics_url: str) -> float:
    """Return how many prompt tokens an engine has fetched from outside."""
    return _counter(metrics_url, "vllm:external_prefix_cache_hits_total")


def _counter(metrics_url: str, name: str) -> float:
    text = httpx.get(metrics_url).text
    return sum(float(value) for value in re.findall(rf"^{name}{{.*}} (\S+)$", text, re.MULTILINE))
