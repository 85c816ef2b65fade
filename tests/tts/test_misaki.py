# ruff: noqa: RUF001 - phonemes
"""espeak's phonemes in Kokoro's alphabet."""

import unicodedata

import pytest

from tts.misaki import espeak_voice, to_misaki
from tts.pronounce import Pronunciation

ALPHABET = dict.fromkeys("AIWYOQʤʧTᵊɹɜɔəɛɪiuæʌkptdsznŋlmbfvðθʃʒhjwɡˈˌː ,.aeoçʣʦ\u0303ɑʊɾ", 1)


def said(*words: str) -> Pronunciation:
    """Return words one after the other, spaces between."""
    symbols = unicodedata.normalize("NFD", " ".join(words))
    spans, at = [], 0
    for word in words:
        length = len(unicodedata.normalize("NFD", word))
        spans.append((at, at + length))
        at += length + 1
    return Pronunciation(symbols, tuple(spans))


@pytest.mark.parametrize(
    ("voice", "espeak", "misaki"),
    [
        ("en-us", "həlˈoʊ", "həlˈO"),
        ("en-us", "kˈæpɪɾəl", "kˈæpɪTəl"),
        ("en-us", "dʒˈʌdʒ", "ʤˈʌʤ"),
        ("en-us", "mˈɔːɹnɪŋ", "mˈɔɹnɪŋ"),
        ("en-us", "bˈɜːd", "bˈɜɹd"),
        ("en-gb", "ɡˈəʊ", "ɡˈQ"),
        ("en-gb", "kˈɑː", "kˈɑː"),
        ("es", "dˈitʃo", "dˈiʧo"),
        ("fr-fr", "bɔ̃", "bɔ\u0303"),
    ],
)
def test_each_language_has_its_letters(voice: str, espeak: str, misaki: str) -> None:
    """Diphthongs and affricates are one letter; length is kept where the network knows it."""
    assert to_misaki(said(espeak), voice, ALPHABET).symbols == misaki


def test_words_keep_their_ranges() -> None:
    """However many letters a word loses, the next one's range is its own; unknown signs are left out."""
    converted = to_misaki(said("tʃˈaɪ", "☃", "dʒˈoʊ."), "en-us", ALPHABET)
    assert converted.symbols == "ʧˈI  ʤˈO."
    assert [converted.symbols[start:end] for start, end in converted.spans] == ["ʧˈI", "", "ʤˈO."]


def test_a_region_without_phonemes_of_its_own_has_its_language_s() -> None:
    """A language Kokoro does not speak has none."""
    voices = [espeak_voice(tag) for tag in ("en", "en-GB", "en-AU", "pt-BR", "de")]
    assert voices == ["en-us", "en-gb", "en-us", "pt-br", None]
