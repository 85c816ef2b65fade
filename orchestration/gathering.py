"""Sound that comes too late is gathered before it goes on: one hole between two words is understood, a word in shreds
is not.

Sans-I/O. How much is gathered doubles each time within an answer: a mouth that has fallen behind twice is slower than
real time, and what little is gathered is soon used up. Times are monotonic seconds.
"""


class Gathering:
    """One answer's sound, where the mouth falls behind.

    Args:
        first_seconds: sound that is gathered the first time.
        most_seconds: sound that is gathered at most.
        max_hold_seconds: no sound is held back longer for more of it to come.

    """

    def __init__(
        self, *, first_seconds: float = 0.1, most_seconds: float = 0.8, max_hold_seconds: float = 2.0
    ) -> None:
        self._first_seconds = first_seconds
        self._most_seconds = most_seconds
        self._max_hold_seconds = max_hold_seconds
        self.begin()

    def begin(self) -> None:
        """Another answer begins."""
        self._seconds = self._first_seconds
        #: Whether the mouth owes sound that should follow at once, and since when it is late with it.
        self._owed = False
        self._late_since: float | None = None

    def left(self, *, last: bool) -> None:
        """A piece of sound has left; ``last`` says that no other waits behind it."""
        self._owed = last

    def complete(self) -> None:
        """The mouth owes no more of this answer."""
        self._owed = False

    def came(self, now: float, due: float) -> None:
        """Sound that was to follow at ``due`` waits at ``now``; told again of the same sound, nothing changes."""
        if self._owed and now > due + 1e-6:
            self._late_since = now
        self._owed = False

    def holds(self, now: float, waiting_seconds: float, *, complete: bool) -> bool:
        """Return whether late sound waits for more of it.

        Args:
            now: the time.
            waiting_seconds: the sound that waits.
            complete: nothing more of the answer will come.

        """
        until = self.until
        if until is None:
            return False
        if waiting_seconds < self._seconds and not complete and now < until:
            return True
        self._late_since = None
        self._seconds = min(2 * self._seconds, self._most_seconds)
        return False

    @property
    def until(self) -> float | None:
        """Until when late sound is held back at the most; None while none is."""
        return None if self._late_since is None else self._late_since + self._max_hold_seconds
