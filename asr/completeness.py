"""What a transcript says about whether the speaker has finished."""

import re

from asr.confidence import log_odds
from asr.settings import TurnSettings
from asr.transcript import Transcript

#: Shifts of the log odds that a turn is complete. One unit makes it 2.7 times as likely, or less likely.
OPEN_WORD = -1.0
OPEN_NUMBER = -0.5
QUESTION = 0.2

QUESTION_MARKS = ("?", "\uff1f")

#: English words that do not end a sentence.
OPEN_WORDS = frozenset(
    """
    a an the and or but nor so because if when while that which who whose than as of to from with without
    in into at by for on onto about my your his her its our their this these those some any every
    is are was were am be been i'm it's we're they're you're i'd i'll i've um uh er erm hmm like well
    """.split()  # noqa: SIM905
)


def completeness(judged: float, transcript: Transcript, settings: TurnSettings) -> float:
    """Return the log odds that the turn was complete when the quiet began.

    Words and melody are believed up to ``max_end_confidence``, since a whole sentence may be followed by another. A
    whole question goes beyond that whatever smart-turn says: with it the speaker hands the turn over (Sacks,
    Schegloff and Jefferson 1974, "current speaker selects next").

    Args:
        judged: smart-turn's log odds (:func:`asr.confidence.prior`).
        transcript: what was understood.
        settings: how far either is believed.

    """
    surest = log_odds(settings.max_end_confidence)
    if _is_question(transcript, settings):
        return surest + QUESTION
    return min(judged + _words(transcript, settings), surest)


def _is_question(transcript: Transcript, settings: TurnSettings) -> bool:
    """Return whether the words are a whole question, as Whisper is sure."""
    sure = transcript.sentence_log_odds >= settings.question_log_odds
    return sure and transcript.text.rstrip().endswith(QUESTION_MARKS)


def _words(transcript: Transcript, settings: TurnSettings) -> float:
    """Return how much ``transcript`` shifts the log odds; 0 says nothing.

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
