"""Thousands of arbitrary events: each is answered in the protocol's format, and nothing is left behind.

OFFHOOK_FUZZ_SEQUENCES says how many sequences, of some forty events each (a release is tried with 600).
"""

import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm.client import Answer
from voice.realtime.effects import Effect, Hear, Send, Transcribe
from voice.realtime.events import EVENTS
from voice.realtime.limits import SessionLimits
from voice.realtime.response import ToolCall

from .driving import Driver

SEQUENCES = int(os.environ.get("OFFHOOK_FUZZ_SEQUENCES", "250"))
LIMITS = SessionLimits(max_items=20, max_buffer_seconds=1.0)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["root", "item_a", "item_b", "", "x" * 600]) | st.text(max_size=8)
contents = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["input_text", "input_audio", "output_text", "output_audio", "input_image", "x"]
        )
    },
    optional={
        "text": st.text(max_size=9) | json_values,
        "audio": st.text(max_size=9),
        "transcript": json_values,
    },
)
items = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "function_call", "function_call_output", "item_reference", "x"])},
    optional={
        "id": names,
        "role": st.sampled_from(["user", "assistant", "system", "tool"]),
        "content": st.lists(contents, max_size=3) | json_values,
        "call_id": names,
        "name": names,
        "arguments": st.text(max_size=9) | json_values,
        "output": st.text(max_size=9) | json_values,
    },
)
detections = st.none() | st.fixed_dictionaries(
    {"type": st.sampled_from(["server_vad", "semantic_vad", "x"])},
    optional={
        "threshold": st.floats() | json_values,
        "silence_duration_ms": st.integers(),
        "eagerness": st.sampled_from(["low", "high", "x"]),
        "create_response": st.booleans() | st.none(),
        "interrupt_response": st.booleans(),
    },
)
sound_formats = st.fixed_dictionaries(
    {"type": st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma", "x"])},
    optional={"rate": st.integers()},
)
sounds = st.none() | st.fixed_dictionaries(
    {}, optional={"format": sound_formats, "turn_detection": detections, "transcription": json_values}
)
sessions = json_values | st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["realtime", "transcription", None]),
        "instructions": st.text(max_size=9) | json_values,
        "output_modalities": st.lists(st.sampled_from(["text", "audio"]), max_size=2) | st.none(),
        "audio": st.fixed_dictionaries({}, optional={"input": sounds, "output": sounds}) | json_values,
        "tools": st.lists(json_values, max_size=2),
        "tool_choice": json_values,
        "max_output_tokens": st.integers(-1, 5000) | st.just("inf"),
    },
)
responses = json_values | st.fixed_dictionaries(
    {},
    optional={
        "conversation": st.sampled_from(["auto", "none", None]),
        "input": st.lists(items, max_size=3),
        "output_modalities": st.lists(st.sampled_from(["text", "audio"]), max_size=2),
        "metadata": json_values,
    },
)
client_events = st.fixed_dictionaries(
    {"type": st.sampled_from([*EVENTS, "response.dance"]) | json_values},
    optional={
        "event_id": names | json_values,
        "session": sessions,
        "audio": st.sampled_from(["", "AAAA", "AAAA" * 4000, "%"]) | json_values,
        "item": items | json_values,
        "item_id": names,
        "previous_item_id": names,
        "content_index": st.integers(-1, 2),
        "audio_end_ms": st.integers(-1, 5000) | json_values,
        "response": responses,
        "response_id": names,
    },
)
ear_events = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]),
        "transcript": st.sampled_from(["", "yes", "yes please"]),
    }
)
happenings = st.sampled_from(["begun", "sound", "word", "written", "called", "answered", "finished", "asked"])
steps = client_events | ear_events | happenings | json_values | st.text(max_size=20)


def happen(driver: Driver, what: str) -> list[Effect]:
    """Let the call do something."""
    session = driver.session
    match what:
        case "begun":
            session.answers.begun()
        case "sound" if session.answers.speaking and session.answers.speaking.spoken:
            return session.answers.sound(b"\0\0", 0.1)
        case "word":
            return session.answers.word("word")
        case "written" if session.answers.speaking and not session.answers.speaking.spoken:
            return session.answers.written("word")
        case "called":
            return session.answers.called([ToolCall("call", "weather", "{}")])
        case "answered":
            session.answers.answered(Answer(completion_tokens=3, complete=True))
        case "finished":
            return session.answers.finished()
        case "asked" if request := session.request(session.answers.active):
            json.dumps([*request.messages, *request.tools, request.tool_choice])
    return []


@settings(max_examples=SEQUENCES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=20, max_size=60))
def test_arbitrary_events(sequence: list[Any]) -> None:
    """No step raises; a message is answered unless it is sound; what waits stays within its bounds."""
    driver = Driver(limits=LIMITS)
    for step in sequence:
        if isinstance(step, dict) and "event" in step and "type" not in step:
            effects = driver.session.turn_info(step, 0.0)[0]
        elif step in ("begun", "sound", "word", "written", "called", "answered", "finished", "asked"):
            effects = happen(driver, step)
        else:
            text = step if isinstance(step, str) else json.dumps(step)
            effects = driver.session.received(text, 0.0)
            assert effects or "input_audio_buffer.append" in text
        for effect in effects:
            if isinstance(effect, Send):
                json.dumps(effect.event, allow_nan=False).encode()
                if effect.event["type"] == "error":
                    assert {"type", "code", "message", "param", "event_id"} == set(effect.event["error"])
            elif isinstance(effect, Transcribe):
                driver.session.transcribed(effect, None)
            elif isinstance(effect, Hear):
                assert effect.audio
    assert len(driver.session.conversation) <= LIMITS.max_items
    assert len(driver.session._buffer) <= 48_000


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(client_events | ear_events | happenings, min_size=10, max_size=30))
def test_the_sdk_reads_every_answer(sequence: list[Any]) -> None:
    """Whatever the client sends, the openai SDK's own types fit what comes back."""
    driver = Driver(limits=LIMITS)
    driver.take(driver.session.opened())
    for step in sequence:
        if isinstance(step, str):
            driver.take(happen(driver, step))
        elif "event" in step and "type" not in step:
            driver.take(driver.session.turn_info(step, 0.0)[0])
        else:
            driver.take(driver.session.received(json.dumps(step), 0.0))
