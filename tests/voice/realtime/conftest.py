"""Gateways and recordings for the Realtime door's tests."""

import asyncio
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.voice.conftest import Gateway, StartGateway
from voice.access.keys import KeyRing, new_key, save_keys

from .clients import PATIENCE_SECONDS

ENDED = re.compile(r"call (sess_\w+) ended: ([^;]*);")


@pytest.fixture(scope="session")
def question(speak: Callable[[str], np.ndarray]) -> bytes:
    """Return "What is the capital of France?" at 24 kHz, 16 bits."""
    return speak("What is the capital of France?")[::2].astype("<i2").tobytes()


@pytest.fixture(scope="session")
def storyteller(start_gateway: StartGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose agent answers at length."""
    path = tmp_path_factory.mktemp("agent") / "storyteller.toml"
    path.write_text(
        'name = "storyteller"\nsystem_prompt = "You tell long stories."\n'
        "[sampling]\ntemperature = 0.0\nmax_tokens = 200\n"
    )
    with start_gateway(OFFHOOK_GATEWAY__AGENT=str(path)) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def guarded(
    start_gateway: StartGateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Gateway, str]]:
    """A gateway with one line, and a key for it."""
    secret, key = new_key("site", ("realtime", "sessions"), requests_per_minute=1000, max_calls=8)
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    save_keys(path, KeyRing([key]))
    with start_gateway(
        OFFHOOK_ACCESS__KEYS_FILE=str(path),
        OFFHOOK_ACCESS__REQUESTS_PER_MINUTE="1000",
        OFFHOOK_GATEWAY__MAX_CALLS="1",
    ) as gateway:
        yield gateway, secret


async def idle(gateway: Gateway) -> int:
    """Return how many sessions have ended, once none is in progress."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while gateway.counted("voice_calls_active", door="realtime"):
            await asyncio.sleep(0.05)
    return len(ENDED.findall(gateway.log()))


async def next_end(gateway: Gateway, ended_before: int) -> str:
    """Return why the session after the first ``ended_before`` ones ended."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(reasons := ENDED.findall(gateway.log())) <= ended_before:
            await asyncio.sleep(0.05)
    return str(reasons[-1][1])
