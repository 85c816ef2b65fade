"""What the words of a transcript say about whether the speaker has finished."""

import re

#: Shifts of the log odds that a turn is complete. One unit makes it 2.7 times as likely, or less likely.
FINISHED_SENTENCE = 0.5
TRAILING_OFF = -1.5
OPEN_WORD = -2.0
OPEN_NUMBER = -1.0

#: English words that do not end a sentence.
OPEN_WORDS = frozenset(
    """
    a an the and or but nor so because if when while that which who whose than as of to from with without
    in into at by for on onto about my your his her its our their this these those some any every
    is are was were am be been i'm it's we're they're you're i'd i'll i've um uh er erm hmm like well
    """.split()  # noqa: SIM905
)
#: Marks that end a sentence, in Latin and in Chinese and Japanese script.
SENTENCE_ENDS = (".", "?", "!", "\u3002", "\uff1f", "\uff01")


def completeness(text: str, language: str) -> float:
    """Return how much ``text`` shifts the log odds that its speaker has finished; 0 says nothing.

    Whisper writes a full stop where the voice falls and dots or a dash where it hangs; in English, a
    conjunction, article, preposition or filler at the end wants more words, and so may a bare number.
    """
    text = text.strip()
    if not text:
        return 0.0
    if text.endswith(("...", "…", "-", "—", ",", ":", ";")):
        return TRAILING_OFF
    last = re.sub(r"[^\w']+$", "", text.split()[-1]).lower()
    if language == "en" and last in OPEN_WORDS and not text.endswith("?"):
        return OPEN_WORD
    if text.endswith(SENTENCE_ENDS):
        return FINISHED_SENTENCE
    return OPEN_NUMBER if last[-1:].isdigit() else 0.0
