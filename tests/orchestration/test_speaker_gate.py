"""An answer begun early to a turn that has just begun is held, though the turn's frame comes by later."""

from pipecat.frames.frames import UserStoppedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection

from orchestration.speaker import Speaker


def test_a_turn_is_open_before_its_frame_comes_by() -> None:
    """After one turn has ended, an answer to the next is speculative from the moment that one begins."""
    speaker = Speaker()
    speaker.gate.process(UserStoppedSpeakingFrame(), FrameDirection.DOWNSTREAM)
    speaker.gate.begin_speculation(True)
    assert not speaker.gate.is_speculating
    speaker.turn_began()
    speaker.gate.begin_speculation(True)
    assert speaker.gate.is_speculating
