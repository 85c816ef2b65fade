"""Reasons that a close frame takes."""

from hypothesis import given
from hypothesis import strategies as st

from voice.closing import MAX_REASON_BYTES, close_reason


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_it_fits_and_is_text(text: str) -> None:
    """Whatever stands in it, surrogates too, and never half a letter at its end."""
    reason = close_reason(text)
    assert len(reason.encode()) <= MAX_REASON_BYTES
    assert text.encode("utf-8", "replace").decode().startswith(reason)
    if len(text) * 4 <= MAX_REASON_BYTES:
        assert len(reason) == len(text)
