"""An unchanged judge of other people's (PyPI ``voicebench``) calls the running gateway.

Its limits here leave room for a busy machine. ``OFFHOOK_STRICT_JUDGE=1`` takes those of voicebench's own example
conversation, for a quiet one.
"""

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from voicebench.bench import BenchResult, run_benchmark
from voicebench.scenario import parse_scenario

from tests.conftest import Stack
from tests.e2e.test_barge_in import LONG

#: Of voicebench's example `mock-conversation`.
STRICT = {"p90_response_latency_ms": 1200, "max_barge_in_stop_ms": 400}
RELAXED = {"p90_response_latency_ms": 4000, "max_barge_in_stop_ms": 1000}
STRICTLY = os.environ.get("OFFHOOK_STRICT_JUDGE") == "1"


def spoken(stack: Stack, folder: Path, name: str, text: str) -> str:
    """Let the mouth say ``text`` into a file; return its path."""
    response = httpx.post(
        f"http://127.0.0.1:{stack.port('tts')}/v1/audio/speech",
        json={"model": "x", "voice": "joe", "input": text, "response_format": "wav"},
        timeout=60,
    )
    response.raise_for_status()
    (folder / name).write_bytes(response.content)
    return str(folder / name)


@pytest.fixture(scope="module")
def judged(talker: Stack, tmp_path_factory: pytest.TempPathFactory) -> BenchResult:
    """One conversation: two questions, an interruption, a noise."""
    folder = tmp_path_factory.mktemp("speech")
    france = spoken(talker, folder, "france.wav", "What is the capital of France?")
    london = spoken(talker, folder, "london.wav", LONG)
    wait = spoken(talker, folder, "wait.wav", "Wait, what is the capital of Italy?")
    waits = {"response_timeout_ms": 15000}
    scenario = parse_scenario(
        {
            "name": "offhook",
            "sample_rate": 8000,
            "adapter": {"type": "tests.e2e.twilio_adapter:Twilio", "options": {"url": talker.media_url}},
            "turns": [
                {
                    "id": "question",
                    "audio": {"file": france},
                    "start": {"after": "agent_speech_end"},
                    **waits,
                },
                {
                    "id": "long-question",
                    "audio": {"file": london},
                    "start": {"after": "agent_speech_end", "delay_ms": 400},
                    **waits,
                },
                {
                    "id": "interruption",
                    "audio": {"file": wait},
                    "start": {"after": "agent_speech_start", "delay_ms": 1200},
                    "expect": "stop",
                    "max_stop_ms": 1000,
                },
                {
                    "id": "noise",
                    "audio": {"synth": "noise", "duration_ms": 180, "level_db": -25},
                    "start": {"after": "agent_speech_start", "delay_ms": 400},
                    "expect": "ignore",
                    "max_stop_ms": 300,
                },
            ],
            "assert": {
                **(STRICT if STRICTLY else RELAXED),
                "max_missed_responses": 0,
                "min_barge_in_success_rate": 1.0,
                "max_false_barge_ins": 0,
            },
        },
        base_dir=folder,
    )
    return asyncio.run(run_benchmark(scenario))


def test_every_assertion_of_the_judge_holds(judged: BenchResult) -> None:
    """Latency, barge-in and noise, as voicebench measures them from the audio."""
    told = [f"{one.key}: {one.actual} (limit {one.limit:g})" for one in judged.assertions]
    assert judged.passed, "; ".join(told) + f"; {judged.report['sessions']}"
    assert len(judged.assertions) == 5
    print("voicebench:", "; ".join(told))


def test_every_turn_of_the_script_was_played(judged: BenchResult) -> None:
    """No turn began because its patience ran out: the agent spoke when it should."""
    assert [turn.trigger for turn in judged.sessions[0].turns] == ["anchor"] * 4
    assert all(turn.passed for turn in judged.sessions[0].turns)
