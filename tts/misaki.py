# ruff: noqa: RUF001, RUF002 - phonemes
"""From espeak's phonemes to those Kokoro was trained on.

Kokoro's alphabet is that of its phonemiser misaki: one letter for a diphthong (``A`` for eɪ), for an affricate
(``ʤ``) and for the flap of American English (``T``), and no length marks. What stands for what is documented in
misaki's EN_PHONES.md and its own espeak fallback.
"""

import re
from collections.abc import Mapping
from itertools import accumulate

from tts.pronounce import Pronunciation

#: espeak's voice for a language, by BCP 47 tag; a longer tag goes before its language.
ESPEAK_VOICES = {
    "en": "en-us", "en-gb": "en-gb", "es": "es", "fr": "fr-fr", "hi": "hi", "it": "it", "pt": "pt-br",
}  # fmt: skip

_DIPHTHONGS = {"eɪ": "A", "aɪ": "I", "aʊ": "W", "ɔɪ": "Y", "dʒ": "ʤ", "tʃ": "ʧ"}
_ENGLISH = _DIPHTHONGS | {
    "e": "A", "ɚ": "əɹ", "r": "ɹ", "x": "k", "c\u0327": "k", "ɐ": "ə", "ɬ": "l", "\u0303": "",
    "ʔˌn\u0329": "tᵊn", "ʔn": "tᵊn", "ʔ": "t", "ʲ": "", "n\u0329": "ᵊn", "l\u0329": "ᵊl", "\u0329": "",
}  # fmt: skip
_AMERICAN = _ENGLISH | {"oʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "o": "ɔ", "ɾ": "T"}
_BRITISH = _ENGLISH | {"əʊ": "Q", "eə": "ɛː", "iə": "ɪə", "o": "ɔ"}
_OTHER = _DIPHTHONGS | {"oʊ": "O", "əʊ": "Q", "dz": "ʣ", "ts": "ʦ", "c\u0327": "ç"}
_TABLES = {"en-us": _AMERICAN, "en-gb": _BRITISH}


def espeak_voice(language: str) -> str | None:
    """Return the espeak voice that phonemises BCP 47 tag ``language`` for Kokoro; None where none does."""
    tag = language.lower()
    return ESPEAK_VOICES.get(tag) or ESPEAK_VOICES.get(tag.partition("-")[0])


def to_misaki(said: Pronunciation, voice: str, alphabet: Mapping[str, int]) -> Pronunciation:
    """Return ``said`` in Kokoro's alphabet; the ranges of its words follow.

    Args:
        said: espeak's phonemes (code points, NFD).
        voice: the espeak voice they are of.
        alphabet: the symbols the model knows; others are left out.

    """
    table = _TABLES.get(voice, _OTHER)
    written: list[str] = [""] * len(said.symbols)
    for match in _pattern(table).finditer(said.symbols):
        mapped = table.get(match[0], match[0])
        written[match.start()] = "".join(symbol for symbol in mapped if symbol in alphabet)
    ends = [0, *accumulate(map(len, written))]
    return Pronunciation("".join(written), tuple((ends[first], ends[last]) for first, last in said.spans))


def _pattern(table: Mapping[str, str]) -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, table), key=len, reverse=True)
    return re.compile(rf"{'|'.join(longest_first)}|.", re.DOTALL)  # re keeps what it has compiled
