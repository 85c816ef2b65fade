"""Specialised vocabulary: what key terms do to the words they name, and to the others."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import jiwer
import numpy as np

from asr.bench.accuracy import normalise
from asr.bench.corpus import Clip, silence
from asr.bench.offline import Player

TAIL_SECONDS = 2.5
#: Terms of other clips that stand in each clip's vocabulary beside its own.
DISTRACTORS = 10


def measure(
    clips: list[Clip], player: Player, progress: Callable[[Iterable[Any]], Iterable[Any]]
) -> dict[str, Any]:
    """Return how many of the terms were heard, and the error rate of the other words, without and with."""
    rare = [clip for clip in clips if clip.row.get("rare_words") and clip.has_true_text]
    terms = sorted({word for clip in rare for word in clip.row["rare_words"]})
    found: dict[str, list[tuple[set[str], str, str]]] = {"without": [], "with": []}
    for index, clip in enumerate(progress(rare)):
        own = list(clip.row["rare_words"])
        others = [term for term in terms if term not in own]
        vocabulary = own + random.Random(index).sample(others, min(DISTRACTORS, len(others)))
        random.Random(index).shuffle(vocabulary)
        audio = np.concatenate([clip.audio, silence(TAIL_SECONDS)])
        wanted = {normalise(term) for term in own}
        for name, keyterms in (("without", ()), ("with", tuple(vocabulary))):
            text = player.play(audio, keyterms=keyterms).text
            found[name].append((wanted, normalise(clip.text), normalise(text)))
    return {"clips": len(rare), "terms": len(terms), **{name: _score(items) for name, items in found.items()}}


def _score(items: list[tuple[set[str], str, str]]) -> dict[str, float]:
    heard = sum(term in f" {text} " for terms, _, text in items for term in terms)
    total = sum(len(terms) for terms, _, _ in items)
    errors = words = 0
    for terms, truth, text in items:
        parts = {word for term in terms for word in term.split()}
        alignment = jiwer.process_words(truth, text or "-").alignments[0]
        reference = truth.split()
        for chunk in alignment:
            span = reference[chunk.ref_start_idx : chunk.ref_end_idx]
            others = sum(word not in parts for word in span)
            words += others
            if chunk.type == "insert":
                errors += chunk.hyp_end_idx - chunk.hyp_start_idx
            elif chunk.type != "equal":
                errors += others
    return {
        "term_error_percent": round(100 * (1 - heard / max(1, total)), 2),
        "other_words_error_percent": round(100 * errors / max(1, words), 2),
    }
