"""The agent of a session: its own where the client says nothing, the client's where it does."""

from typing import Any

import pytest

from orchestration.agent import load_agent
from voice.realtime.config import SessionConfig
from voice.realtime.persona import persona

AGENT = load_agent("concierge")


def with_detection(detection: Any) -> Any:
    """Return the turns of a session with that turn detection."""
    config = SessionConfig().updated(
        {"audio": {"input": {"turn_detection": detection}}}, voices=frozenset({"joe"})
    )
    return persona(AGENT, config, max_seconds=60, idle_seconds=30).turns


@pytest.mark.parametrize(
    ("detection", "timeout", "threshold"),
    [
        ({"type": "server_vad"}, 500, AGENT.turns.eot_threshold),
        ({"type": "server_vad", "silence_duration_ms": 200}, 500, AGENT.turns.eot_threshold),
        ({"type": "server_vad", "silence_duration_ms": 900}, 900, AGENT.turns.eot_threshold),
        ({"type": "semantic_vad"}, 4000, AGENT.turns.eot_threshold),
        ({"type": "semantic_vad", "eagerness": "low"}, 8000, 0.9),
        ({"type": "semantic_vad", "eagerness": "high"}, 2000, 0.5),
        (None, AGENT.turns.eot_timeout_ms, AGENT.turns.eot_threshold),
    ],
)
def test_turn_detection(detection: Any, timeout: int, threshold: float) -> None:
    """Each setting is one of the ear's."""
    turns = with_detection(detection)
    assert (turns.eot_timeout_ms, turns.eot_threshold) == (timeout, threshold)
    assert turns.eager_eot_threshold <= turns.eot_threshold


def test_the_client_speaks_for_itself() -> None:
    """No greeting, no set phrase; OpenAI's voices are the agent's own; the limits are the door's."""
    config = SessionConfig().updated(
        {"instructions": "Be brief.", "audio": {"output": {"voice": "marin"}}}, voices=frozenset({"joe"})
    )
    agent = persona(AGENT, config, max_seconds=60, idle_seconds=30)
    assert (agent.greeting, agent.silence.filler, agent.silence.apology) == ("", "", "")
    assert (agent.system_prompt, agent.voice) == ("Be brief.", AGENT.voice)
    assert (agent.limits.max_call_seconds, agent.limits.idle_seconds) == (60, 30)
