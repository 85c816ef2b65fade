"""What a door's wire does with the agent's sound: whether it still leaves, and when the caller has heard it.

Sans-I/O. Between the speaker and the wire lie some tens of milliseconds of sound. When the agent is silenced, the
door lets none of it leave; the speaker begins again with it, should the agent go on.

A carrier plays what it was sent after its own buffer and the network. A mark comes back when the sound before it was
played: what is back when the caller is heard to speak is what they had heard. Half the difference would be the way
back, but the caller's voice comes the same way, so all of it counts.
"""

import statistics
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

#: Sound between two marks, seconds.
MARK_SECONDS = 0.4
#: Marks the lag is the median of.
KEPT = 5
#: Marks waited for at once; a carrier that sends none back is not asked for ever.
MAX_OUTSTANDING = 16
#: Longest lag that is believed, seconds: beyond it a carrier is late, not buffering.
MAX_LAG_SECONDS = 1.0


#: A carrier's message, and what makes one that asks for a mark of that name; None: it knows no marks.
Message = dict[str, Any]
MakeMark = Callable[[str], Message | None]


class Playback:
    """One call's wire; ``make_mark`` is the door's to set."""

    def __init__(self) -> None:
        self.make_mark: MakeMark = lambda _: None
        self._sent: OrderedDict[str, float] = OrderedDict()
        self._lags: deque[float] = deque(maxlen=KEPT)
        self._since_mark = 0.0
        self._count = 0
        self._stopped = False
        self._dropped = 0.0

    # Whether sound leaves.

    def stop(self) -> None:
        """Let no sound leave from now on."""
        self._stopped, self._dropped = True, 0.0

    def leaves(self, seconds: float) -> bool:
        """Return whether ``seconds`` of sound that have come to the wire leave; what does not is lost there."""
        if self._stopped:
            self._dropped += seconds
        return not self._stopped

    def go_on(self) -> float:
        """Let sound leave again; return how much was lost, seconds."""
        self._stopped = False
        return self._dropped

    # When it is heard.

    @property
    def lag(self) -> float:
        """Seconds from sending a sound to knowing that it was heard; 0 while nothing is known."""
        return statistics.median(self._lags) if self._lags else 0.0

    def sent(self, seconds: float, now: float) -> Message | None:
        """Note that ``seconds`` of sound leave at ``now``; return the mark to send after them, or None."""
        self._since_mark += seconds
        if self._since_mark < MARK_SECONDS - 1e-6 or len(self._sent) >= MAX_OUTSTANDING:
            return None
        self._since_mark = 0.0
        self._count += 1
        name = f"heard-{self._count}"
        if message := self.make_mark(name):
            self._sent[name] = now + seconds
        return message

    def returned(self, name: str, now: float) -> None:
        """Take a mark that has come back; those sent before it will not come any more."""
        if name not in self._sent:
            return
        while True:
            other, ended = self._sent.popitem(last=False)
            if other == name:
                self._lags.append(min(max(0.0, now - ended), MAX_LAG_SECONDS))
                return

    def cleared(self) -> None:
        """What the carrier had not played was dropped; some carriers send the marks in it back all the same."""
        self._sent.clear()
        self._since_mark = 0.0
        self._stopped = False
