"""``python -m tests.telemetry.eventful``: a real call with everything in it, and its waterfall.

The caller hesitates in the middle of the question, so that an answer begun early is withdrawn; the agent calls a
tool; the engine that writes the answer is frozen, and another takes over; the caller cuts the answer off.
"""

import asyncio
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from telemetry.store import SpanStore
from tests.conftest import Stack, free_ports, start_stack
from tests.telemetry.watching import until
from voice.caller.call import fetch_record
from voice.caller.line import place_call
from voice.caller.questions import question_from_text
from voice.caller.script import Question
from voice.phone.media import SAMPLE_RATE

AGENT = """
name = "bakery"
greeting = "This is the bakery."
system_prompt = "You answer the telephone of a bakery. Answer in a long sentence."
tool_choice = "required"
[sampling]
temperature = 0.0
max_tokens = 60
[[tools]]
name = "opening_hours"
description = "Look up when the bakery is open on a day of the week."
python = "deploy.agents.bakery:opening_hours"
read_only = true
[tools.parameters]
type = "object"
required = ["day"]
[tools.parameters.properties.day]
type = "string"
enum = ["monday", "sunday"]
"""
#: Long enough for the ear to think that the turn is over, short enough to be taken back, seconds.
HESITATION_SECONDS = 0.32
#: Of the answer, before the caller cuts it off, seconds.
HEARD_SECONDS = 1.0
CALL_SID = "eventful"


def main() -> None:
    """Start two engines and a stack, hold the call, print its trace."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agent.toml").write_text(AGENT)
        ports = free_ports(2)
        engines = [start_engine(port) for port in ports]
        try:
            replicas = ", ".join(f'{{"url": "http://127.0.0.1:{port}"}}' for port in ports)
            settings = {"OFFHOOK_GATEWAY__AGENT": "./agent.toml", "OFFHOOK_LLM__REPLICAS": f"[{replicas}]"}
            with start_stack(folder, **settings) as stack:
                trace = asyncio.run(hold(stack, dict(zip(ports, engines, strict=True))))
                store = SpanStore(folder / "calls.sqlite")
                until(lambda: any(span.name == "call" for span in store.trace(trace)), "the trace")
                print(stack.offhook("trace", trace).stdout)
        finally:
            for engine in engines:
                engine.kill()


def start_engine(port: int) -> subprocess.Popen[bytes]:
    """Start an engine in a process group of its own."""
    models = os.environ.get("OFFHOOK_MODELS_DIR", str(Path(__file__).parents[2] / ".models"))
    environment = {**os.environ, "OFFHOOK_LLM__PORT": str(port), "OFFHOOK_MODELS_DIR": models}
    return subprocess.Popen([sys.executable, "-m", "llm"], env=environment, stderr=subprocess.DEVNULL)


async def hold(stack: Stack, engines: dict[int, subprocess.Popen[bytes]]) -> str:
    """Hold the call; return its trace's id."""
    first, rest, second = [await spoken(stack, text) for text in (
        "I would like to know,", "when are you open on Monday?", "What about Sunday?",
    )]  # fmt: skip
    end = round(first.speech_seconds * SAMPLE_RATE) * 2
    begin = round(rest.speech_start * SAMPLE_RATE) * 2
    quiet = bytes(round(HESITATION_SECONDS * SAMPLE_RATE) * 2)
    hesitant = dataclasses.replace(first, pcm=first.pcm[:end] + quiet + rest.pcm[begin:])
    interrupting = dataclasses.replace(second, interrupts_after=HEARD_SECONDS)
    freezing = asyncio.create_task(freeze(stack, engines))
    await place_call(stack.media_url, [hesitant, interrupting], call_sid=CALL_SID, parameters={})
    freezing.cancel()
    record = await fetch_record(stack.gateway_url, CALL_SID)
    return str(record["trace_id"])


async def spoken(stack: Stack, text: str) -> Question:
    """Return a question in the mouth's voice."""
    return await question_from_text(text, mouth_url=f"http://127.0.0.1:{stack.port('tts')}", voice="joe")


async def freeze(stack: Stack, engines: dict[int, subprocess.Popen[bytes]]) -> None:
    """Freeze the engine that writes once a tool has been called in a turn that stands."""
    async with httpx.AsyncClient(timeout=0.5) as http:
        while True:
            await asyncio.sleep(0.01)
            counted = (await http.get(f"{stack.gateway_url}/metrics")).text
            if not re.search(r'^voice_tool_calls_total{.*failed="no".*} [1-9]', counted, re.MULTILINE):
                continue
            for port, engine in engines.items():
                text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
                if re.search(r"^llamacpp:requests_processing [1-9]", text, re.MULTILINE):
                    engine.send_signal(signal.SIGSTOP)
                    return


if __name__ == "__main__":
    main()
