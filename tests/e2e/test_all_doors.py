"""Every door at once, one call each: each is answered rightly, and each has a trace of its own.

A door is one line of :data:`DOORS`: its name in traces, and a caller that asks for the capital of France through it
and returns the answer as its side has it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.async_api import expect

from telemetry.names import CALL_DOOR, SPAN_CALL
from telemetry.store import SpanStore
from tests.conftest import Stack
from tests.voice.conftest import silence, spoken, transcribe, write_wav
from tests.voice.phone.line import carrier_line
from tests.voice.phone.streams import STREAMS
from tests.voice.realtime.clients import OpenAICaller
from tests.voice.sip.clients import run_baresip, speech, wait_paris
from tests.voice.web.conftest import open_page

QUESTION = "What is the capital of France?"
#: How long a caller of a machine that serves all doors at once waits for something to happen, milliseconds.
PATIENCE_MS = 60_000


@dataclass(frozen=True)
class Caller:
    """What every caller has.

    Attributes:
        stack: whom to call.
        question: mono 16-bit samples at 48 kHz.
        folder: for files of its own.

    """

    stack: Stack
    question: np.ndarray
    folder: Path


async def through_the_browser(caller: Caller) -> str:
    """Ask on the page; return what it shows."""
    microphone = write_wav(caller.folder / "microphone.wav", silence(6), caller.question, silence(60))
    async with open_page(caller.stack.gateway_url, microphone) as page:
        await page.get_by_role("button", name="Call").click()
        await expect(page.locator(".line.you")).to_contain_text("France", timeout=PATIENCE_MS)
        answer = page.locator(".line.agent").last
        await expect(answer).to_contain_text("Paris", timeout=PATIENCE_MS)
        await page.get_by_role("button", name="Hang up").click()
        return await answer.inner_text()


async def over_the_telephone(caller: Caller) -> str:
    """Ask over Twilio's media stream; return what can be heard."""
    pcm = caller.question[::6].astype("<i2").tobytes()
    async with carrier_line(caller.stack.media_url, STREAMS[0], "all-doors") as line:
        await line.until_heard(0.5)
        await line.until_quiet()
        asked = len(line.heard)
        line.say(pcm)
        await line.until_heard(0.5, since=asked)
        await line.until_quiet()
        await line.hang_up()
    return await asyncio.to_thread(transcribe, caller.stack, line.recording(asked))


async def over_sip(caller: Caller) -> str:
    """Ask with a telephone that speaks SIP; return what it has recorded."""
    words = speech(caller.folder / "words.wav", silence(6), caller.question, silence(120))
    return await asyncio.to_thread(_ask_over_sip, caller, words)


def _ask_over_sip(caller: Caller, words: Path) -> str:
    stack = caller.stack
    with run_baresip(caller.folder / "phone", speech=words) as phone:
        phone.command("dial", f"sip:offhook@127.0.0.1:{stack.port('sip')}")
        phone.wait_printed("Call established")
        wait_paris(stack.gateway_url, phone.call_id)
        phone.command("hangup")
        phone.wait_printed("audio: destroyed")
        return transcribe(stack, phone.heard())


async def through_realtime(caller: Caller) -> str:
    """Ask with OpenAI's own SDK; return the transcript it is sent."""
    client = OpenAICaller(caller.stack.gateway_url)
    async with client.calling():
        client.say(caller.question[::2].astype("<i2").tobytes())
        await client.until(lambda: any("Paris" in said for said in client.said), "an answer")
    return " ".join(client.said)


DOORS: dict[str, Callable[[Caller], Awaitable[str]]] = {
    "web": through_the_browser,
    "twilio": over_the_telephone,
    "sip": over_sip,
    "realtime": through_realtime,
}


async def test_all_doors_at_once(stack: Stack, tmp_path: Path) -> None:
    """Each caller hears of Paris; `offhook trace` shows one call a door, and no span of another's in it."""
    caller = Caller(stack, await asyncio.to_thread(spoken, stack, QUESTION), tmp_path)
    store = SpanStore(stack.folder / "calls.sqlite")
    began = time.time()
    answers = await asyncio.gather(*(ask(caller) for ask in DOORS.values()))
    for door, answer in zip(DOORS, answers, strict=True):
        assert "Paris" in answer, f"{door}: {answer}"
    async with asyncio.timeout(30):
        while len(calls := store.since(SPAN_CALL, began)) < len(DOORS):
            await asyncio.sleep(0.1)
    assert sorted(str(call.attributes[CALL_DOOR]) for call in calls) == sorted(DOORS)
    assert len({call.trace_id for call in calls}) == len(DOORS)
    for call in calls:
        shown = await asyncio.to_thread(stack.offhook, "trace", call.trace_id)
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.count("call (gateway)") == 1
        assert "asr.server (asr)" in shown.stdout
        assert "tts.server (tts)" in shown.stdout
