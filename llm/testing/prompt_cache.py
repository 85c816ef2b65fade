"""Asks the embedded engine forty long questions that begin differently, and prints what it holds in memory.

``python -m llm.testing.prompt_cache``: with a small bound to ``prompt_cache_mebibytes`` and with llama.cpp's own.
"""

import asyncio
import secrets
import tempfile
from contextlib import aclosing
from pathlib import Path

import psutil

from llm.cli import own_place
from llm.client import LLMClient
from llm.engine import launch_specs
from llm.process import running
from llm.profile import LlamaCppProfile, load_profile
from llm.readiness import filler_words
from llm.replica import Replica
from llm.sources import Source
from llm.tune import PATIENT

BOUNDS_MEBIBYTES = (32, 8192)
QUESTIONS = 40
WORDS = 250
#: Questions between two looks at the memory.
LOOK_EVERY = 10


async def main() -> None:
    """Ask, and print."""
    embedded = load_profile("embedded")
    assert isinstance(embedded, LlamaCppProfile)
    for bound in BOUNDS_MEBIBYTES:
        key = secrets.token_urlsafe()
        profile = embedded.model_copy(update={"prompt_cache_mebibytes": bound})
        (spec,) = launch_specs(profile, own_place(key))
        with tempfile.TemporaryDirectory() as folder:
            async with (
                running(spec, log=Path(folder) / "engine.log", api_key=key) as engine,
                LLMClient([Source(Replica(spec.base_url, spec.model, key))], PATIENT) as client,
            ):
                print(f"{bound} MiB: {await _resident(client, engine.pid)} MB resident", flush=True)


async def _resident(client: LLMClient, pid: int) -> list[int]:
    held = []
    for number in range(QUESTIONS):
        text = " ".join([str(number), *filler_words(WORDS)])
        request = {"messages": [{"role": "user", "content": text}], "max_tokens": 2}
        async with aclosing(client.answer(request)) as events:
            async for _ in events:
                pass
        if (number + 1) % LOOK_EVERY == 0:
            held.append(psutil.Process(pid).memory_info().rss // 1_000_000)
    return held


if __name__ == "__main__":
    asyncio.run(main())
