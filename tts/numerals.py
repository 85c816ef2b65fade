"""Numbers, money, dates and measures in words, by num2words and Babel, in the languages they know."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import num2words  # type: ignore[import-untyped]
from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import get_currency_name, get_decimal_symbol, get_group_symbol
from babel.units import format_unit

#: Signs and codes of money and their ISO 4217 code.
CURRENCIES = {
    "$": "USD", "€": "EUR", "£": "GBP", "₹": "INR", "¥": "JPY",
    "R$": "BRL", "zł": "PLN", "Kč": "CZK",
    "USD": "USD", "EUR": "EUR", "GBP": "GBP", "INR": "INR", "JPY": "JPY", "CHF": "CHF", "CAD": "CAD", "AUD": "AUD",
}  # fmt: skip
#: Abbreviations of measures and their CLDR unit.
UNITS = {
    "km": "length-kilometer", "m": "length-meter", "cm": "length-centimeter", "mm": "length-millimeter",
    "mi": "length-mile", "ft": "length-foot", "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram",
    "lb": "mass-pound", "lbs": "mass-pound", "oz": "mass-ounce", "l": "volume-liter", "L": "volume-liter",
    "ml": "volume-milliliter", "km/h": "speed-kilometer-per-hour", "mph": "speed-mile-per-hour",
    "kB": "digital-kilobyte", "KB": "digital-kilobyte", "MB": "digital-megabyte", "GB": "digital-gigabyte",
    "TB": "digital-terabyte", "°C": "temperature-celsius", "°F": "temperature-fahrenheit", "°": "angle-degree",
    "ms": "duration-millisecond", "min": "duration-minute", "mins": "duration-minute", "hrs": "duration-hour",
    "kW": "power-kilowatt", "kWh": "energy-kilowatt-hour", "W": "power-watt", "Hz": "frequency-hertz",
    "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz", "GHz": "frequency-gigahertz", "%": "concentr-percent",
}  # fmt: skip


@dataclass(frozen=True)
class Numerals:
    """How one language says what is written in figures.

    Every method returns None where the libraries do not know how; the text then stays as it is.
    """

    language: str
    locale: Locale
    decimal: str
    group: str

    def parse(self, figures: str) -> Decimal | None:
        """Return the value of ``figures`` as this language writes them."""
        plain = figures.replace("\u2212", "-")
        if (
            plain.count(self.decimal)
            and plain.count(self.group) == 1
            and plain.rfind(self.group) > plain.rfind(self.decimal)
        ):
            plain = plain.replace(self.decimal, "").replace(
                self.group, self.decimal
            )  # as its neighbours write it
        if re.fullmatch(rf"-?\d+{re.escape(self.group)}\d{{1,2}}", plain):
            plain = plain.replace(self.group, self.decimal)  # as its neighbours write it: 5.20 in Spanish
        for separator in {self.group, "\u202f", "\u00a0", " "} - {self.decimal}:
            plain = plain.replace(separator, "")
        try:
            return Decimal(plain.replace(self.decimal, "."))
        except InvalidOperation:
            return None

    def cardinal(self, value: Decimal | int) -> str | None:
        """Return ``value`` in words: "twelve point five"."""
        return self._say(value, to="cardinal")

    def ordinal(self, value: int) -> str | None:
        """Return the place ``value``: "third"."""
        return self._say(value, to="ordinal")

    def year(self, value: int) -> str | None:
        """Return the year ``value``: "nineteen eighty-four"."""
        if self.language == "en" and 2000 < value < 2010:
            return self._say(value, to="cardinal")
        return self._say(value, to="year")

    def digits(self, figures: str, *, group: int = 0) -> str:
        """Return ``figures`` one by one, with a pause after each ``group`` of them (0: none)."""
        said = [self.cardinal(int(digit)) or digit for digit in figures]
        if not group or len(said) <= group + 1:
            return " ".join(said)
        heads = list(range(0, len(said) - 1, group))
        return ", ".join(
            " ".join(said[start:end]) for start, end in zip(heads, [*heads[1:], len(said)], strict=True)
        )

    def money(self, amount: Decimal, sign: str, scale: str = "") -> str | None:
        """Return an amount of the currency with ``sign``; ``scale`` is a word such as "million"."""
        code = CURRENCIES[sign]
        if scale or code == "JPY":
            value, name = self.cardinal(amount), self._money_name(code)
            return f"{value} {scale} {name}".replace("  ", " ") if value and name else None
        whole = amount == amount.to_integral_value()
        said = self._say(float(amount), to="currency", currency=code, separator="|")
        if said is None:
            return self._money_elsewhere(amount, code)
        said = said.replace(" sterling", "")
        major, _, minor = said.partition("|")
        if not int(amount) and minor.strip():
            return minor.strip()
        joint = " and " if self.language == "en" else " "
        return major.strip() if whole or not minor.strip() else major.strip() + joint + minor.strip()

    def measure(self, value: Decimal, unit: str) -> str | None:
        """Return ``value`` of the unit abbreviated ``unit``: "ten kilograms"."""
        number = self.cardinal(value)
        if number is None:
            return None
        pattern = format_unit(
            1 if value == 1 else 2 if value == 2 else 5, UNITS[unit], "long", locale=self.locale
        )
        name = "".join(character for character in pattern if not character.isdigit()).strip()
        return f"{number} {name}"

    def date(self, day: date) -> str:
        """Return ``day`` as this language writes it out, its figures left for later."""
        return format_date(day, "long", locale=self.locale)

    def _money_elsewhere(self, amount: Decimal, code: str) -> str | None:
        number = self.cardinal(amount)
        count = int(amount) if amount == amount.to_integral_value() else amount
        return f"{number} {get_currency_name(code, count, locale=self.locale)}" if number else None

    def _money_name(self, code: str) -> str | None:
        if code == "JPY":
            return "yen"
        said = self._say(2.0, to="currency", currency=code, separator="|")
        return said.replace(" sterling", "").partition("|")[0].partition(" ")[2] if said else None

    def _say(self, value: Decimal | float, **how: str) -> str | None:
        try:
            said: str = num2words.num2words(value, lang=self.language, **how)
        except (NotImplementedError, TypeError, ValueError, OverflowError, KeyError):
            return None
        return said.replace(",", "")


@lru_cache(maxsize=64)
def numerals(language: str) -> Numerals:
    """Return the numerals of BCP 47 tag ``language``; of English where Babel does not know it."""
    try:
        locale = Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return numerals("en")
    return Numerals(locale.language, locale, get_decimal_symbol(locale), get_group_symbol(locale))
