"""The agent's own voice on the caller's line."""

import numpy as np
import pytest

from orchestration.echo import MAX_BACKLOG_SECONDS, EchoGuard

RATE = 8000
PACKET = 160


def voice(seconds: float, seed: int, syllables: float = 3.0) -> np.ndarray:
    """Return a noise that comes and goes like syllables do, 16-bit."""
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    return (random.normal(0, 4000, len(t)) * (np.sin(2 * np.pi * syllables * t) > 0)).astype(np.int16)


def echo_of(agent: np.ndarray, gain: float, seconds: float) -> np.ndarray:
    """Return what comes back of ``agent``, over a line that hisses a little."""
    hiss = np.random.default_rng(9).normal(0, 10, len(agent))
    late = round(seconds * RATE)
    back = np.concatenate((np.zeros(late), agent * gain))[: len(agent)]
    return (back + hiss).astype(np.int16)


def run(guard: EchoGuard, agent: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Play ``agent`` while ``line`` is heard, packet by packet; return what is left of it."""
    left = []
    for at in range(0, len(line) - PACKET + 1, PACKET):
        guard.played(agent[at : at + PACKET].tobytes())
        left.append(np.frombuffer(guard.clean(line[at : at + PACKET].tobytes()), np.int16))
    return np.concatenate(left)


def rms(samples: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


@pytest.mark.parametrize(("gain", "late"), [(0.3, 0.06), (0.1, 0.2), (0.03, 0.4)])
def test_an_echo_is_found_and_taken_out(gain: float, late: float) -> None:
    """At -10, -20 and -30 dB and whatever delay, it falls by more than 20 dB, or into the line's hiss."""
    agent = voice(9.0, 1)
    line = echo_of(agent, gain, late)
    guard = EchoGuard(RATE, always=False)
    left = run(guard, agent, line)
    assert guard.cancelling
    assert rms(left[5 * RATE :]) < max(rms(line[5 * RATE :]) / 10, 20)


@pytest.mark.parametrize("caller", [np.zeros(6 * RATE, np.int16), voice(6.0, 2, 2.3)])
def test_a_line_that_does_not_echo_is_left_as_it_is(caller: np.ndarray) -> None:
    """Whether the caller listens or talks over the agent, every sample passes."""
    guard = EchoGuard(RATE, always=False)
    left = run(guard, voice(6.0, 1), caller)
    assert not guard.cancelling
    assert (left == caller[: len(left)]).all()


def test_a_silent_agent_has_no_echo() -> None:
    """Once it has been silent for a while the line passes untouched, cancelled or not."""
    caller = voice(3.0, 2)
    guard = EchoGuard(RATE, always=True)
    guard.played(voice(0.02, 1).tobytes())
    left = b"".join(
        guard.clean(caller[at : at + PACKET].tobytes()) for at in range(0, len(caller) - PACKET + 1, PACKET)
    )
    assert left[3 * RATE :] == caller.tobytes()[3 * RATE :]


def test_a_line_that_stalls_piles_nothing_up() -> None:
    """What was played long before is of no use and is forgotten."""
    guard = EchoGuard(RATE, always=True)
    for _ in range(500):
        guard.played(bytes(2 * PACKET))
    assert guard._backlog <= MAX_BACKLOG_SECONDS * RATE
    assert len(guard.clean(bytes(2 * PACKET))) == 2 * PACKET
