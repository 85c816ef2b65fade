"""Turn taking: false cut-offs against delay, as a curve over thresholds, beside fixed silence.

Every quiet of every clip is played once with an ear that never ends a turn by itself, and what it knew when
the quiet began is kept. From that the outcome at any threshold follows: a quiet inside a clip that is longer
than what the ear would have waited for is a false cut-off; the wait at the clip's end is its delay.
"""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from asr.bench.corpus import Clip, silence
from asr.bench.offline import Player
from asr.settings import TurnSettings
from asr.turn import Thresholds, log_odds

#: Silence played after each clip: longer than the ear is made to wait, seconds.
TAIL_SECONDS = 6.0
END_THRESHOLDS = tuple(step / 100 for step in range(50, 91))
SHOWN = END_THRESHOLDS[::5]
FIXED_SECONDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
REFERENCE_SECONDS = 0.3


@dataclass(frozen=True)
class Pause:
    """One quiet of one clip."""

    clip: int
    seconds: float | None
    log_odds: float


def measure(
    clips: list[Clip],
    player: Player,
    settings: TurnSettings,
    progress: Callable[[Iterable[Any]], Iterable[Any]],
) -> dict[str, Any]:
    """Return the curves of the ear and of fixed silence."""
    single = [clip for clip in clips if clip.single_turn]
    pauses: list[Pause] = []
    for index, clip in enumerate(progress(single)):
        pauses += _pauses(index, clip, player, settings)
    fixed = [_outcome(pauses, at, [at] * len(pauses)) for at in FIXED_SECONDS]
    reference = next(point for point in fixed if point["at"] == REFERENCE_SECONDS)
    ear = [_outcome(pauses, at, _waits(pauses, at, settings)) for at in END_THRESHOLDS]
    fitting = [point for point in ear if point["median_delay"] <= reference["median_delay"]]
    matched = min(fitting, key=lambda point: point["false_cut_offs"])
    return {
        "clips": len(single),
        "pauses": sum(pause.seconds is not None for pause in pauses),
        "ear": [point for point in ear if point["at"] in SHOWN],
        "fixed_silence": fixed,
        "ear_at_the_reference_median_delay": [matched],
        "ratio_of_false_cut_offs": round(matched["false_cut_offs"] / max(1, reference["false_cut_offs"]), 3),
    }


def needed(log_odds_complete: float, threshold: float, settings: TurnSettings) -> float:
    """Return the quiet after which a turn ends, seconds; as :meth:`asr.turn.TurnDetector.needed_quiet`."""
    wait = settings.pause_seconds * (log_odds(threshold) - log_odds_complete)
    return min(max(wait, settings.min_quiet_seconds), settings.max_quiet_seconds)


def _pauses(index: int, clip: Clip, player: Player, settings: TurnSettings) -> list[Pause]:
    patient = settings.model_copy(update={"max_quiet_seconds": 10.0, "min_quiet_seconds": 5.0})
    audio = np.concatenate([clip.audio, silence(TAIL_SECONDS)])
    run = player.play(audio, Thresholds(end=0.9, timeout=10.0), turn=patient)
    return [Pause(index, item.seconds, item.log_odds) for item in run.quiets(settings)]


def _waits(pauses: list[Pause], threshold: float, settings: TurnSettings) -> list[float]:
    return [needed(pause.log_odds, threshold, settings) for pause in pauses]


def _outcome(pauses: list[Pause], at: float, waits: list[float]) -> dict[str, Any]:
    pairs = list(zip(pauses, waits, strict=True))
    cut = [pause for pause, wait in pairs if pause.seconds is not None and pause.seconds >= wait]
    delays = [wait for pause, wait in pairs if pause.seconds is None]
    return {
        "at": at,
        "false_cut_offs": len(cut),
        "clips_cut": len({pause.clip for pause in cut}),
        "median_delay": round(statistics.median(delays), 3),
        "mean_delay": round(statistics.fmean(delays), 3),
        "p95_delay": round(float(np.percentile(delays, 95)), 3),
    }
