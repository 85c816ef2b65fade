"""What only English says in its own way: days, times of day, ordinals, fractions, streets, codes."""

import re
from collections.abc import Iterator
from datetime import date

from tts.numerals import Numerals
from tts.wording import Say

MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
_MONTH = "(?:" + "|".join([*MONTHS, *(rf"{name[:3]}\.?" for name in MONTHS), r"Sept\.?"]) + ")"
_FRACTIONS = {
    "½": "one half", "⅓": "one third", "⅔": "two thirds", "¼": "one quarter", "¾": "three quarters",
    "1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters",
}  # fmt: skip
#: Words before a number that is said figure by figure.
_CODED = "call|dial|extension|ext\\.|code|PIN|passcode|password"


class EnglishRules:
    """Patterns and what is said for their matches."""

    def __init__(self, numerals: Numerals) -> None:
        self._numerals = numerals

    def rules(self) -> Iterator[tuple[re.Pattern[str], Say]]:
        """Yield the rules, the most particular first."""
        day = r"(\d{1,2})(?:st|nd|rd|th)?"
        yield re.compile(rf"\b({_MONTH}) {day}\b(?![:.,]?\d)"), lambda m: self._day(m[1], m[2])
        yield re.compile(rf"\b{day} ({_MONTH})(?!\w)"), lambda m: self._day(m[2], m[1], first="day")
        yield re.compile(r"\b(\d{1,2}):(\d{2})(?:\s?([ap])\.?m\b\.?)?(?!:)"), self._clock
        yield re.compile(r"\b(\d{1,2})\s?([ap])\.?m\b(?:\.(?!\s*$))?"), self._hour
        yield re.compile(r"\b(\d+)(?:st|nd|rd|th)\b"), lambda m: self._numerals.ordinal(int(m[1]))
        yield re.compile(r"\b(\d{3}0|\d0)s\b"), self._decade
        yield re.compile(r"(?<![\w/])(?:[123]/[234]|[½⅓⅔¼¾])(?![\w/])"), lambda m: _FRACTIONS.get(m[0])
        yield re.compile(r"(?:\bNo\. |№\s?|(?<!\w)#)(?=\d)"), lambda _: "number "
        yield re.compile(r"(?<=[a-z] )St\.(?! [A-Z])"), lambda _: "Street"
        yield re.compile(r"\bSt\.(?= [A-Z])"), lambda _: "Saint"
        yield re.compile(r"~(?=\d)"), lambda _: "about "
        yield re.compile(r"(?<!\w)@(?=\w)"), lambda _: "at "
        yield re.compile(r"\b(\d)'(\d{1,2})(?:\"|″)"), self._height
        yield re.compile(rf"\b((?:{_CODED})(?: number)?(?: is|:)?) (\d{{3,}})\b"), self._coded
        yield re.compile(r"\b[vV](\d+(?:\.\d+)+)\b"), lambda m: f"version {self._version(m[1])}"
        yield re.compile(r"(?<![\w$€£.])(\d+(?:\.\d+)?)[kK]\b"), lambda m: self._scaled(m[1], "thousand")
        yield re.compile(r"\b(\d+(?:\.\d+)?)x\b"), lambda m: self._scaled(m[1], "times")

    def _day(self, month: str, day: str, *, first: str = "month") -> str | None:
        name = next(full for full in MONTHS if full.startswith(month[:3]))
        place = self._numerals.ordinal(int(day)) if 1 <= int(day) <= 31 else None
        if place is None:
            return None
        return f"{name} {place}" if first == "month" else f"the {place} of {name}"

    def _clock(self, match: re.Match[str]) -> str | None:
        hour, minute, half = int(match[1]), int(match[2]), match[3]
        if hour > 24 or minute > 59:
            return None
        spoken = self._numerals.cardinal(hour) or match[1]
        if minute:
            spoken += " oh" if minute < 10 else ""
            spoken += f" {self._numerals.cardinal(minute)}"
        elif not half:
            spoken += " o'clock" if 0 < hour <= 12 else " hundred"
        return f"{spoken} {half.upper()} M" if half else spoken

    def _hour(self, match: re.Match[str]) -> str:
        return f"{self._numerals.cardinal(int(match[1]))} {match[2].upper()} M"

    def _decade(self, match: re.Match[str]) -> str | None:
        value = int(match[1])
        said = self._numerals.year(value) if len(match[1]) == 4 else self._numerals.cardinal(value)
        return None if said is None else re.sub("y$", "ies", said) if said.endswith("y") else said + "s"

    def _height(self, match: re.Match[str]) -> str:
        return f"{self._numerals.cardinal(int(match[1]))} foot {self._numerals.cardinal(int(match[2]))}"

    def _coded(self, match: re.Match[str]) -> str:
        words = match[1].replace("ext.", "extension")
        return f"{words} {self._numerals.digits(match[2], group=3 if len(match[2]) > 4 else 0)}"

    def _version(self, figures: str) -> str:
        return " point ".join(self._numerals.cardinal(int(part)) or part for part in figures.split("."))

    def _scaled(self, figures: str, word: str) -> str | None:
        value = self._numerals.parse(figures)
        number = None if value is None else self._numerals.cardinal(value)
        return None if number is None else f"{number} {word}"
