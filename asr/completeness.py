"""What a transcript says about whether the speaker has finished."""

import re

from asr.settings import TurnSettings
from asr.transcript import Transcript

#: Shifts of the log odds that a turn is complete. One unit makes it 2.7 times as likely, or less likely.
OPEN_WORD = -1.0
OPEN_NUMBER = -0.5

#: English words that do not end a sentence.
OPEN_WORDS = frozenset(
    """
    a an the and or but nor so because if when while that which who whose than as of to from with without
    in into at by for on onto about my your his her its our their this these those some any every
    is are was were am be been i'm it's we're they're you're i'd i'll i've um uh er erm hmm like well
    """.split()  # noqa: SIM905
)


def completeness(transcript: Transcript, settings: TurnSettings) -> float:
    """Return how much ``transcript`` shifts the log odds that its speaker has finished; 0 says nothing.

    Whisper says what it would put after the last word (:mod:`asr.ending`). Besides, an English conjunction, article,
    preposition or filler at the end wants more words, and so may a bare number.
    """
    shift = settings.punctuation_weight * transcript.sentence_log_odds
    text = transcript.text.strip()
    if not text:
        return shift
    last = re.sub(r"[^\w']+$", "", text.split()[-1]).lower()
    if transcript.language == "en" and last in OPEN_WORDS and not text.endswith("?"):
        return shift + OPEN_WORD
    return shift + OPEN_NUMBER if last[-1:].isdigit() else shift
