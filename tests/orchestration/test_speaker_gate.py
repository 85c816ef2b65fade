"""An answer begun early is held until its turn is over."""

import pytest
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.tests.utils import SleepFrame, run_test

from orchestration.pipeline import ToolGate
from orchestration.speaker import Speaker


def answer(gate: ToolGate, *, speculation: bool) -> list[Frame]:
    """Return the frames of an answer without words, as the mind sends them."""
    gate.begin_speculation(speculation)
    frames: list[Frame] = [LLMFullResponseStartFrame(), LLMFullResponseEndFrame()]
    return [sent for frame in frames for sent, _ in gate.process(frame, FrameDirection.DOWNSTREAM)]


@pytest.mark.parametrize("confirmed", [False, True])
async def test_an_answer_begun_before_the_interruption_of_its_turn_comes_by_is_held(confirmed: bool) -> None:
    """Short turns begin and seem to end at once: the interruption may still be on its way when the mind begins."""
    frames = answer(ToolGate(name="mind"), speculation=True)
    before = UserStoppedSpeakingFrame()
    turn = [before, UserStartedSpeakingFrame(), InterruptionFrame(), SleepFrame(), *frames, SleepFrame()]
    end = [UserStoppedSpeakingFrame(), SleepFrame()] if confirmed else []
    went: list[type[Frame]] = [UserStoppedSpeakingFrame, UserStartedSpeakingFrame, InterruptionFrame]
    if confirmed:
        went += [UserStoppedSpeakingFrame, LLMFullResponseStartFrame, LLMFullResponseEndFrame]
    await run_test(Speaker(), frames_to_send=[*turn, *end], expected_down_frames=went)


async def test_an_answer_to_a_turn_that_is_over_is_not_held() -> None:
    """It passes while the turn after it is open, too."""
    frames = answer(ToolGate(name="mind"), speculation=False)
    went = [UserStartedSpeakingFrame, LLMFullResponseStartFrame, LLMFullResponseEndFrame]
    sent = [UserStartedSpeakingFrame(), SleepFrame(), *frames, SleepFrame()]
    await run_test(Speaker(), frames_to_send=sent, expected_down_frames=went)
