"""Turn taking: false cut-offs against delay, as a curve over thresholds, beside fixed silence.

Every quiet of every clip is played once with an ear that never ends a turn by itself, and what it knew as
the quiet went on is kept. From that the outcome at any threshold follows: a quiet inside a clip that is longer
than what the ear would have waited for is a false cut-off; the wait at the clip's end is its delay.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from asr.bench import HALVES
from asr.bench.corpus import Clip, silence
from asr.bench.offline import Player, Quiet
from asr.completeness import completeness
from asr.confidence import Thresholds, ask_time, needed_quiet, prior, worth_asking
from asr.settings import TurnSettings
from asr.turn import TOLERANCE_SECONDS

#: Silence played after each clip: longer than the ear is made to wait, seconds.
TAIL_SECONDS = 6.0
#: Odds of a hesitation at which no turn ends before its longest quiet; odds at which no question is whole.
NEVER = 1e9
END_THRESHOLDS = tuple(step / 100 for step in range(50, 91))
SHOWN = END_THRESHOLDS[::5]
FIXED_SECONDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
REFERENCE_SECONDS = 0.3
#: What is tried on the half that settings are chosen on, to see how far those in force are from the best of them.
GRID = {
    "punctuation_weight": (0.6, 0.9, 1.2),
    "end_weight": (0.1, 0.3, 0.5),
    "hesitation_odds": (8.0, 12.0, 18.0),
    "pause_seconds": (0.4, 0.6, 0.8),
}


@dataclass(frozen=True)
class Pause:
    """One quiet of one clip."""

    clip: int
    half: str
    quiet: Quiet


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
    chosen_on = [pause for pause in pauses if pause.half == HALVES[0]] or pauses
    best = min(_grid(settings), key=lambda choice: _cost(chosen_on, choice))
    compared = [
        {"settings": name, **row}
        for name, choice in (("in force", settings), ("best of the grid", best))
        for row in _by_half(pauses, chosen_on, choice)
    ]
    return {
        "clips": len(single),
        "pauses": sum(pause.quiet.seconds is not None for pause in pauses),
        "best_of_the_grid": {name: getattr(best, name) for name in GRID},
        "ear": [_outcome(pauses, at, _waits(pauses, at, settings)) for at in SHOWN],
        "fixed_silence": [_outcome(pauses, at, [at] * len(pauses)) for at in FIXED_SECONDS],
        "at_the_median_delay_of_fixed_silence": compared,
    }


def _grid(settings: TurnSettings) -> list[TurnSettings]:
    return [
        settings.model_copy(update=dict(zip(GRID, values, strict=True))) for values in product(*GRID.values())
    ]


def _matched(pauses: list[Pause], settings: TurnSettings) -> dict[str, Any]:
    """Return the outcome at the threshold with the fewest false cut-offs at fixed silence's median delay."""
    points = [_outcome(pauses, at, _waits(pauses, at, settings)) for at in END_THRESHOLDS]
    fitting = [point for point in points if point["median_delay"] <= REFERENCE_SECONDS]
    return min(fitting or points, key=lambda point: (point["false_cut_offs"], point["mean_delay"]))


def _cost(pauses: list[Pause], settings: TurnSettings) -> tuple[bool, float, float]:
    """Return what is to be small: a median delay that is never as short, false cut-offs, the mean delay."""
    found = _matched(pauses, settings)
    return found["median_delay"] > REFERENCE_SECONDS, found["false_cut_offs"], found["mean_delay"]


def _by_half(pauses: list[Pause], chosen_on: list[Pause], settings: TurnSettings) -> list[dict[str, Any]]:
    """Return what each half makes of the threshold that was chosen on one of them."""
    threshold = _matched(chosen_on, settings)["at"]
    halves = {half: [pause for pause in pauses if pause.half == half] for half in HALVES}
    parts = {half: part for half, part in halves.items() if part}
    return [
        {"half": half, **_compare(part, threshold, settings)}
        for half, part in {**parts, "both": pauses}.items()
    ]


def _compare(pauses: list[Pause], threshold: float, settings: TurnSettings) -> dict[str, Any]:
    """Return the ear's false cut-offs at ``threshold`` beside those of fixed silence."""
    fixed = _outcome(pauses, REFERENCE_SECONDS, [REFERENCE_SECONDS] * len(pauses))
    ear = _outcome(pauses, threshold, _waits(pauses, threshold, settings))
    return {
        "clips": len({pause.clip for pause in pauses}),
        "pauses": sum(pause.quiet.seconds is not None for pause in pauses),
        "eot_threshold": threshold,
        "false_cut_offs": ear["false_cut_offs"],
        "of_fixed_silence": fixed["false_cut_offs"],
        "ratio": round(ear["false_cut_offs"] / max(1, fixed["false_cut_offs"]), 3),
        "median_delay": ear["median_delay"],
        "mean_delay": ear["mean_delay"],
    }


def _pauses(index: int, clip: Clip, player: Player, settings: TurnSettings) -> list[Pause]:
    patient = settings.model_copy(
        update={"max_quiet_seconds": TAIL_SECONDS, "hesitation_odds": NEVER, "question_log_odds": NEVER}
    )
    audio = np.concatenate([clip.audio, silence(TAIL_SECONDS)])
    run = player.play(audio, Thresholds(end=END_THRESHOLDS[0], timeout=TAIL_SECONDS), turn=patient)
    return [Pause(index, clip.half, item) for item in run.quiets(settings)]


def _waits(pauses: list[Pause], threshold: float, settings: TurnSettings) -> list[float]:
    return [_wait(pause.quiet, Thresholds(end=threshold), settings) for pause in pauses]


def _wait(quiet: Quiet, thresholds: Thresholds, settings: TurnSettings) -> float:
    """Return the quiet after which the ear ends the turn, as :class:`asr.turn.TurnDetector` asks and decides."""
    wait = math.inf
    for item in quiet.judgements:
        asked = item.time - quiet.start
        least, most = (
            needed_quiet(completeness(judged, item.transcript, settings), thresholds, settings)
            for judged in (math.inf, -math.inf)
        )
        if least == most:
            return least
        if not ask_time(asked + TOLERANCE_SECONDS, least, settings):
            continue
        if not worth_asking(wait, asked, least, settings):
            break
        complete = completeness(prior(item.probability, settings), item.transcript, settings)
        needed = needed_quiet(complete, thresholds, settings)
        wait = max(asked, needed)
    return wait


def _outcome(pauses: list[Pause], at: float, waits: list[float]) -> dict[str, Any]:
    pairs = list(zip(pauses, waits, strict=True))
    cut = [pause for pause, wait in pairs if pause.quiet.seconds is not None and pause.quiet.seconds >= wait]
    delays = [wait for pause, wait in pairs if pause.quiet.seconds is None]
    return {
        "at": at,
        "false_cut_offs": len(cut),
        "clips_cut": len({pause.clip for pause in cut}),
        "median_delay": round(statistics.median(delays), 3),
        "mean_delay": round(statistics.fmean(delays), 3),
        "p95_delay": round(float(np.percentile(delays, 95)), 3),
    }
