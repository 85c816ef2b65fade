"""Turns out of nothing: ten minutes of noise, silence, tones and music should give none."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from asr.audio import SAMPLE_RATE, Samples
from asr.bench.corpus import NOISE_KIND, Clip, silence
from asr.bench.offline import Player
from asr.events import EventType

TOTAL_SECONDS = 600.0
SILENCE_SECONDS = 60.0
#: Gains at which each recording is played.
GAINS = (1.0, 0.3, 2.0)
#: Call progress tones: their frequencies in hertz, and seconds on and off.
TONES = (
    ((440.0, 480.0), 2.0, 4.0),
    ((480.0, 620.0), 0.5, 0.5),
    ((350.0, 440.0), 5.0, 0.0),
    ((425.0,), 1.0, 4.0),
)
TONE_SECONDS = 15.0


def measure(
    clips: list[Clip], player: Player, progress: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[str, Any]:
    """Return how many turns began and ended, by sound."""
    noises = [(str(clip.row["path"]), clip.audio) for clip in clips if clip.kind == NOISE_KIND]
    sounds = [("silence", silence(SILENCE_SECONDS))]
    sounds += [(f"tone {'+'.join(f'{pitch:g}' for pitch in tone[0])} Hz", call_tone(*tone)) for tone in TONES]
    for gain in GAINS:
        sounds += [(f"{name} x{gain:g}", audio * np.float32(gain)) for name, audio in noises]
    rows, played = [], 0.0
    for name, audio in progress(sounds):
        if played >= TOTAL_SECONDS:
            break
        run = player.play(np.clip(audio, -1, 1))
        played += len(audio) / SAMPLE_RATE
        if run.of(EventType.START) or run.decodes:
            turns = [event.transcript.text for event in run.of(EventType.END)]
            rows.append({"sound": name, "turns": turns, "decodes": sum(run.decodes.values())})
    return {
        "seconds": round(played, 1),
        "turns": sum(len(row["turns"]) for row in rows),
        "sounds_that_were_decoded": rows,
    }


def call_tone(pitches: tuple[float, ...], on: float, off: float) -> Samples:
    """Return a call progress tone at 16 kHz."""
    time = np.arange(int(TONE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    wave = sum(np.sin(2 * np.pi * pitch * time) for pitch in pitches) / len(pitches)
    audible = (time % (on + off)) < on
    return (0.3 * wave * audible).astype(np.float32)
