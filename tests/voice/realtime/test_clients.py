"""Whole calls by the four clients: asked and answered, interrupted, hung up on, cut off, refused, turned away."""

from contextlib import AsyncExitStack

import numpy as np
import pytest
from websockets.asyncio.client import connect

from tests.conftest import Stack
from tests.voice.conftest import Gateway, transcribe, wav_bytes
from tests.voice.realtime.clients import CLIENTS, RATE, Caller
from tests.voice.realtime.conftest import idle, next_end

each_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)


@each_client
async def test_asks_and_is_answered(stack: Stack, client: type[Caller], question: bytes) -> None:
    """A written question is answered; a spoken one is heard, and its answer is told and can be heard."""
    caller = client(stack.gateway_url)
    async with caller.calling():
        await caller.write("What is the capital of Italy?")
        await caller.until(lambda: caller.said, "an answer")
        assert "Rome" in caller.said[0]
        caller.say(question)
        await caller.until(lambda: len(caller.said) > 1, "a second answer")
        assert "france" in caller.heard[0].lower()
        assert "Paris" in caller.said[1]
    assert not caller.problems
    assert "Paris" in transcribe(stack, wav_bytes_of(caller))


def wav_bytes_of(caller: Caller) -> bytes:
    """Return what a caller heard as a WAV file."""
    return wav_bytes(np.frombuffer(bytes(caller.sound), "<i2"), RATE)


@each_client
async def test_is_interrupted(storyteller: Gateway, client: type[Caller], question: bytes) -> None:
    """Speech stops the story; what was asked instead is answered."""
    caller = client(storyteller.url)
    async with caller.calling():
        await caller.write("Tell me a story about a river.")
        await caller.until(lambda: len(caller.sound) > RATE * 2, "a second of the story")
        caller.say(question)
        await caller.until(lambda: caller.cuts and caller.said, "the story to stop")
        heard_so_far = len(caller.sound)
        await caller.until(lambda: caller.heard, "the question to be heard")
        assert "france" in caller.heard[0].lower()
        await caller.until(lambda: len(caller.sound) > heard_so_far + RATE, "another answer")
    assert not caller.problems


@each_client
async def test_hangs_up_mid_answer(storyteller: Gateway, client: type[Caller]) -> None:
    """The call ends, for the reason that the caller hung up."""
    before = await idle(storyteller)
    caller = client(storyteller.url)
    async with caller.calling():
        await caller.write("Tell me a story about a river.")
        await caller.until(lambda: caller.sound, "the story")
    assert await next_end(storyteller, before) == "caller hung up"


@each_client
async def test_dies_without_a_goodbye(storyteller: Gateway, client: type[Caller]) -> None:
    """The call ends when its connection does."""
    before = await idle(storyteller)
    caller = client(storyteller.url)
    async with caller.calling():
        await caller.write("Tell me a story about a river.")
        await caller.until(lambda: caller.sound, "the story")
        caller.die()
        assert await next_end(storyteller, before) == "connection to the caller was lost"


async def refusal(caller: Caller) -> str:
    """Return what a client says of a connection that is refused."""
    try:
        async with caller.calling():
            await caller.until(lambda: caller.problems, "a refusal")
    except Exception as error:
        return f"{error!r} {error.__cause__!r}"
    return str(caller.problems)


@each_client
async def test_without_credentials_and_at_capacity(
    guarded: tuple[Gateway, str], client: type[Caller]
) -> None:
    """Each client says 401 to a wrong key; with the right one it says 503 while the one line is busy."""
    gateway, key = guarded
    before = gateway.counted("voice_refusals_total", door="realtime", cause="bad_credentials")
    wrong = await refusal(client(gateway.url, "offhook_wrong"))
    assert "401" in wrong or "client connection error" in wrong, wrong
    assert gateway.counted("voice_refusals_total", door="realtime", cause="bad_credentials") == before + 1
    before = gateway.counted("voice_refusals_total", door="realtime", cause="at_capacity")
    headers = {"authorization": f"Bearer {key}"}
    async with AsyncExitStack() as holding:
        await holding.enter_async_context(
            connect(f"{gateway.ws_url}/v1/realtime", additional_headers=headers)
        )
        full = await refusal(client(gateway.url, key))
    assert "503" in full or "client connection error" in full, full
    assert gateway.counted("voice_refusals_total", door="realtime", cause="at_capacity") == before + 1
