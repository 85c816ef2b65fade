# ruff: noqa: RUF001 - signs of many scripts
"""Text for the ear: what is said for each written word.

Markdown, emoji and other signs are never said. Figures, money, dates, times, measures, telephone numbers, codes
and addresses are read as people say them. Rules look for what they know, in order; what an earlier rule has
taken, a later one leaves alone. What no rule takes stays as it is, and the engine says it.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import phonenumbers
from phonenumbers import Leniency, PhoneNumberMatcher

from tts.english import MONTHS, EnglishRules
from tts.lexicon import EMPTY, Lexicon
from tts.numerals import CURRENCIES, UNITS, Numerals, numerals
from tts.speech import Word
from tts.wording import ADDRESS, LanguageRules, Say

#: Characters of markup that are never said: emphasis, code, headings, quotes, tables, links.
_MARKUP = str.maketrans(dict.fromkeys("*_`~|[]{}<>^#\\", " "))
_ATTACHED = re.compile(r"\s+([,.;:!?…])")
#: Variation selector, keycap and joiner, which only make emoji.
_PICTURE_PARTS = frozenset("\ufe0f\u20e3\u200d")
_PAUSE_SIGNS = frozenset("-–—/")
_NUMBER = r"\d[\d.,\u00a0\u202f]*\d|\d"
_SCALES = "thousand|million|billion|trillion"
_SIGN = "(?:" + "|".join(re.escape(sign) for sign in CURRENCIES if not sign.isalpha()) + ")"
_CODE = "(?:" + "|".join(code for code in CURRENCIES if code.isalpha()) + ")"
#: Letters after an amount of money that stand for a scale.
_SCALE_LETTERS = {"K": "thousand", "k": "thousand", "M": "million", "B": "billion", "bn": "billion"}
_UNIT = "(?:" + "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True)) + ")"
_SYMBOLS = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "×": "times",
    "÷": "divided by",
    "@": "at",
    "±": "plus or minus",
}
_REGIONS = {"en": "US", "de": "DE", "fr": "FR", "es": "ES", "it": "IT", "nl": "NL", "pt": "PT"}
#: Figures in a row that are an account or a postal code rather than a quantity.
_LEAST_CODE_DIGITS = 5
_PHONE_SEPARATORS = frozenset("+(- .")


@dataclass(frozen=True)
class _Rewrite:
    start: int
    end: int
    spoken: str
    ipa: str | None = None


def words_for_ear(text: str, language: str = "en", lexicon: Lexicon = EMPTY) -> tuple[Word, ...]:
    """Return the words of ``text``, each with what is said for it.

    Args:
        text: a clause or more, possibly with Markdown, inline phonemes (``<<…>>``) or ``<spell>`` tags.
        language: BCP 47 tag.
        lexicon: what its owner wants said otherwise.

    """
    rewrites = _find_rewrites(text, language, lexicon)
    words: list[Word] = []
    for token in re.finditer(r"\S+", text):
        written = token[0]
        spoken, ipa = _say_token(text, token.start(), token.end(), rewrites)
        if ipa is None and not any(character.isalnum() for character in spoken):
            _add_pause(words, spoken)
            spoken = ""
        words.append(Word(written, spoken, ipa))
    return tuple(words)


def _find_rewrites(text: str, language: str, lexicon: Lexicon) -> list[_Rewrite]:
    rewrites = [_Rewrite(e.start, e.end, e.spoken, e.ipa) for e in lexicon.find(text)]
    taken = bytearray(len(text))
    for rewrite in rewrites:
        taken[rewrite.start : rewrite.end] = b"\1" * (rewrite.end - rewrite.start)
    for found in _apply_rules(text, language):
        if not any(taken[found.start : found.end]):
            taken[found.start : found.end] = b"\1" * (found.end - found.start)
            rewrites.append(found)
    return sorted(rewrites, key=lambda rewrite: rewrite.start)


def _apply_rules(text: str, language: str) -> Iterator[_Rewrite]:
    speller = _Rules(language)
    yield from speller.addresses(text)
    for pattern, say in speller.rules():
        if pattern is _PHONES:
            yield from speller.phones(text)
            continue
        for match in pattern.finditer(text):
            if (said := say(match)) is not None:
                yield _Rewrite(match.start(), match.end(), said)


def _say_token(text: str, start: int, end: int, rewrites: list[_Rewrite]) -> tuple[str, str | None]:
    """Return what is said for the token ``text[start:end]``; what spans several is said with its first."""
    parts: list[str] = []
    ipa: str | None = None
    at = start
    for rewrite in rewrites:
        if rewrite.end <= at or rewrite.start >= end:
            continue
        parts.append(_clean(text[at : max(at, rewrite.start)]))
        if rewrite.start >= start:
            parts.append(f" {rewrite.spoken} ")
            ipa = rewrite.ipa or ipa
        at = min(end, rewrite.end)
    parts.append(_clean(text[at:end]))
    spoken = _ATTACHED.sub(r"\1", " ".join("".join(parts).split()))
    return (spoken, ipa + spoken) if ipa else (spoken, None)


def _clean(raw: str) -> str:
    plain = "".join(" " if _is_picture(character) else character for character in raw.translate(_MARKUP))
    return re.sub(r"(?<=\w)/(?=\w)", " ", plain)


def _is_picture(character: str) -> bool:
    """Whether ``character`` is an emoji, part of one, or another sign without a name one would say."""
    return character in _PICTURE_PARTS or unicodedata.category(character) in {"So", "Sk", "Cs", "Co", "Cn"}


def _add_pause(words: list[Word], signs: str) -> None:
    """Give punctuation that stands alone, or a dash, to the last word that is said."""
    pause = "," if _PAUSE_SIGNS.intersection(signs) else signs[:1]
    for index in range(len(words) - 1, -1, -1):
        word = words[index]
        if word.spoken and pause and word.spoken[-1].isalnum():
            words[index] = Word(word.written, word.spoken + pause, word.ipa)
        if word.spoken or word.ipa:
            return


_PHONES = re.compile(r"(?!)")  # stands in the list of rules for what phonenumbers finds


class _Rules:
    """The rules of one language."""

    def __init__(self, language: str) -> None:
        self._numerals: Numerals = numerals(language)
        self._english = self._numerals.language == "en"
        self._month_first = self._english and self._numerals.locale.territory in {None, "US"}

    def rules(self) -> Iterator[tuple[re.Pattern[str], Say]]:
        """Yield patterns and what is said for their matches, the most particular first."""
        yield _compile(r"<spell>(.*?)</spell>"), lambda m: self._spell(m[1])
        yield _compile(r"<[/a-zA-Z][^<>]*>|```[\w+-]*|!(?=\[)"), lambda _: ""
        yield _compile(r"\b[A-Z]{2}\d{2}(?: [A-Z\d]{4}){2,}(?: [A-Z\d]{1,4})?\b"), lambda m: self._spell(m[0])
        yield _compile(r"\b\d{4}(?: \d{4}){2,}(?: \d{1,4})?\b"), lambda m: self._spell(m[0])
        yield _compile(r"\b(\d{4})-(\d{2})-(\d{2})\b"), lambda m: self._date(int(m[1]), int(m[2]), int(m[3]))
        yield _compile(r"\b(\d{1,2})[/.](\d{1,2})[/.](\d{4})\b"), self._written_date
        if self._english:
            yield from EnglishRules(self._numerals).rules()
        yield from LanguageRules(self._numerals).rules()
        letters = "|".join(_SCALE_LETTERS)
        yield (
            _compile(rf"({_SIGN})\s?({_NUMBER})\s?[–-]\s?(?:{_SIGN})?({_NUMBER})(?![\d.,]*\d)"),
            self._money_range,
        )
        yield (
            _compile(rf"({_SIGN})\s?({_NUMBER})(?:\s({_SCALES})\b|({letters})\b)?"),
            lambda m: self._money(m[2], m[1], m[3] or _SCALE_LETTERS.get(m[4])),
        )
        yield _compile(rf"\b({_NUMBER})\s?({_SIGN}|{_CODE}\b)"), lambda m: self._money(m[1], m[2], None)
        yield _compile(rf"(?<![\w.])([-−]?(?:{_NUMBER}))\s?%"), self._percent
        yield _compile(rf"(?<![\w.])([-−]?(?:{_NUMBER}))\s?({_UNIT})(?![\w/])"), self._measure
        yield _PHONES, lambda _: None
        if self._english:
            yield _compile(r"(?<!\w)[&+=×÷@±](?=\s|\d)|&(?=\w)"), lambda m: f"{_SYMBOLS[m[0]]} "
        yield _compile(r"\b\d+(?:\.\d+){2,}\b"), self._version
        yield _compile(r"\b(?=[A-Z-]*\d)(?=[\d-]*[A-Z])[A-Z\d]+(?:-[A-Z\d]+)*\b"), lambda m: self._spell(m[0])
        yield _compile(r"\b\d{2,}(?:-\d{2,}){2,}\b"), lambda m: self._spell(m[0])
        yield _compile(rf"(?<![\w.,])(?:\d{{{_LEAST_CODE_DIGITS},}}|0\d+)(?![\w]|[.,]\d)"), self._account
        yield _compile(r"\b(\d{1,4})\s?[–-]\s?(\d{1,4})\b"), self._range
        if self._english:
            yield _compile(r"\b(1[1-9]\d\d|20\d\d)\b(?![.,]\d)"), lambda m: self._numerals.year(int(m[1]))
        yield _compile(rf"(?<![\w.,])[-−]?(?:{_NUMBER})(?![\w])"), lambda m: self._number(m[0])

    def addresses(self, text: str) -> Iterator[_Rewrite]:
        """Yield e-mail and web addresses; the target of a Markdown link is not said."""
        for match in re.finditer(r"(?<=\])\((?:https?://|/|mailto:)[^)\s]*\)", text):
            yield _Rewrite(match.start(), match.end(), "")
        if self._numerals.language not in ADDRESS:
            return
        pattern = (
            r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?:https?://|www\.)[^\s<>()\[\]]*[\w/]"
            r"|\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|ai|co|edu|gov|uk|de|fr|eu|es|it|nl|pt|br)\b(?:/[\w/.-]*\w)?"
        )
        for match in re.finditer(pattern, text):
            yield _Rewrite(match.start(), match.end(), self._address(match[0]))

    def phones(self, text: str) -> Iterator[_Rewrite]:
        """Yield telephone numbers."""
        region = self._numerals.locale.territory or _REGIONS.get(self._numerals.language, "US")
        if sum(character.isdigit() for character in text) < 7:
            return
        for match in PhoneNumberMatcher(text, region, leniency=Leniency.POSSIBLE):
            raw = match.raw_string
            if len(_PHONE_SEPARATORS.intersection(raw)) and match.start is not None:
                said = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.NATIONAL)
                country = f"+{match.number.country_code} " if raw.startswith("+") else ""
                plus = "plus " if country and self._english else ""
                yield _Rewrite(match.start, match.end, plus + self._spell((country + said).replace("(", "")))

    def _money_range(self, match: re.Match[str]) -> str | None:
        first, last = self._number(match[2]), self._money(match[3], match[1], None)
        return f"{first} to {last}" if first and last and self._english else None

    def _number(self, figures: str) -> str | None:
        value = self._numerals.parse(figures)
        return None if value is None else self._numerals.cardinal(value)

    def _money(self, figures: str, sign: str, scale: str | None) -> str | None:
        value = self._numerals.parse(figures)
        return None if value is None else self._numerals.money(value, sign, scale or "")

    def _percent(self, match: re.Match[str]) -> str | None:
        number = self._number(match[1])
        return f"{number} percent" if number and self._english else None

    def _measure(self, match: re.Match[str]) -> str | None:
        value = self._numerals.parse(match[1])
        return None if value is None else self._numerals.measure(value, match[2])

    def _range(self, match: re.Match[str]) -> str | None:
        if not self._english or int(match[1]) >= int(match[2]):
            return None
        first, last = (self._quantity(figures) for figures in match.groups())
        return f"{first} to {last}"

    def _quantity(self, figures: str) -> str | None:
        if re.fullmatch(r"1[1-9]\d\d|20\d\d", figures):
            return self._numerals.year(int(figures))
        return self._numerals.cardinal(int(figures))

    def _version(self, match: re.Match[str]) -> str:
        parts = match[0].split(".")
        point = "" if not self._english else "dot " if len(parts) > 3 else "point "
        return f" {point}".join(self._numerals.cardinal(int(part)) or part for part in parts)

    def _account(self, match: re.Match[str]) -> str:
        return self._numerals.digits(match[0], group=3 if len(match[0]) > _LEAST_CODE_DIGITS else 0)

    def _spell(self, code: str) -> str:
        """Say letters and figures one by one, with a pause where something separates them."""
        groups = [group for group in re.split(r"[^A-Za-z\d]+", code) if group]
        return ", ".join(
            " ".join(self._numerals.digits(c) if c.isdigit() else c.upper() for c in group)
            for group in groups
        )

    def _address(self, address: str) -> str:
        words = ADDRESS[self._numerals.language]
        bare = re.sub(r"^https?://(?:www\.)?|^www\.", "", address).rstrip("/")
        return " ".join(
            words.get(part) or (self._numerals.digits(part) if part.isdigit() else part)
            for part in re.findall(r"[^\W\d_]+|\d+|[\W_]", bare)
        )

    def _written_date(self, match: re.Match[str]) -> str | None:
        first, second, year = map(int, match.groups())
        month, day = (first, second) if self._month_first else (second, first)
        return self._date(year, month, day)

    def _date(self, year: int, month: int, day: int) -> str | None:
        try:
            when = date(year, month, day)
        except ValueError:
            return None
        if self._english:
            spoken = f"{MONTHS[month - 1]} {self._numerals.ordinal(day)}"
            return f"{spoken} {self._numerals.year(year)}"
        return re.sub(r"(\d+)(\.?)", self._figure_of_date, self._numerals.date(when))

    def _figure_of_date(self, match: re.Match[str]) -> str:
        value = int(match[1])
        return (self._numerals.ordinal(value) if match[2] else self._numerals.cardinal(value)) or match[0]


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)  # re keeps what it has compiled
