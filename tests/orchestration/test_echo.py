"""The agent's own voice on the caller's line."""

import numpy as np

from orchestration.echo import MAX_BACKLOG_SECONDS, EchoGuard

RATE = 8000
PACKET = 160


def voice(seconds: float, seed: int) -> np.ndarray:
    """Return a noise that comes and goes like syllables do, 16-bit."""
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    return (random.normal(0, 4000, len(t)) * (np.sin(2 * np.pi * 3 * t) > 0)).astype(np.int16)


def run(agent: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Play ``agent`` while ``line`` is heard, packet by packet; return what is left of it."""
    guard = EchoGuard(RATE, active=True)
    left = []
    for at in range(0, len(line) - PACKET + 1, PACKET):
        guard.played(agent[at : at + PACKET].tobytes())
        left.append(np.frombuffer(guard.clean(line[at : at + PACKET].tobytes()), np.int16))
    return np.concatenate(left)


def rms(samples: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(samples.astype(float) ** 2)))


def test_the_agents_echo_is_taken_out() -> None:
    """An echo at a third of the agent's level, 100 ms late, falls by more than 20 dB."""
    agent = voice(8.0, 1)
    echo = np.concatenate((np.zeros(800, np.int16), (agent / 3).astype(np.int16)))[: len(agent)]
    left = run(agent, echo)
    assert rms(left[4 * RATE :]) < rms(echo[4 * RATE :]) / 10


def test_the_caller_is_left_alone() -> None:
    """While the agent is silent, what the caller says passes with its level."""
    caller = voice(4.0, 2)
    left = run(np.zeros_like(caller), caller)
    assert 0.7 < rms(left) / rms(caller[: len(left)]) < 1.3


def test_a_line_that_stalls_piles_nothing_up() -> None:
    """What was played long before is of no use and is forgotten."""
    guard = EchoGuard(RATE, active=True)
    for _ in range(500):
        guard.played(bytes(2 * PACKET))
    assert guard._backlog <= MAX_BACKLOG_SECONDS * RATE
    assert len(guard.clean(bytes(2 * PACKET))) == 2 * PACKET


def test_it_waits_until_the_line_is_found_to_echo() -> None:
    """Until then every sample passes as it came."""
    guard = EchoGuard(RATE, active=False)
    caller = voice(0.02, 3).tobytes()
    guard.played(caller)
    assert guard.clean(caller) == caller
    guard.begin()
    assert guard.clean(caller) != caller
