"""How sure the ear is that a turn has ended, and how much quiet it therefore waits for.

The quiet that confirms an end follows from Bayes' rule. smart-turn and the transcript, against the odds of a mere
hesitation, give the odds that the turn was complete when the quiet began. A pause inside a turn lasts ``t`` or
longer with probability ``exp(-t / pause_seconds)`` (speech resumes at a constant rate), a finished turn stays
quiet for ever, so quiet of ``t`` multiplies the odds by ``exp(t / pause_seconds)``. The turn ends when the
posterior passes the client's ``eot_threshold``; the quiet needed is therefore a continuous function of the
confidence, and it is kept between ``min_quiet_seconds`` and ``max_quiet_seconds``.
"""

import math
from dataclasses import dataclass

from asr.settings import TurnSettings

#: smart-turn's probabilities are taken no nearer to 0 and 1 than this.
MAX_END_PROBABILITY = 0.97
#: Mean of its log odds over quiets of 0.13 s and more, half of them ends (344 quiets in recorded turns).
MEAN_END_LOG_ODDS = 0.8


@dataclass(frozen=True)
class Thresholds:
    """What a client may choose for its stream.

    Attributes:
        end: confidence at which a turn is confirmed, 0.5 to 0.9.
        eager: confidence at which an end is announced early, 0.3 to 0.9; None for never.
        timeout: quiet after which a turn ends however unsure, seconds.
        fixed_quiet: quiet after which a turn ends, whatever was said, seconds; None to judge by confidence.

    """

    end: float = 0.7
    eager: float | None = None
    timeout: float = 5.0
    fixed_quiet: float | None = None


def log_odds(probability: float) -> float:
    """Return ``log(p / (1 - p))``."""
    return math.log(probability / (1 - probability))


def prior(probability: float, settings: TurnSettings) -> float:
    """Return the log odds that a turn is complete, from smart-turn's probability alone."""
    believed = min(max(probability, 1 - MAX_END_PROBABILITY), MAX_END_PROBABILITY)
    return settings.end_weight * log_odds(believed) - math.log(settings.hesitation_odds)


def unjudged(settings: TurnSettings) -> float:
    """Return the log odds that a turn is complete before smart-turn has been heard: what it says on average."""
    return settings.end_weight * MEAN_END_LOG_ODDS - math.log(settings.hesitation_odds)


def confidence(complete: float, quiet_seconds: float, settings: TurnSettings) -> float:
    """Return the probability that no more speech is coming.

    Args:
        complete: log odds that the turn was complete when the quiet began.
        quiet_seconds: how long it has been quiet.
        settings: how long pauses inside turns are.

    """
    return 1 / (1 + math.exp(-(complete + quiet_seconds / settings.pause_seconds)))


def needed_quiet(complete: float, thresholds: Thresholds, settings: TurnSettings) -> float:
    """Return the quiet after which a turn ends if nothing more is said, seconds.

    Args:
        complete: log odds that the turn was complete when the quiet began.
        thresholds: what the client chose.
        settings: the bounds, and how long pauses inside turns are.

    """
    if thresholds.fixed_quiet is not None:
        return thresholds.fixed_quiet
    needed = settings.pause_seconds * (log_odds(thresholds.end) - complete)
    return min(max(needed, settings.min_quiet_seconds), longest_quiet(thresholds, settings))


def longest_quiet(thresholds: Thresholds, settings: TurnSettings) -> float:
    """Return the quiet after which a turn ends however unsure the ear is, seconds."""
    return min(settings.max_quiet_seconds, thresholds.timeout)


def ask_time(quiet: float, least_quiet: float, settings: TurnSettings) -> float:
    """Return the last time to ask smart-turn that has come, seconds of quiet; 0 if none has.

    A time is left out where the next one is still early enough for its answer.

    Args:
        quiet: how long it has been quiet, seconds.
        least_quiet: the turn does not end sooner, whatever is answered, seconds.
        settings: when it may be asked at all.

    """
    early = sum(time + settings.judging_seconds <= least_quiet for time in settings.ask_seconds)
    times = settings.ask_seconds[max(0, early - 1) :]
    return max((time for time in times if time <= quiet), default=0.0)


def worth_asking(needed: float, quiet: float, least_quiet: float, settings: TurnSettings) -> bool:
    """Return whether smart-turn is asked again after ``quiet`` seconds: not where there is nothing to win.

    Args:
        needed: quiet after which the turn ends as it was judged last, seconds.
        quiet: how long it has been quiet, seconds.
        least_quiet: the turn does not end sooner, whatever is answered, seconds.
        settings: what is worth winning.

    """
    return needed > max(quiet, least_quiet) + settings.ask_again_gain_seconds
