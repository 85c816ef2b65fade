"""What the telephone's tests share."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Stack
from tests.voice.phone.fake_carrier import FakeCarrier, run_fake_carrier
from voice.caller.questions import question_from_text


@pytest.fixture(scope="session")
def fake_carrier() -> Iterator[FakeCarrier]:
    """A running stand-in of the carriers' REST APIs."""
    with run_fake_carrier() as fake:
        yield fake


@pytest.fixture(scope="session")
def telephone_voice(stack: Stack) -> Callable[[str], bytes]:
    """Return what lets the mouth say a text for a telephone: 8 kHz 16-bit PCM."""
    url = f"http://127.0.0.1:{stack.port('tts')}"

    def say(text: str) -> bytes:
        # In a thread of its own: the test's loop runs already.
        with ThreadPoolExecutor(1) as pool:
            asked = question_from_text(text, mouth_url=url, voice="joe")
            return pool.submit(asyncio.run, asked).result().pcm

    return say
