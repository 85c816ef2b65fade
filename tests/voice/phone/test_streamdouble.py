"""streamdouble, an outside simulator of Twilio's media streams, calls the door over good and bad lines."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from streamdouble.api import run_scenario
from streamdouble.chaos import Impairments
from streamdouble.session import SessionConfig

from tests.conftest import Stack
from tests.voice.conftest import StartGateway, transcribe, wav_bytes

LINES = {
    "good": Impairments(),
    "jitter": Impairments(jitter_ms=60.0, latency_ms=80.0),
    "loss": Impairments(loss=0.03),
}
ASK = """
name: ask, press a key, hang up
steps:
  - wait_for: audio
  - wait_for: quiet
  - dtmf: "5#"
  - wait: 4
  - wait_for: quiet
  - say: question.wav
  - wait: 1
  - wait_for: quiet
  - expect: audio
  - hangup
"""
INTERRUPT = """
name: interrupt the greeting
steps:
  - wait_for: audio
  - wait: 1.5
  - say: question.wav
  - wait_for: clear
  - expect: clear
  - hangup
"""


@pytest.fixture
def question(speak: Callable[[str], np.ndarray], tmp_path: Path) -> Path:
    """A question as a telephone recording."""
    path = tmp_path / "question.wav"
    path.write_bytes(wav_bytes(speak("What is the capital of France?")[::6], 8000))
    return path


def mulaw_to_wav(mulaw: bytes) -> bytes:
    """Return 8 kHz mu-law as a WAV file."""
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate = 8000
    decoder.layout = "mono"
    frames = [frame.to_ndarray()[0] for frame in decoder.decode(av.Packet(mulaw))]
    return wav_bytes(np.concatenate(frames), 8000)


@pytest.mark.parametrize("line", LINES)
async def test_ask(stack: Stack, question: Path, line: str) -> None:
    """A question is answered over a good line, a jittering and a losing one; no rule of the protocol is broken."""
    scenario = question.parent / "ask.yaml"
    scenario.write_text(ASK)
    report = await run_scenario(stack.media_url, scenario, config=SessionConfig(impairments=LINES[line]))
    assert report.violations == []
    assert report.passed, report.to_dict()
    assert "Paris" in transcribe(stack, mulaw_to_wav(report.audio_received))


async def test_interrupt(start_gateway: StartGateway, long_winded: Path, question: Path) -> None:
    """Whoever speaks over the agent makes it clear what it had sent."""
    scenario = question.parent / "interrupt.yaml"
    scenario.write_text(INTERRUPT)
    with start_gateway(OFFHOOK_GATEWAY__AGENT=str(long_winded)) as gateway:
        report = await run_scenario(f"{gateway.ws_url}/phone/twilio/media", scenario)
    assert report.violations == []
    assert report.passed
