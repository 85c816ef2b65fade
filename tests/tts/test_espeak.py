# ruff: noqa: RUF001 - other scripts and phonemes
"""The phonemiser process: it is separate, bounded, and comes back when it has died."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from tts.errors import PhonemizerError
from tts.espeak import Phonemizer


@pytest.fixture
async def phonemizer() -> AsyncIterator[Phonemizer]:
    """Give a phonemiser and end its process."""
    phonemizer = Phonemizer()
    yield phonemizer
    await phonemizer.close()


async def test_text_becomes_phonemes(phonemizer: Phonemizer) -> None:
    """Each text gives its clauses, with punctuation."""
    first, second = await phonemizer.phonemize("en-us", "Hello, world.", "Yes")
    assert [(clause.phonemes, clause.punctuation) for clause in first] == [("həlˈoʊ", ","), ("wˈɜːld", ".")]
    assert second[0].phonemes == "jˈɛs"


async def test_a_killed_process_is_replaced(phonemizer: Phonemizer) -> None:
    """The request that meets a dead process is answered by a new one."""
    await phonemizer.phonemize("en-us", "one")
    killed = phonemizer.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert (await phonemizer.phonemize("en-us", "two"))[0][0].phonemes == "tˈuː"
    assert phonemizer.pid != killed


async def test_a_stuck_process_fails_its_request_only() -> None:
    """A process that does not answer in time is killed; the next request gets a new one."""
    phonemizer = Phonemizer(deadline_seconds=0.3)
    await phonemizer.phonemize("en-us", "one")
    assert phonemizer.pid is not None
    os.kill(phonemizer.pid, signal.SIGSTOP)
    with pytest.raises(PhonemizerError, match=r"within 0\.3 s"):
        await phonemizer.phonemize("en-us", "two")
    assert (await phonemizer.phonemize("en-us", "two"))[0][0].phonemes == "tˈuː"
    await phonemizer.close()


async def test_a_cancelled_request_does_not_confuse_the_next(phonemizer: Phonemizer) -> None:
    """Answers never go to the wrong question."""
    await phonemizer.phonemize("en-us", "warm")
    for _ in range(3):
        task = asyncio.create_task(phonemizer.phonemize("en-us", "lost " * 200))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert (await phonemizer.phonemize("en-us", "two"))[0][0].phonemes == "tˈuː"


async def test_a_cancelled_request_costs_the_others_nothing(phonemizer: Phonemizer) -> None:
    """The process stays: nobody waits for another one to start."""
    await phonemizer.phonemize("en-us", "warm")
    first = phonemizer.pid
    for _ in range(20):
        task = asyncio.create_task(phonemizer.phonemize("en-us", "lost " * 200))
        await asyncio.sleep(0.0005)
        task.cancel()
        await asyncio.wait([task])
    await phonemizer.phonemize("en-us", "two")
    assert phonemizer.pid == first


FORK_HANDLERS = """
import asyncio, os, time, uvloop
from tts.espeak import Phonemizer

os.register_at_fork(after_in_child=lambda: time.sleep(60))

async def main():
    phonemizer = Phonemizer()
    print((await phonemizer.phonemize("en-us", "two"))[0][0].phonemes)
    await phonemizer.close()

uvloop.run(main())
"""


def test_no_fork_handler_runs_in_its_start() -> None:
    """A library's fork handler that hangs in the child, as locks do there, does not hang the server."""
    done = subprocess.run(
        [sys.executable, "-c", FORK_HANDLERS], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "tˈuː"


async def test_bounds(phonemizer: Phonemizer) -> None:
    """Too much text and an unknown voice are errors that say so."""
    with pytest.raises(PhonemizerError, match="4000 characters"):
        await phonemizer.phonemize("en-us", "x" * 4001)
    with pytest.raises(PhonemizerError, match="nowhere"):
        await phonemizer.phonemize("nowhere", "hello")


def test_espeak_is_never_loaded_by_the_server() -> None:
    """Importing all of the server brings neither piper nor espeak into its process."""
    check = "import sys, tts.server; print(sorted(m for m in sys.modules if 'piper' in m or 'espeak' in m))"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['tts.espeak', 'tts.piper']"
