"""How languages say abbreviations, addresses and times of day that no library knows."""

import re
from collections.abc import Callable, Iterator

from babel.dates import get_month_names

from tts.numerals import Numerals

Say = Callable[[re.Match[str]], str | None]

#: What is said for what is written, by language; only where nothing that belongs to the word goes on.
ABBREVIATIONS: dict[str, dict[str, str]] = {
    "en": {
        "Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missis", "Ms.": "Miz", "Prof.": "Professor", "vs.": "versus",
        "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "approx.": "approximately",
        "Inc.": "Incorporated", "Ltd.": "Limited", "Jr.": "Junior", "Sr.": "Senior", "a.m.": "A M", "p.m.": "P M",
        "AM": "A M", "PM": "P M", "am": "am", "w/": "with", "Ave.": "Avenue", "Blvd.": "Boulevard", "Rd.": "Road",
        "Apt.": "Apartment", "ext.": "extension", "dept.": "department", "C++": "C plus plus", "C#": "C sharp",
        "24/7": "twenty-four seven",
    },
    "de": {
        "z. B.": "zum Beispiel", "z.B.": "zum Beispiel", "d. h.": "das heißt", "d.h.": "das heißt",
        "usw.": "und so weiter", "bzw.": "beziehungsweise", "ca.": "circa", "Dr.": "Doktor", "Nr.": "Nummer",
        "Hr.": "Herr", "inkl.": "inklusive", "evtl.": "eventuell", "Tel.": "Telefon",
    },
    "fr": {
        "M.": "Monsieur", "Mme": "Madame", "Mlle": "Mademoiselle", "Dr": "Docteur", "p. ex.": "par exemple",
        "env.": "environ", "etc.": "et cetera", "tél.": "téléphone", "n°": "numéro",
    },
    "es": {
        "Sr.": "señor", "Sra.": "señora", "Dr.": "doctor", "Dra.": "doctora", "p. ej.": "por ejemplo",
        "etc.": "etcétera", "aprox.": "aproximadamente", "tel.": "teléfono", "Ud.": "usted",
    },
    "it": {"Sig.": "signor", "Sig.ra": "signora", "Dott.": "dottor", "ecc.": "eccetera", "tel.": "telefono"},
    "pt": {"Sr.": "senhor", "Sra.": "senhora", "Dr.": "doutor", "Dra.": "doutora", "etc.": "et cetera"},
    "nl": {"bijv.": "bijvoorbeeld", "enz.": "enzovoort", "dhr.": "de heer", "mevr.": "mevrouw", "tel.": "telefoon"},
}  # fmt: skip

#: What is said for the characters of an address, by language: . @ / - _ :
_ADDRESS_SIGNS = ".@/-_:"
ADDRESS: dict[str, dict[str, str]] = {
    language: dict(zip(_ADDRESS_SIGNS, words, strict=True))
    for language, words in {
        "en": ("dot", "at", "slash", "dash", "underscore", "colon"),
        "de": ("Punkt", "ät", "Schrägstrich", "Minus", "Unterstrich", "Doppelpunkt"),
        "fr": ("point", "arobase", "barre oblique", "tiret", "tiret bas", "deux-points"),
        "es": ("punto", "arroba", "barra", "guion", "guion bajo", "dos puntos"),
        "it": ("punto", "chiocciola", "barra", "trattino", "trattino basso", "due punti"),
        "pt": ("ponto", "arroba", "barra", "hífen", "sublinhado", "dois pontos"),
        "nl": ("punt", "apenstaartje", "slash", "streepje", "laag streepje", "dubbele punt"),
    }.items()
}  # fmt: skip
ADDRESS["en"] |= {
    "?": "question mark", "=": "equals", "&": "and", "#": "hash", "+": "plus", "%": "percent",
}  # fmt: skip

#: What stands between hour and minute, by language, and whether it is said after a full hour as well.
CLOCK: dict[str, tuple[str, bool]] = {
    "de": ("Uhr", True), "fr": ("heures", True), "nl": ("uur", True), "es": ("y", False), "it": ("e", False),
    "pt": ("e", False),
}  # fmt: skip
#: The same after one o'clock, where it differs.
CLOCK_SINGULAR = {"fr": "heure"}


class LanguageRules:
    """Patterns of one language, and what is said for their matches."""

    def __init__(self, numerals: Numerals) -> None:
        self._numerals = numerals

    def rules(self) -> Iterator[tuple[re.Pattern[str], Say]]:
        """Yield the rules, the most particular first."""
        if self._numerals.language == "de":
            yield from self._german_days()
        yield from self._abbreviations()
        yield from self._times()

    def _abbreviations(self) -> Iterator[tuple[re.Pattern[str], Say]]:
        table = ABBREVIATIONS.get(self._numerals.language)
        if table:
            longest_first = "|".join(sorted(map(re.escape, table), key=len, reverse=True))
            yield re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)"), lambda m: table[m[0]]

    def _german_days(self) -> Iterator[tuple[re.Pattern[str], Say]]:
        months = "|".join(get_month_names("wide", locale=self._numerals.locale).values())
        yield (
            re.compile(rf"\b((?:am|vom|zum|den|dem|seit|[Dd]er) )?(\d{{1,2}})\.(?= (?:{months})\b)"),
            self._german_day,
        )

    def _german_day(self, match: re.Match[str]) -> str | None:
        place = self._numerals.ordinal(int(match[2]))
        article = match[1] or ""
        return f"{article}{place}{'r' if not article else '' if article.strip().lower() == 'der' else 'n'}"

    def _times(self) -> Iterator[tuple[re.Pattern[str], Say]]:
        joint = CLOCK.get(self._numerals.language)
        if joint:
            after = rf"(?:\s{joint[0]}\b)?" if joint[1] else ""
            yield re.compile(rf"\b([01]?\d|2[0-4])(?::|\s?h\s?)([0-5]\d){after}(?![\d:])"), self._time

    def _time(self, match: re.Match[str]) -> str:
        language = self._numerals.language
        joint, after_full_hour = CLOCK[language]
        hour, minute = int(match[1]), int(match[2])
        if hour == 1:
            joint = CLOCK_SINGULAR.get(language, joint)
        said = [self._numerals.cardinal(hour) or match[1]]
        if minute or after_full_hour:
            said.append(joint)
        if minute:
            said.append(self._numerals.cardinal(minute) or match[2])
        return " ".join(said)
