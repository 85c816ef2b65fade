"""The cost of a call, on examples worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.cost import MachineShare, Prices, Use, break_even_minutes, cost_of


def test_a_machine_alone() -> None:
    """3.60 an hour is 0.001 a second; a call that had the machine alone for 60 s costs 0.06."""
    cost = cost_of(Use(seconds=60, machine_seconds=60), Prices(machine_hour=3.6))
    assert cost.machine == pytest.approx(0.06)
    assert cost.total == pytest.approx(0.06)


def test_gpus_count_each() -> None:
    """One machine at 0.60 with two GPUs at 1.50: 3.60 an hour."""
    assert Prices(machine_hour=0.6, gpus=2, gpu_hour=1.5).hour == pytest.approx(3.6)


def test_tokens_minutes_and_characters() -> None:
    """1000 prompt tokens, 600 of them cached, 200 written, 30 s heard, 500 characters spoken.

    400 * 2/M + 600 * 0.2/M + 200 * 10/M = 0.0008 + 0.00012 + 0.002 = 0.00292; 0.5 min * 0.006 = 0.003;
    500 * 30/M = 0.015.
    """
    use = Use(heard_seconds=30, input_tokens=1000, cached_tokens=600, output_tokens=200, characters=500)
    prices = Prices(
        input_million_tokens=2, cached_million_tokens=0.2, output_million_tokens=10,
        asr_minute=0.006, tts_million_characters=30,
    )  # fmt: skip
    cost = cost_of(use, prices)
    assert cost.llm == pytest.approx(0.00292)
    assert cost.asr == pytest.approx(0.003)
    assert cost.tts == pytest.approx(0.015)
    assert cost.total == pytest.approx(0.02092)
    assert cost.wasted == 0


def test_what_was_thrown_away_is_part_of_the_whole() -> None:
    """50 wasted tokens at 10/M are 0.0005; 2 of 20 s wasted are a tenth of the machine's 0.02: 0.0025 in all."""
    use = Use(seconds=20, machine_seconds=20, llm_seconds=5, wasted_llm_seconds=2, wasted_tokens=50)
    cost = cost_of(use, Prices(machine_hour=3.6, output_million_tokens=10))
    assert cost.wasted == pytest.approx(0.0025)
    assert cost.llm == pytest.approx(0.0005)
    assert cost.total == pytest.approx(0.0205)


def test_calls_share_the_machine() -> None:
    """A alone 10 s, A and B 10 s, B alone 5 s, nobody 3 s: A has 15 s, B 10 s, 3 s are idle."""
    machine = MachineShare(0.0)
    a = machine.begin(0.0)
    b = machine.begin(10.0)
    assert machine.end(a, 20.0) == pytest.approx(15.0)
    assert machine.end(b, 25.0) == pytest.approx(10.0)
    assert machine.idle_seconds(28.0) == pytest.approx(3.0)


def test_break_even() -> None:
    """A machine at 1.80 an hour against 0.05 a minute of which 0.02 go on use: 1.80 / 0.03 = 60 minutes an hour."""
    assert break_even_minutes(Prices(machine_hour=1.8), 0.05, 0.02) == pytest.approx(60.0)
    assert break_even_minutes(Prices(machine_hour=1.8), 0.02, 0.02) is None


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=20))
def test_shares_and_idle_time_add_up(calls: list[tuple[float, float]]) -> None:
    """Over any calls, what they share and what is idle is the time that passed."""
    events = sorted(
        [(start, number, True) for number, (start, _) in enumerate(calls)]
        + [(start + length + 1e-6, number, False) for number, (start, length) in enumerate(calls)]
    )
    machine, marks, shared = MachineShare(0.0), {}, 0.0
    for at, number, begins in events:
        if begins:
            marks[number] = machine.begin(at)
        else:
            shared += machine.end(marks[number], at)
    assert shared + machine.idle_seconds(30.0) == pytest.approx(30.0)
