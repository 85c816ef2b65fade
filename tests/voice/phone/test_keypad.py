"""Keys put together to entries."""

from hypothesis import given
from hypothesis import strategies as st

from voice.phone.keypad import DigitCollector


def test_hash_ends_an_entry() -> None:
    """The hash key ends an entry and is not part of it; alone it is the entry."""
    keypad = DigitCollector()
    for number, digit in enumerate("12#3#"):
        keypad.press(digit, number / 10)
    keypad.press("#", 0.6)
    assert keypad.entries(0.7) == ["12", "3", "#"]


def test_a_gap_ends_an_entry() -> None:
    """So does a pause."""
    keypad = DigitCollector(gap_seconds=2.0)
    keypad.press("4", 0.0)
    keypad.press("2", 1.5)
    assert keypad.entries(3.0) == []
    assert keypad.entries(3.5) == ["42"]
    keypad.press("7", 4.0)
    keypad.press("8", 9.0)
    assert keypad.entries(9.0) == ["7"]


@given(st.lists(st.tuples(st.sampled_from("0123456789*#"), st.floats(0, 5)), max_size=80))
def test_no_key_is_lost(keys: list[tuple[str, float]]) -> None:
    """Every key but the ending ones comes out, in order, in entries of bounded length."""
    keypad, now, entries = DigitCollector(max_digits=8), 0.0, []
    for digit, gap in keys:
        now += gap
        keypad.press(digit, now)
        entries += keypad.entries(now)
    entries += keypad.entries(now + 10)
    assert all(1 <= len(entry) <= 8 for entry in entries)
    pressed = "".join(digit for digit, _ in keys).replace("#", "")
    assert "".join(entry for entry in entries if entry != "#") == pressed
