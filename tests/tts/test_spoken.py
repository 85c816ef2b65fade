# ruff: noqa: RUF001 - other scripts and phonemes
"""Text for the ear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.lexicon import Lexicon
from tts.spoken import words_for_ear


def say(text: str, language: str = "en", lexicon: Lexicon | None = None) -> str:
    """Return what is said for ``text``."""
    words = words_for_ear(text, language, lexicon or Lexicon({}))
    return " ".join(word.spoken for word in words if word.spoken)


@given(st.text(max_size=120))
def test_every_written_word_is_kept(text: str) -> None:
    """Whatever the text, its written words come back verbatim and in order."""
    assert [word.written for word in words_for_ear(text)] == text.split()


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("**Bold**, _soft_ and `code`.", "Bold, soft and code."),
        ("## A heading", "A heading"),
        ("- one item 😀👍🏽!", "one item!"),
        ("See [our site](https://x.com/a?b=1) now.", "See our site now."),
        ("A — b", "A, b"),
        ("```python\nrun()\n```", "run()"),
        ("![plan](https://x.org/plan.png) here", "plan here"),
    ],
)
def test_markdown_and_emoji_are_never_said(text: str, spoken: str) -> None:
    """Signs of markup and pictures leave no sound."""
    assert say(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It is $5.20.", "It is five dollars and twenty cents."),
        ("€3 million", "three million euro"),
        ("$1,234", "one thousand two hundred and thirty-four dollars"),
        ("12.5% of 5,000", "twelve point five percent of five thousand"),
        ("on March 3, 2026", "on March third, twenty twenty-six"),
        ("2026-03-01", "March first twenty twenty-six"),
        ("3/14/2026", "March fourteenth twenty twenty-six"),
        ("at 3:30 pm", "at three thirty P M"),
        ("at 10:00", "at ten o'clock"),
        ("at 5 p.m. we go", "at five P M we go"),
        ("the 1990s", "the nineteen nineties"),
        ("-5°C", "minus five degrees Celsius"),
        ("10 km/h", "ten kilometers per hour"),
        ("22nd", "twenty-second"),
        ("pages 5-10", "pages five to ten"),
        ("BA2490", "B A two four nine zero"),
        ("account 12345678", "account one two three, four five six, seven eight"),
        ("call 911", "call nine one one"),
        ("+1 (555) 010-4477", "plus one, five five five, zero one zero, four four seven seven"),
        ("me@example.com", "me at example dot com"),
        ("https://www.example.com/help", "example dot com slash help"),
        ("Dr. Smith vs. R&D", "Doctor Smith versus R and D"),
        ("<spell>AB1</spell>", "A B one"),
        ("3/4 mile", "three quarters mile"),
        ("1.2.3", "one point two point three"),
        ("v2.10.3", "version two point ten point three"),
        ("Your code is 4821.", "Your code is four eight two one."),
        ("the PIN: 90210", "the PIN: nine zero two, one zero"),
        ("€20–30 each", "twenty to thirty euro each"),
        ("$5K or $2.5M", "five thousand dollars or two point five million dollars"),
        ("$0.99", "ninety-nine cents"),
        ("£5", "five pounds"),
        ("€1.234,56", "one thousand two hundred and thirty-four euro and fifty-six cents"),
        ("R$5", "five Brazilian reals"),
        ("4111 1111 1111 1111", "four one one one, one one one one, one one one one, one one one one"),
        ("DE89 3704 0044 05", "D E eight nine, three seven zero four, zero zero four four, zero five"),
        ("on Main St.", "on Main Street"),
        ("St. Paul", "Saint Paul"),
        ("5th Ave.", "fifth Avenue"),
        ("C++ & C#", "C plus plus and C sharp"),
        ("24/7", "twenty-four seven"),
        ("~5 minutes", "about five minutes"),
        ("100k, 3x", "one hundred thousand, three times"),
        ("6'2\"", "six foot two"),
        ("@offhook", "at offhook"),
        ("№ 5", "number five"),
    ],
)
def test_figures_are_read_as_people_say_them(text: str, spoken: str) -> None:
    """Money, dates, times, measures, codes and addresses become words."""
    assert say(text) == spoken


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("de", "5,20 €", "fünf Euro zwanzig Cent"),
        ("de", "1.234 kg", "eintausendzweihundertvierunddreißig Kilogramm"),
        ("fr", "12 km", "douze kilomètres"),
        ("es", "$5.20", "cinco dólares veinte centavos"),
        ("de", "am 3. Mai um 14:30 Uhr, z. B.", "am dritten Mai um vierzehn Uhr dreißig, zum Beispiel"),
        ("de", "Der 3. Mai", "Der dritte Mai"),
        ("fr", "à 14h30, M. Roy", "à quatorze heures trente, Monsieur Roy"),
        ("es", "a las 3:30", "a las tres y treinta"),
        ("it", "a@b.it", "a chiocciola b punto it"),
        ("pl", "12,50 zł", "dwanaście złotych pięćdziesiąt groszy"),
        ("hi", "यह ठीक है।", "यह ठीक है।"),
        ("xx", "5 b", "five b"),
    ],
)
def test_other_languages(language: str, text: str, spoken: str) -> None:
    """Figures are read in the language of the text."""
    assert say(text, language) == spoken


def test_a_lexicon_says_words_otherwise() -> None:
    """Entries match whole words in any case; phonemes are handed through."""
    lexicon = Lexicon({"nginx": "engine x", "Metformin": "<<m|ɛ|t>>"})
    assert say("Nginx, nginxes", lexicon=lexicon) == "engine x, nginxes"
    words = words_for_ear("take metformin, now", "en", lexicon)
    assert [word.ipa for word in words] == [None, "mɛt,", None]


def test_inline_phonemes() -> None:
    """Cartesia's inline phonemes are taken as they are."""
    assert [word.ipa for word in words_for_ear("<<ˈ|a|b>> there")] == ["ˈab", None]
