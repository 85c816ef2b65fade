"""What Whisper would put after the last word: the sign of a sentence's end, or of more to come.

Whisper punctuates by the melody and by the words. The mark itself is a guess that hides how sure it was; the
probabilities of the marks that could stand there do not. Over the quiets of recorded turns they tell an end from a
hesitation better than smart-turn does early on (docs/benchmarks.md), and they are there with the text.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

#: Marks that end a sentence, and marks that do not, in Latin and in Chinese and Japanese script.
ENDS = (".", "?", "!", "\u3002", "\uff1f", "\uff01")
OPEN = (",", ";", ":", "-", "--", "—", "...", "…", "\u3001", "\uff0c")
NO_WORD = "".join(ENDS + OPEN) + " \"'"
#: Added to both probabilities: where neither kind of mark is likely, nothing is said (0), and nothing is certain
#: (at most 3.5).
FLOOR = 0.03


@dataclass(frozen=True)
class Marks:
    """The tokens of marks that end a sentence, and of those that do not."""

    ends: tuple[int, ...]
    open: tuple[int, ...]


def marks(tokenizer: Tokenizer) -> Marks:
    """Return the marks that ``tokenizer`` has."""
    return Marks(_tokens(tokenizer, ENDS), _tokens(tokenizer, OPEN))


def _tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[int, ...]:
    encoded = [tokenizer.encode(form) for text in texts for form in (text, f" {text}")]
    return tuple(sorted({tokens[0] for tokens in encoded if len(tokens) == 1}))


def sentence_log_odds(
    tokens: Sequence[int], logits: Sequence[Any], kept: int, tokenizer: Tokenizer, chosen: Marks
) -> float:
    """Return the log odds that a sentence ends with the last word, against that it goes on; 0 says nothing.

    Args:
        tokens: what was generated.
        logits: of each step, the scores of the whole vocabulary (CTranslate2's ``return_logits_vocab``).
        kept: how many of the text tokens stand in the transcript.
        tokenizer: of the model.
        chosen: its marks.

    """
    texts = [step for step, token in enumerate(tokens) if token < tokenizer.eot][:kept]
    last = next((step for step in reversed(texts) if tokenizer.decode([tokens[step]]).strip(NO_WORD)), None)
    if last is None or last + 1 >= len(logits):
        return 0.0
    probabilities = _softmax(logits[last + 1])
    ends = float(probabilities[list(chosen.ends)].sum())
    goes_on = float(probabilities[list(chosen.open)].sum())
    return math.log((ends + FLOOR) / (goes_on + FLOOR))


def _softmax(logits: Any) -> NDArray[np.float64]:
    near = logits.to_device(ctranslate2.Device.cpu).to(ctranslate2.DataType.float32)
    scores = np.array(near, np.float64).ravel()
    likely = np.exp(scores - scores.max())
    probabilities: NDArray[np.float64] = likely / likely.sum()
    return probabilities
