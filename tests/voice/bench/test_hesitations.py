"""When a turn counts as cut off."""

import audioop

import numpy as np
import pytest

from voice.bench.hesitations import _outcome
from voice.bench.lab import HeldCall
from voice.caller.script import AskedTurn, CallerScript, Question
from voice.phone.media import SAMPLE_RATE

TONE = (8000 * np.sin(np.arange(2 * SAMPLE_RATE) / 3.0)).astype("<i2").tobytes()


def held(agent_speaks_at: float, heard: list[str]) -> HeldCall:
    """Return a call in which the caller spoke from second 1 to second 3."""
    question = Question(TONE, None, "test")
    script = CallerScript([question], 0.0)
    script.turns.append(AskedTurn(question, 1.0, 3.0))
    script.playout.receive(audioop.lin2ulaw(TONE[:8000], 2), agent_speaks_at)
    turns = [{"heard": text, "seconds": {"end_of_turn_delay": 0.4}} for text in heard]
    return HeldCall(script, {"turns": turns})


@pytest.mark.parametrize(
    ("speaks_at", "heard", "cut_off"),
    [
        (3.5, ["all of it"], False),
        (2.0, ["half of it"], True),
        (3.5, ["half", "of it"], True),
        (3.5, [], False),
    ],
)
def test_a_turn_is_cut_off_by_an_early_answer_or_in_pieces(
    speaks_at: float, heard: list[str], cut_off: bool
) -> None:
    """An answer over the caller, or more turns than one; a turn nobody answered was not cut off."""
    outcome = _outcome(held(speaks_at, heard))
    assert outcome["cut_off"] is cut_off
    assert outcome["delay"] == (0.4 if heard else None)
