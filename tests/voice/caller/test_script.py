"""A caller's conduct, with time passed in."""

import audioop

import numpy as np
import pytest

from voice.caller.script import PACKET_SECONDS, SILENCE, CallerScript, Patience, Question
from voice.phone.media import SAMPLE_RATE

TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE + 1.0)).astype("<i2").tobytes()
QUESTION = Question(bytes(1600) + TONE + bytes(8000), "hello", "test")
PATIENCE = Patience(greeting=1.0, settled=0.5, answer=5.0)


def mulaw(seconds: float) -> bytes:
    """Return some voice."""
    return audioop.lin2ulaw(TONE[: round(seconds * SAMPLE_RATE) * 2], 2)


def run(script: CallerScript, until: float, hear: dict[float, bytes]) -> list[bytes]:
    """Step a script to ``until``, playing ``hear`` at its moments; return what it sent."""
    sent = []
    waiting = sorted(hear.items())
    now = script.began
    while now < until and not script.done:
        now += PACKET_SECONDS
        while waiting and waiting[0][0] <= now:
            script.playout.receive(waiting.pop(0)[1], now)
        sent.append(script.next_packet(now))
    return sent


def test_the_whole_conversation() -> None:
    """It lets the greeting end, asks, waits, hears the answer to its end, and is done."""
    script = CallerScript([QUESTION], 100.0, PATIENCE)
    run(script, 120.0, {100.2: mulaw(0.5), 104.0: mulaw(1.0)})
    assert script.done
    (turn,) = script.turns
    assert turn.asked_from == pytest.approx(101.2, abs=0.05)
    assert turn.speech_ended == pytest.approx(turn.asked_from + 0.1 + 1.0, abs=0.01)
    assert turn.answer_began == pytest.approx(104.0, abs=0.03)
    assert turn.voice_to_voice == pytest.approx(turn.answer_began - turn.speech_ended)
    assert turn.answer_ended == pytest.approx(105.0, abs=0.03)


def test_it_speaks_first_where_nobody_greets() -> None:
    """Without a greeting it begins after a while."""
    script = CallerScript([QUESTION], 0.0, PATIENCE)
    sent = run(script, 2.0, {})
    assert sent[0] == SILENCE
    assert any(packet != SILENCE for packet in sent)


def test_it_gives_up_on_a_silent_agent() -> None:
    """Without an answer it is done after its patience."""
    script = CallerScript([QUESTION, QUESTION], 0.0, PATIENCE)
    run(script, 60.0, {})
    assert script.done
    assert len(script.turns) == 1
    assert script.turns[0].voice_to_voice is None
