# ruff: noqa: RUF002, RUF003 - phonemes in examples
"""How an owner wants certain words said: a product's name, a surname, an abbreviation."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import StringConstraints

#: Phonemes written inline, as Cartesia's clients do: ``<<m|ɛ|t|f|ˈ|ɔ|ɹ|m|ɪ|n>>``.
INLINE_IPA = re.compile(r"<<([^<>]+)>>")
#: Entries of a dictionary that comes with an agent or a request.
MAX_DICTIONARY_ENTRIES = 200
WrittenForm = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
SaidForm = Annotated[str, StringConstraints(max_length=200)]
#: Lexicons that came with requests and are kept ready.
LEXICONS_KEPT = 64


@dataclass(frozen=True)
class Entry:
    """What is said for a place in a text: plain text, or phonemes."""

    start: int
    end: int
    spoken: str
    ipa: str | None


class Lexicon:
    """Replaces whole words, whatever their case; the longest entry wins.

    Args:
        entries: written form to what is said for it: other text (``"nginx": "engine x"``), or phonemes
            (``"Metformin": "<<m|ɛ|t|f|ˈ|ɔ|ɹ|m|ɪ|n>>"``).

    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries = {written.casefold(): said for written, said in entries.items()}
        longest_first = sorted(map(re.escape, entries), key=len, reverse=True)
        self._pattern = (
            re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE) if entries else None
        )

    def find(self, text: str) -> Iterator[Entry]:
        """Yield the entries that ``text`` contains, in order, inline phonemes among them."""
        inline = [Entry(m.start(), m.end(), "", ipa_of(m[1])) for m in INLINE_IPA.finditer(text)]
        yield from inline
        for match in self._pattern.finditer(text) if self._pattern else ():
            said = self._entries[match[0].casefold()]
            phonemes = INLINE_IPA.fullmatch(said)
            if not any(entry.start < match.end() and match.start() < entry.end for entry in inline):
                yield Entry(
                    match.start(),
                    match.end(),
                    "" if phonemes else said,
                    ipa_of(phonemes[1]) if phonemes else None,
                )


@lru_cache(maxsize=LEXICONS_KEPT)
def lexicon_of(entries: frozenset[tuple[str, str]]) -> Lexicon:
    """Return the lexicon of ``entries``; those asked for again and again are made once."""
    return Lexicon(dict(entries))


def ipa_of(inline: str) -> str:
    """Return the IPA of the inside of an inline phoneme block."""
    return inline.replace("|", "").strip()


#: A lexicon with nothing in it.
EMPTY = Lexicon({})
