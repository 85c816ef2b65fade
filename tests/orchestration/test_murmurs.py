"""What counts as a murmur, in several languages."""

import pytest

from orchestration.murmurs import PHRASES, is_murmur


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Mm-hm."),
        ("en", "Yeah, okay. Right!"),
        ("en", "Uh huh, I see."),
        ("de", "Ach so, genau."),
        ("de", "Ja, ja, alles klar."),
        ("es", "Claro que sí, ajá."),
        ("fr", "D'accord, d'accord."),
        ("fr", "Oui, bien sûr !"),
        ("it", "Sì, ho capito."),
        ("ja", "はい、そうですね。"),
        ("nl", "Ja, oké."),
        ("pl", "No tak, rozumiem."),
        ("pt", "Pois é, tá bom."),
        ("tr", "Hı hı, tamam."),  # noqa: RUF001
        ("zh", "嗯，好的。"),  # noqa: RUF001
        ("xx", "hmm"),
        ("en", ""),
    ],
)
def test_murmurs(language: str, text: str) -> None:
    """Whatever mix of them is said, and however it is written."""
    assert is_murmur(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Yeah, but I meant Rome."),
        ("en", "Wait."),
        ("en", "No."),
        ("en", "I see a problem"),
        ("de", "Nein."),
        ("de", "Ach, warten Sie."),
        ("en", "ja"),
        ("xx", "yeah"),
    ],
)
def test_words_that_take_the_turn(language: str, text: str) -> None:
    """A word of its own, a refusal, and another language's murmur are none."""
    assert not is_murmur(text, language)


def test_every_phrase_is_found_as_it_is_heard() -> None:
    """Each phrase of the lists is one itself: none is spelled in a way that never matches."""
    for language, phrases in PHRASES.items():
        for phrase in phrases:
            assert is_murmur(phrase, language), (language, phrase)
