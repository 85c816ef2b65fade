"""Audio to measure with: a manifest of files with their true texts.

A manifest is a JSON-lines file beside its audio. Each row has ``path`` and ``text``, and may have ``kind`` (a
group in the tables), ``text_source`` (``model`` for a text that a machine wrote: left out of error rates),
``rare_words``, ``tags``, ``eot_count``, ``trail_silence_s``, and ``speaker`` or ``source``.

The settings of the ear are chosen on one half of the recordings, ``tuned``; the other, ``held-out``, tells what they
are worth to a voice they have never met. A speaker is in one half with everything they say.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from faster_whisper.audio import decode_audio

from asr.audio import MULAW, SAMPLE_RATE, Samples
from asr.bench import HALVES
from asr.errors import AudioError

TELEPHONE_RATE = 8000
#: Kinds whose rows hold one speaker's single turn.
TURN_KINDS = ("short_command", "read_sentence", "digits", "names_jargon", "phone_8k")
NOISE_KIND = "noise"


@dataclass(frozen=True)
class Clip:
    """One recording: 16 kHz samples, what is known about them, and the half that its speaker is in."""

    audio: Samples
    row: dict[str, Any]
    half: str = HALVES[0]

    @property
    def kind(self) -> str:
        """Its group in the tables."""
        return str(self.row.get("kind", "speech"))

    @property
    def text(self) -> str:
        """What was said."""
        return str(self.row.get("text") or "")

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.audio) / SAMPLE_RATE

    @property
    def last_speech(self) -> float:
        """When its speech ends, seconds from its start."""
        return self.seconds - float(self.row.get("trail_silence_s") or 0.0)

    @property
    def has_true_text(self) -> bool:
        """Whether a person, not a model, said what the words are."""
        source = str(self.row.get("text_source", ""))
        return bool(self.text) and not source.startswith(("model", "none")) and not self.row.get("wer_skip")

    @property
    def single_turn(self) -> bool:
        """Whether it is one unbroken turn of one speaker."""
        tags = self.row.get("tags") or ()
        return (
            self.kind in TURN_KINDS
            and self.row.get("eot_count", 1) == 1
            and "word_list_with_pauses" not in tags
        )


def load(manifest: Path) -> list[Clip]:
    """Read every clip of a manifest.

    Raises:
        AudioError: there is no manifest, or a row of it has no readable audio.

    """
    if not manifest.is_file():
        raise AudioError(f"no manifest at {manifest}; name one with --manifest")
    clips = []
    try:
        rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
        half = halves(rows)
    except (ValueError, KeyError, AttributeError) as error:
        raise AudioError(f"{manifest}: every line must be a JSON object with a path: {error}") from None
    for row in rows:
        try:
            audio = decode_audio(str(manifest.parent / row["path"]), sampling_rate=SAMPLE_RATE)
        except (OSError, KeyError, ValueError) as error:
            raise AudioError(f"{manifest}: {row.get('path')}: {error}") from None
        clips.append(Clip(audio, row, half[_speaker(row)]))
    return clips


def halves(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the half each speaker is in: those with most clips first, each to the half with fewer clips."""
    counts = Counter(map(_speaker, rows))
    sizes = dict.fromkeys(HALVES, 0)
    chosen: dict[str, str] = {}
    for speaker, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        chosen[speaker] = min(HALVES, key=lambda half: sizes[half])
        sizes[chosen[speaker]] += count
    return chosen


def _speaker(row: dict[str, Any]) -> str:
    return str(row.get("speaker") or row.get("source") or row["path"])


def telephone(audio: Samples) -> Samples:
    """Return what is left of 16 kHz audio after an 8 kHz mu-law line."""
    narrow = soxr.resample(audio, SAMPLE_RATE, TELEPHONE_RATE)
    pcm = (np.clip(narrow, -1, 1) * 32767).astype(np.int16)
    order = np.argsort(MULAW)
    levels = MULAW[order]
    coded = levels[np.clip(np.searchsorted(levels, pcm), 0, len(levels) - 1)]
    wide: Samples = soxr.resample(coded.astype(np.float32) / 32768, TELEPHONE_RATE, SAMPLE_RATE)
    return wide


def linear16(audio: Samples) -> bytes:
    """Return samples as little-endian 16-bit PCM."""
    return (np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes()


def silence(seconds: float) -> Samples:
    """Return silence at 16 kHz."""
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
