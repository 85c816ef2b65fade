"""The agent's sound on its way into the SIP stack's buffer."""

from hypothesis import given
from hypothesis import strategies as st

from voice.sip.playback import Playback

LIMIT = 400


class Buffer:
    """What the stack's buffer does: takes what fits, plays from its front."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = b""
        self.played = b""

    def write(self, audio: bytes) -> int:
        """Take what fits."""
        taken = audio[: self.capacity - len(self.held)]
        self.held += taken
        return len(taken)

    def play(self, count: int) -> None:
        """Play some."""
        self.played, self.held = self.played + self.held[:count], self.held[count:]


ACTIONS = st.lists(st.tuples(st.sampled_from("ampc"), st.integers(1, 60)), max_size=80)


@given(ACTIONS)
def test_sound_in_order_and_marks_when_they_were_heard(actions: list[tuple[str, int]]) -> None:
    """Nothing overtakes, nothing is played twice, and a mark comes exactly when what was before it was played."""
    playback, buffer = Playback(max_bytes=LIMIT), Buffer(100)
    sent = b""
    expected: list[int] = []
    for number, (action, size) in enumerate(actions):
        if action == "a":
            audio = bytes([number % 251]) * size
            accepted = audio[: max(0, LIMIT - len(playback.waiting()))]
            sent += accepted
            playback.add(audio)
        elif action == "m":
            expected.append(len(sent))
            playback.mark(len(sent))
        elif action == "p":
            buffer.play(size)
        else:
            assert playback.clear() == expected
            expected.clear()
            buffer.held = b""
            sent = buffer.played
        playback.wrote(buffer.write(playback.waiting()))
        assert sent.startswith(buffer.played)
        if action == "c":
            break  # positions count what was written, and the stack threw some of it away
        heard = playback.played(len(buffer.held))
        assert heard == [position for position in expected if position <= len(buffer.played)]
        del expected[: len(heard)]
        assert len(playback.waiting()) <= LIMIT


def test_done_when_nothing_waits_anywhere() -> None:
    """Neither here nor in the stack."""
    playback = Playback(max_bytes=LIMIT)
    assert playback.is_done(0)
    assert not playback.is_done(2)
    playback.add(b"ab")
    assert not playback.is_done(0)
    playback.wrote(2)
    assert playback.is_done(0)
