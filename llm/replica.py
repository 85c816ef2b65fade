"""One engine as the client sees it, and the circuit breaker that shuts it out while it fails."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Replica:
    """Where an engine is and what it is asked with.

    Attributes:
        url: base URL without ``/v1``; its identity.
        model: model name its requests carry.
        api_key: bearer token, empty for none.
        tier: higher tiers are asked only when every lower one is shut out or has failed.
        continues: whether it continues a given beginning of the answer (``continue_final_message``);
            without, it cannot take over a sentence that has begun.
        adapters: whether a request may name an adapter in place of ``model``.
        limit_key: what its requests call the longest answer; OpenAI's newer models refuse ``max_tokens``.
        prefill_url: the engine that reads its prompts first, where prefill and decode are apart.

    """

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    tier: int = 0
    continues: bool = True
    adapters: bool = True
    limit_key: str = "max_tokens"
    prefill_url: str = ""


class Breaker:
    """A circuit breaker: closed, open after failures, half-open for one trial at a time.

    Args:
        failures: consecutive failures that open it.
        open_seconds: how long it then stays open; doubled each time a trial fails.
        longest_open_seconds: bound of the doubling.

    """

    def __init__(
        self, *, failures: int = 1, open_seconds: float = 1.0, longest_open_seconds: float = 30.0
    ) -> None:
        self._threshold = failures
        self._shortest = open_seconds
        self._longest = longest_open_seconds
        self._failures = 0
        self._pause = open_seconds
        self._open_until: float | None = None
        self._trying = False

    def allows(self, now: float) -> bool:
        """Return whether a request may be sent."""
        if self._open_until is None:
            return True
        return now >= self._open_until and not self._trying

    def sent(self, now: float) -> None:
        """Note a request; while half-open it is the one trial."""
        if self._open_until is not None and now >= self._open_until:
            self._trying = True

    def succeeded(self) -> None:
        """Close."""
        self._failures, self._pause, self._open_until, self._trying = 0, self._shortest, None, False

    def cancelled(self) -> None:
        """Note that a request ended without saying anything about the replica's health."""
        self._trying = False

    def failed(self, now: float) -> None:
        """Count a failure, and open when there are too many, or when it was the trial."""
        self._failures += 1
        if self._trying:
            self._pause = min(self._pause * 2, self._longest)
        if self._trying or self._failures >= self._threshold:
            self._open_until = now + self._pause
        self._trying = False

    def probed(self, healthy: bool, now: float) -> None:
        """Note a health probe: a failed one counts, a good one lets a trial through at once."""
        if not healthy:
            self.failed(now)
        elif self._open_until is not None:
            self._open_until = min(self._open_until, now)

    def is_open(self) -> bool:
        """Return whether the breaker has opened and no trial has closed it yet."""
        return self._open_until is not None
