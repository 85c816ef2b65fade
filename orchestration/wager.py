"""Whether an answer is begun on a likely end of the caller's turn, before it is confirmed.

Sans-I/O. Beginning early is a wager: if the end stands, the caller waits less by what the ear still needed to be
sure; if the caller goes on, what mind and mouth have done is thrown away. It is taken when it is expected to pay:

    p * gain  >=  price * (1 - p) * waste

``p`` joins the ear's confidence in this end with how this call's likely ends have turned out lately; ``gain`` and
``waste`` are what they have gained and cost so far, seconds. Ends that were passed over are learnt from as well, so a
caller who stops hesitating is answered early again.
"""

from collections.abc import Mapping
from typing import Any

#: How many outcomes the ear's confidence in this one end weighs as much as.
CONFIDENCE_WEIGHT = 4.0
#: What an outcome still counts once a newer one has come.
FADING = 0.8
#: Taken for granted until this call has shown something else, seconds.
FIRST_GAIN = 0.2
FIRST_WASTE = 0.3
#: An early start is never thought to gain less, seconds: the ends that gain most are the unsure ones.
LEAST_GAIN = 0.1


class Wager:
    """One call's wagers.

    Args:
        price: seconds of the caller's wait that a second of thrown-away work is worth; 0 takes every wager.

    """

    def __init__(self, price: float) -> None:
        self._price = price
        self._stood = self._fell = 0.0
        self._gain, self._waste = FIRST_GAIN, FIRST_WASTE
        self._since: float | None = None
        self._taken = False
        #: Likely ends that were passed over.
        self.declined = 0

    def take(self, message: Mapping[str, Any], now: float) -> bool:
        """Take a TurnInfo message of the ear; return whether it takes effect: not where a wager is declined."""
        match message.get("event"):
            case "EagerEndOfTurn":
                self._since = now
                self._taken = self._pays(float(message.get("end_of_turn_confidence", 1.0)))
                self.declined += not self._taken
                return self._taken
            case "TurnResumed":
                taken, self._taken = self._taken, False
                self._learn(now, stood=False)
                return taken
            case "EndOfTurn":
                self._taken = False
                self._learn(now, stood=True)
            case "StartOfTurn":
                self._since, self._taken = None, False
        return True

    def _pays(self, confidence: float) -> bool:
        stands = (CONFIDENCE_WEIGHT * confidence + self._stood) / (
            CONFIDENCE_WEIGHT + self._stood + self._fell
        )
        gain = max(self._gain, LEAST_GAIN)
        return stands * gain >= self._price * (1 - stands) * self._waste

    def _learn(self, now: float, *, stood: bool) -> None:
        if self._since is None:
            return
        seconds, self._since = now - self._since, None
        self._stood = FADING * self._stood + stood
        self._fell = FADING * self._fell + (not stood)
        if stood:
            self._gain = FADING * self._gain + (1 - FADING) * seconds
        else:
            self._waste = FADING * self._waste + (1 - FADING) * seconds
