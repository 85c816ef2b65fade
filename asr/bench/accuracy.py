"""Error rate: streamed through the ear, against faster-whisper over the whole file on the same model."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

import ctranslate2
import jiwer
import numpy as np
from faster_whisper import WhisperModel
from whisper_normalizer.english import EnglishTextNormalizer

from asr.bench import HALVES
from asr.bench.corpus import TURN_KINDS, Clip, silence, telephone
from asr.bench.offline import Player, Run
from asr.confidence import Thresholds
from asr.events import EventType

#: Beam of the batch decoding that is compared with; what pipecat's WhisperSTTService uses.
BATCH_BEAM = 5
#: Silence played after each clip, so that its last turn can end, seconds.
TAIL_SECONDS = 2.5
TELEPHONE = "telephone (8 kHz mu-law)"
TELEPHONE_KINDS = ("short_command", "read_sentence")
EAGER_THRESHOLD = 0.5
SEED = 0
#: Kinds that came over an 8 kHz line, and are played as a client would send them.
NARROWBAND = (TELEPHONE, "phone_8k")

_whisper = EnglishTextNormalizer()


def normalise(text: str) -> str:
    """Return ``text`` as Whisper's authors compare it, with numbers digit by digit."""
    return " ".join(re.sub(r"(?<=\d)(?=\d)", " ", _whisper(text)).split())


@dataclass(frozen=True)
class Heard:
    """One clip and what two ways of decoding made of it."""

    kind: str
    half: str
    truth: str
    streamed: str
    batch: str
    run: Run


def measure(
    clips: list[Clip], player: Player, batch: WhisperModel, progress: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[str, Any]:
    """Return error rates by kind, in percent, and how partials and eager transcripts fared."""
    spoken = [clip for clip in clips if clip.has_true_text and clip.kind in TURN_KINDS]
    pairs = [(clip.kind, clip) for clip in spoken]
    pairs += [
        (TELEPHONE, replace(clip, audio=telephone(clip.audio)))
        for clip in spoken
        if clip.kind in TELEPHONE_KINDS
    ]
    # Where faster-whisper doubts a text it draws another at random.
    ctranslate2.set_random_seed(SEED)
    heard = [_hear(kind, clip, player, batch) for kind, clip in progress(pairs)]
    return {
        "rows": _rows(heard),
        "halves": [
            {"half": half, **row}
            for half in HALVES
            for row in _rows([item for item in heard if item.half == half])
        ],
        "eager_to_final_agreement": _share(_eager_agreement(item.run) for item in heard),
        "partial_stability": _share(_stability(item.run) for item in heard),
        "eager_ends": sum(len(item.run.of(EventType.EAGER_END)) for item in heard),
        "eager_ends_withdrawn": sum(len(item.run.of(EventType.RESUMED)) for item in heard),
    }


def _hear(kind: str, clip: Clip, player: Player, batch: WhisperModel) -> Heard:
    run = player.play(
        np.concatenate([clip.audio, silence(TAIL_SECONDS)]),
        Thresholds(eager=EAGER_THRESHOLD),
        narrowband=kind in NARROWBAND,
    )
    segments, _ = batch.transcribe(clip.audio, beam_size=BATCH_BEAM, language="en")
    return Heard(kind, clip.half, clip.text, run.text, " ".join(segment.text for segment in segments), run)


def _rows(heard: list[Heard]) -> list[dict[str, Any]]:
    kinds = sorted({item.kind for item in heard})
    rows = [_row(kind, [item for item in heard if item.kind == kind]) for kind in kinds]
    return [*rows, _row("all", heard)] if heard else []


def _row(kind: str, heard: list[Heard]) -> dict[str, Any]:
    truth = [normalise(item.truth) for item in heard]
    streamed = 100 * jiwer.wer(truth, [normalise(item.streamed) for item in heard])
    batch = 100 * jiwer.wer(truth, [normalise(item.batch) for item in heard])
    return {
        "kind": kind,
        "clips": len(heard),
        "words": sum(len(item.split()) for item in truth),
        "streamed_percent": round(streamed, 2),
        "batch_percent": round(batch, 2),
        "points": round(streamed - batch, 2),
    }


def _eager_agreement(run: Run) -> list[bool]:
    """Return, for each turn that had a standing eager end, whether its text is the final one."""
    standing: dict[int, str] = {}
    agreed: list[bool] = []
    for event in run.events:
        if event.type is EventType.EAGER_END:
            standing[event.turn_index] = event.transcript.text
        elif event.type is EventType.RESUMED:
            standing.pop(event.turn_index, None)
        elif event.type is EventType.END and event.turn_index in standing:
            agreed.append(standing[event.turn_index] == event.transcript.text)
    return agreed


def _stability(run: Run) -> list[bool]:
    """Return, for each word of each partial, whether it stands in the final text."""
    final = {event.turn_index: event.transcript.text for event in run.of(EventType.END)}
    kept: list[bool] = []
    for event in [*run.of(EventType.START), *run.of(EventType.UPDATE)]:
        if event.turn_index not in final:
            continue
        words = normalise(event.transcript.text).split()
        matcher = SequenceMatcher(None, words, normalise(final[event.turn_index]).split(), autojunk=False)
        same = sum(block.size for block in matcher.get_matching_blocks())
        kept += [True] * same + [False] * (len(words) - same)
    return kept


def _share(items: Iterable[list[bool]]) -> float:
    flat = [value for item in items for value in item]
    return round(sum(flat) / len(flat), 4) if flat else 1.0
