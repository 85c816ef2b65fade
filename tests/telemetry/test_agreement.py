"""The gateway's figures against the caller's own audio clock, in one real call over the real stack."""

import json
import time
from typing import Any

import pytest

from telemetry import names
from telemetry.statistics import percentile
from telemetry.store import SpanStore
from tests.conftest import Stack

QUESTIONS = (
    "What is the capital of France?",
    "And what is the capital of Italy?",
    "Please tell me something about the ocean.",
    "Which animals live in the forest?",
    "Is it cold in winter?",
    "Thank you, what is the capital of Spain?",
)
#: How far server truth and caller truth may lie apart, seconds, p95.
TOLERANCE_SECONDS = 0.02
#: How long the call's span may take to reach the store, seconds.
EXPORT_SECONDS = 10.0


@pytest.fixture(scope="module")
def call(stack: Stack) -> dict[str, Any]:
    """One call of several questions, as its caller reports it."""
    said = [part for question in QUESTIONS for part in ("--say", question)]
    result = stack.offhook("call", *said, "--json", timeout=180)
    assert result.returncode == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_server_truth_is_caller_truth(call: dict[str, Any]) -> None:
    """Voice to voice as the caller hears it and as the gateway says it: within 20 ms, p95."""
    apart = [
        abs(turn["seconds"]["voice_to_voice"] - turn["server_voice_to_voice"])
        for turn in call["turns"]
        if turn["server_voice_to_voice"] is not None
    ]
    assert len(apart) >= len(QUESTIONS) - 1
    assert percentile(apart, 0.95) <= TOLERANCE_SECONDS, [round(value, 3) for value in apart]


def test_trace_report_and_caller_show_the_same(stack: Stack, call: dict[str, Any]) -> None:
    """The call's span, `offhook slo report` and the JSON of `offhook call` have the same figures."""
    store = SpanStore(stack.folder / "calls.sqlite")
    deadline = time.monotonic() + EXPORT_SECONDS
    spans = store.trace(call["trace_id"])
    while not any(span.name == names.SPAN_CALL for span in spans):
        assert time.monotonic() < deadline, "the call's span never reached the store"
        time.sleep(0.05)
        spans = store.trace(call["trace_id"])
    (root,) = [span for span in spans if span.name == names.SPAN_CALL]
    told = [turn["server_voice_to_voice"] for turn in call["turns"]]
    traced = sorted(
        span.attributes[names.VOICE_TO_VOICE.name]
        for span in spans
        if span.name == names.SPAN_TURN and names.VOICE_TO_VOICE.name in span.attributes
    )
    assert traced == pytest.approx(sorted(value for value in told if value is not None))
    assert root.attributes[f"{names.VOICE_TO_VOICE.name}.p95"] == pytest.approx(percentile(traced, 0.95))
    report = json.loads(stack.offhook("slo", "report", "--json").stdout)
    assert report["figures"]["voice_to_voice"]["count"] >= len(traced)
