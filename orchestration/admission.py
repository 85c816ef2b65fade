"""Whether one more call may come in: there is a place for it, and the calls in progress do not suffer. Sans-I/O."""

import statistics
from collections import deque

#: Answers looked at to judge whether calls suffer; fewer say nothing.
MIN_ANSWERS, MAX_ANSWERS = 5, 50


class Admission:
    """Counts the calls of one gateway, and watches how long their callers wait for answers.

    Args:
        max_calls: calls held at once.
        strained_seconds: no new call while the median voice to voice of the last answers is over this; 0: never
            judged.
        memory_seconds: how long an answer is remembered.

    """

    def __init__(
        self, *, max_calls: int, strained_seconds: float = 0.0, memory_seconds: float = 30.0
    ) -> None:
        self._max_calls = max_calls
        self._strained_seconds = strained_seconds
        self._memory_seconds = memory_seconds
        self._answers: deque[tuple[float, float]] = deque(maxlen=MAX_ANSWERS)
        #: Why no call can be taken for now; empty: nothing hinders.
        self.impediment = "not warmed up yet"
        self.active = 0

    def answered(self, voice_to_voice: float, now: float) -> None:
        """Note how long a caller waited for an answer, seconds."""
        self._answers.append((now, voice_to_voice))

    def refusal(self, now: float, *, promised: int = 0) -> str:
        """Return why one more call may not come in at ``now``, in one line; empty: it may.

        Args:
            now: monotonic seconds.
            promised: places kept for calls that have been answered and will come.

        """
        if self.impediment:
            return f"not taking calls: {self.impediment}"
        if self.active + promised >= self._max_calls:
            return f"all max_calls = {self._max_calls} lines are busy"
        median = self._median(now)
        if self._strained_seconds and median > self._strained_seconds:
            return (
                f"callers wait {median:.2f} s for an answer; over strained_seconds = {self._strained_seconds:g} "
                "no call is taken"
            )
        return ""

    def _median(self, now: float) -> float:
        while self._answers and now - self._answers[0][0] > self._memory_seconds:
            self._answers.popleft()
        if len(self._answers) < MIN_ANSWERS:
            return 0.0
        return statistics.median(seconds for _, seconds in self._answers)
