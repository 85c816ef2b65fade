"""What a measurement of calls says, worked out by hand."""

from typing import Any

import pytest

from voice.bench.figures import percentile, ratios, speculation
from voice.bench.systems import OFFHOOK, STOCK, WITHOUT_SPECULATION


def side(p50: float, p95: float, heard: list[str], answers: list[str], wasted: int = 0) -> dict[str, Any]:
    """Return the figures of one system."""
    return {
        "voice_to_voice": {"p50": p50, "p95": p95},
        "heard": heard,
        "answers": answers,
        "wasted_tokens": wasted,
    }


def test_percentiles_lie_between_the_nearest_values() -> None:
    """The 95th percentile of four values is 85 percent of the way from the third to the fourth."""
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.95) == pytest.approx(3.85)
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.0) == 1.0
    assert percentile([7.0], 0.95) == 7.0


def test_ratios_are_shares_of_the_reference() -> None:
    """Each system is divided by the reference; one that never answered has none."""
    systems = {
        OFFHOOK: side(0.4, 0.6, [], []),
        STOCK: side(1.6, 2.0, [], []),
        WITHOUT_SPECULATION: {"turns": 4},
    }
    assert ratios(systems, STOCK) == {OFFHOOK: {"p50": 0.25, "p95": 0.3}, STOCK: {"p50": 1.0, "p95": 1.0}}
    assert ratios(systems, WITHOUT_SPECULATION) == {}


def test_answers_are_compared_where_both_heard_the_same() -> None:
    """A turn that one side misheard says nothing of speculation; the others do."""
    on = side(0.6, 1.0, ["a", "b", "c"], ["1", "2", "3"], wasted=7)
    off = side(1.0, 1.2, ["a", "x", "c"], ["1", "9", "4"])
    said = speculation({OFFHOOK: on, WITHOUT_SPECULATION: off})
    assert said == {"p50_lower": pytest.approx(0.4), "compared": 2, "same_answers": 1, "wasted_tokens": 7}


def test_speculation_needs_both_sides() -> None:
    """Without the other side, or where it never answered, nothing is claimed."""
    on = side(0.6, 1.0, ["a"], ["1"])
    assert speculation({OFFHOOK: on}) == {}
    assert speculation({OFFHOOK: on, WITHOUT_SPECULATION: {"turns": 1}}) == {}
