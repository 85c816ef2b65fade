"""What a call costs.

A machine (or GPU) costs the same every hour, busy or not. While it is up, each moment's price is shared equally
by the calls in progress at that moment; a moment without calls is idle, and nobody's. So over any time the calls'
shares and the idle time add up to what was paid. What is bought by use (tokens, minutes of speech recognised,
characters spoken) is added at its own price.

    machine = price per hour / 3600 * integral over the call of dt / (calls in progress)
    llm     = input * price + cached * price + output * price            (per million tokens)
    asr     = minutes heard * price,  tts = characters / 10^6 * price
    wasted  = what of these went into answers that were thrown away: the wasted tokens at their price, and as
              much of the call's machine share as the language model spent of the call's time on them
"""

import threading
from dataclasses import asdict, dataclass

from pydantic import BaseModel, ConfigDict, Field

SECONDS_PER_HOUR = 3600.0
SECONDS_PER_MINUTE = 60.0
MILLION = 1_000_000


class Prices(BaseModel):
    """What the owner pays. Zero means: not bought that way."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field("EUR", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of all prices.")
    machine_hour: float = Field(0.0, ge=0, description="One machine, per hour, without its GPUs.")
    gpus: int = Field(0, ge=0, description="GPUs of the machine.")
    gpu_hour: float = Field(0.0, ge=0, description="One GPU, per hour.")
    input_million_tokens: float = Field(0.0, ge=0, description="Prompt tokens not cached, per million.")
    cached_million_tokens: float = Field(0.0, ge=0, description="Prompt tokens from the cache, per million.")
    output_million_tokens: float = Field(0.0, ge=0, description="Written tokens, per million.")
    asr_minute: float = Field(0.0, ge=0, description="Remote speech recognition, per minute heard.")
    tts_million_characters: float = Field(0.0, ge=0, description="Remote speech, per million characters.")

    @property
    def hour(self) -> float:
        """What an hour of the machine with its GPUs costs."""
        return self.machine_hour + self.gpus * self.gpu_hour


@dataclass(frozen=True)
class Use:
    """What one call used.

    Attributes:
        seconds: its length.
        machine_seconds: its share of the machine: the integral of dt / (calls in progress).
        heard_seconds: audio the ear was sent.
        llm_seconds: during which the language model worked for it, thrown-away answers included.
        wasted_llm_seconds: of those, spent on answers that were thrown away.
        tts_seconds: from text sent to the last audio of each answer.
        input_tokens: prompt tokens, the cached ones included.
        cached_tokens: of those, from the prefix cache.
        output_tokens: written tokens of answers that stood.
        wasted_tokens: written tokens of answers that were thrown away.
        characters: spoken text.

    """

    seconds: float = 0.0
    machine_seconds: float = 0.0
    heard_seconds: float = 0.0
    llm_seconds: float = 0.0
    wasted_llm_seconds: float = 0.0
    tts_seconds: float = 0.0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    wasted_tokens: int = 0
    characters: int = 0

    def parts(self) -> dict[str, float]:
        """Return what was used, by name."""
        return asdict(self)


@dataclass(frozen=True)
class Cost:
    """The cost of one call, in the currency of the prices; ``wasted`` is contained in the others."""

    machine: float
    asr: float
    llm: float
    tts: float
    wasted: float

    @property
    def total(self) -> float:
        """The sum; without ``wasted``, which is part of it."""
        return self.machine + self.asr + self.llm + self.tts

    def parts(self) -> dict[str, float]:
        """Return the parts by name."""
        return asdict(self)


def cost_of(use: Use, prices: Prices) -> Cost:
    """Return what ``use`` costs."""
    machine = use.machine_seconds * prices.hour / SECONDS_PER_HOUR
    wasted_tokens = use.wasted_tokens * prices.output_million_tokens / MILLION
    tokens = (
        (use.input_tokens - use.cached_tokens) * prices.input_million_tokens
        + use.cached_tokens * prices.cached_million_tokens
        + use.output_tokens * prices.output_million_tokens
    ) / MILLION
    wasted_share = min(1.0, use.wasted_llm_seconds / use.seconds) if use.seconds else 0.0
    return Cost(
        machine=machine,
        asr=use.heard_seconds / SECONDS_PER_MINUTE * prices.asr_minute,
        llm=tokens + wasted_tokens,
        tts=use.characters * prices.tts_million_characters / MILLION,
        wasted=wasted_tokens + machine * wasted_share,
    )


def break_even_minutes(prices: Prices, minute_price: float, use_cost_per_minute: float) -> float | None:
    """Return the minutes of calls an hour above which this machine is cheaper than ``minute_price``.

    None where it never is: what is bought by use alone costs more than that.
    """
    margin = minute_price - use_cost_per_minute
    return prices.hour / margin if margin > 0 else None


class MachineShare:
    """Shares one process's machine among its calls; thread-safe.

    ``now`` is monotonic seconds and never goes back.
    """

    def __init__(self, now: float) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._active = 0
        self._share = 0.0
        self._idle = 0.0

    def begin(self, now: float) -> float:
        """A call begins; return the mark to give to :meth:`end`."""
        with self._lock:
            self._advance(now)
            self._active += 1
            return self._share

    def end(self, mark: float, now: float) -> float:
        """The call with ``mark`` ends; return its share of the machine, seconds."""
        with self._lock:
            self._advance(now)
            self._active -= 1
            return self._share - mark

    def idle_seconds(self, now: float) -> float:
        """Return how long no call has been in progress so far."""
        with self._lock:
            self._advance(now)
            return self._idle

    def _advance(self, now: float) -> None:
        passed = max(0.0, now - self._now)
        self._now = max(self._now, now)
        if self._active:
            self._share += passed / self._active
        else:
            self._idle += passed
