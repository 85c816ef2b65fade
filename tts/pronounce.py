"""From words to phonemes, keeping track of which phonemes belong to which word.

espeak says a clause as a whole: it joins small words ("of the" becomes one) and spells others out, so its words
are not the transcript's. Each word is therefore phonemised on its own as well, and the two phoneme strings are
aligned.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, groupby, pairwise

from tts.espeak import PhonemeClause, Phonemizer
from tts.speech import Word

#: Marks that belong to a phoneme but are not compared: stress and length.
_MARKS = frozenset("ˈˌːˑ")
#: Punctuation that espeak reports inside a sentence.
_PAUSES = frozenset(",;:")


@dataclass(frozen=True)
class Pronunciation:
    """An utterance as phonemes.

    Attributes:
        symbols: code points (NFD) of the IPA, spaces between words, punctuation kept.
        spans: for each word the half-open range of its symbols; empty for a word that is not spoken.

    """

    symbols: str
    spans: tuple[tuple[int, int], ...]


async def pronounce(phonemizer: Phonemizer, voice: str, words: Sequence[Word]) -> Pronunciation:
    """Return how espeak voice ``voice`` says ``words``.

    Raises:
        PhonemizerError: espeak could not be asked.

    """
    symbols = ""
    spans: list[tuple[int, int]] = []
    for given, group in groupby(words, key=lambda word: word.ipa is not None):
        run = list(group)
        if symbols and not symbols.endswith(" "):
            symbols += " "
        for part, part_spans in [_given(run)] if given else [await _espoken(phonemizer, voice, run)]:
            spans.extend((start + len(symbols), end + len(symbols)) for start, end in part_spans)
            symbols += part
    return Pronunciation(symbols, tuple(spans))


def _given(words: Sequence[Word]) -> tuple[str, list[tuple[int, int]]]:
    parts = [unicodedata.normalize("NFD", word.ipa or "") for word in words]
    ends = list(accumulate(len(part) + 1 for part in parts))
    spans = [(end - 1 - len(part), end - 1) for part, end in zip(parts, ends, strict=True)]
    return " ".join(parts), spans


async def _espoken(
    phonemizer: Phonemizer, voice: str, words: Sequence[Word]
) -> tuple[str, list[tuple[int, int]]]:
    said = [word.spoken for word in words if word.spoken]
    if not said:
        return "", [(0, 0)] * len(words)
    whole, *single = await phonemizer.phonemize(voice, " ".join(said), *said)
    symbols = join_clauses(whole)
    spans = iter(place_words(symbols, [join_clauses(clauses) for clauses in single]))
    placed: list[tuple[int, int]] = []
    for word in words:
        last = placed[-1][1] if placed else 0
        placed.append(next(spans) if word.spoken else (last, last))
    return symbols, placed


def join_clauses(clauses: Sequence[PhonemeClause]) -> str:
    """Return the symbols of ``clauses`` one after the other, as one utterance."""
    parts = []
    for index, clause in enumerate(clauses):
        last = index == len(clauses) - 1
        space = " " if clause.punctuation in _PAUSES or not last else ""
        parts.append(_without_flags(clause.phonemes) + clause.punctuation + space)
    return unicodedata.normalize("NFD", "".join(parts))


def place_words(symbols: str, singles: Sequence[str]) -> list[tuple[int, int]]:
    """Return for each of ``singles`` (words phonemised alone) its range in ``symbols`` (the whole)."""
    positions = [index for index, symbol in enumerate(symbols) if _is_sound(symbol)]
    sounds = [symbols[index] for index in positions]
    alone = [[symbol for symbol in single if _is_sound(symbol)] for single in singles]
    starts = [0, *accumulate(map(len, alone))]
    where = _map_borders([sound for word in alone for sound in word], sounds, starts)
    return [
        (positions[first], positions[last - 1] + 1) if last > first else _empty_at(positions, first)
        for first, last in pairwise(where)
    ]


def _map_borders(source: Sequence[str], target: Sequence[str], borders: Sequence[int]) -> list[int]:
    """Return where each of ``borders`` (indices into ``source``) lies in ``target``; monotonic."""
    if source == target:
        return list(borders)
    matcher = SequenceMatcher(None, source, target, autojunk=False)
    mapped = []
    codes = iter(matcher.get_opcodes())
    code = next(codes, None)
    for border in borders[:-1]:
        while code is not None and border >= code[2] and code[2] < len(source):
            code = next(codes, None)
        mapped.append(_interpolate(code, border) if code is not None else len(target))
    return [*mapped, len(target)]


def _interpolate(code: tuple[str, int, int, int, int], border: int) -> int:
    _, start, end, low, high = code
    return low + min(high - low, round((border - start) * (high - low) / max(1, end - start)))


def _empty_at(positions: Sequence[int], index: int) -> tuple[int, int]:
    at = positions[index] if index < len(positions) else (positions[-1] + 1 if positions else 0)
    return at, at


def _is_sound(symbol: str) -> bool:
    return symbol.isalpha() and symbol not in _MARKS


def _without_flags(phonemes: str) -> str:
    """Drop espeak's language switches, such as ``(en)``."""
    return "".join(_outside_parentheses(phonemes))


def _outside_parentheses(text: str) -> Iterator[str]:
    depth = 0
    for character in text:
        depth += character == "("
        if depth == 0:
            yield character
        depth -= character == ")" and depth > 0
