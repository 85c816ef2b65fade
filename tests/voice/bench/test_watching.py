"""What watching costs: the arithmetic of the comparison, and the recorder alone."""

from pathlib import Path

import pytest

from telemetry.tracing import STORE_VARIABLE
from voice.bench.watching import HUNG, OFF, ON, Variant, figures, recorder_cost
from voice.bench.watching_cli import watching_table


def variant(name: str, cpu: float, waited: float) -> Variant:
    """Return a variant whose calls all cost and waited about the same."""
    return Variant(name, {}, [cpu, cpu * 1.01, cpu * 0.99] * 5, [waited, waited + 0.01, waited + 0.02] * 10)


def test_a_variant_is_compared_call_by_call() -> None:
    """2 percent more processor time and 5 ms more at p95, each within its interval; none against itself."""
    found = figures([variant(OFF, 10.0, 0.5), variant(ON, 10.2, 0.505), variant(HUNG, 10.0, 0.5)])
    assert found[ON]["more_cpu"]["value"] == pytest.approx(0.02)
    assert found[ON]["more_p95"]["value"] == pytest.approx(0.005)
    low, value, high = (found[ON]["more_p95"][key] for key in ("low", "value", "high"))
    assert low <= value <= high
    assert found[OFF]["more_cpu"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert (found[ON]["calls"], found[ON]["turns"]) == (15, 30)
    assert watching_table(found).row_count == 3


def test_the_recorder_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than a millisecond of a turn's wait goes into writing it down."""
    monkeypatch.setenv(STORE_VARIABLE, str(tmp_path / "calls.sqlite"))
    cost = recorder_cost(100)
    assert cost["waited_p95"] < 0.001
    assert cost["waited_p95"] < cost["turn"]
    assert cost["export"] > 0
