"""Keys the caller presses, put together to what was meant. Sans-I/O."""

#: A key that ends an entry and is not part of it.
END_KEY = "#"


class DigitCollector:
    """Collects keys to entries.

    Args:
        gap_seconds: an entry is over when no key comes for this long.
        max_digits: or when it is this long.

    """

    def __init__(self, *, gap_seconds: float = 2.0, max_digits: int = 32) -> None:
        self._gap_seconds = gap_seconds
        self._max_digits = max_digits
        self._digits = ""
        self._last = 0.0
        self._whole: list[str] = []

    def press(self, digit: str, now: float) -> None:
        """Take one key."""
        self.entries(now, keep=True)
        self._last = now
        if digit != END_KEY:
            self._digits += digit
        if digit == END_KEY or len(self._digits) >= self._max_digits:
            self._close(digit)

    def entries(self, now: float, *, keep: bool = False) -> list[str]:
        """Return the entries that are over at ``now``; ``keep`` leaves them for later."""
        if self._digits and now - self._last >= self._gap_seconds:
            self._close("")
        if keep:
            return []
        whole, self._whole = self._whole, []
        return whole

    def _close(self, last: str) -> None:
        # The end key alone is an answer too ("press hash to go on").
        if entry := self._digits or (last if last == END_KEY else ""):
            self._whole.append(entry)
        self._digits = ""
