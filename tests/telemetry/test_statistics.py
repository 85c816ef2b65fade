"""Percentiles."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.statistics import percentile

VALUES = st.lists(st.floats(0, 100), min_size=1, max_size=50)


def test_by_hand() -> None:
    """p95 of 1..20 lies a twentieth of the way down from 20: 19.05; of two values between them."""
    values = [float(number) for number in range(1, 21)]
    assert percentile(values, 0.95) == pytest.approx(19.05)
    assert percentile(values, 0.5) == pytest.approx(10.5)
    assert percentile([1.0, 2.0], 0.95) == pytest.approx(1.95)
    assert percentile([0.7], 0.95) == 0.7


def test_nothing_has_no_percentile() -> None:
    """No values is an error, not zero."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@given(VALUES, st.floats(0, 1), st.floats(0, 1))
def test_larger_shares_give_larger_values(values: list[float], one: float, other: float) -> None:
    """Percentiles grow with the share, and stay within the values."""
    low, high = percentile(values, min(one, other)), percentile(values, max(one, other))
    assert min(values) - 1e-9 <= low <= high + 1e-9 <= max(values) + 2e-9


@given(VALUES)
def test_the_middle_is_the_median(values: list[float]) -> None:
    """p50 is the standard library's median."""
    assert percentile(values, 0.5) == pytest.approx(statistics.median(values))
