# ruff: noqa: RUF001 - punctuation of many scripts
"""Cutting text, while it arrives, into the earliest chunks that sound right.

The first chunk is a clause, since somebody waits for it; later ones grow towards whole sentences, which sound
better. Nothing is cut inside a number, a price, a date, an abbreviation, a URL, an e-mail address or a tag.
Where a language ends its sentences is told by ``sentencex``.

Pure: no clock, no I/O; times are passed in.
"""

import re
from collections.abc import Sequence
from enum import Enum
from typing import TypeVar

import sentencex  # type: ignore[import-untyped]

T = TypeVar("T")

#: Ends of sentences that need no space after them.
_WIDE_ENDS = "。！？｡।॥؟۔"
_WIDE_PAUSES = "、，；："
_CLOSERS = "\"'”’»)]*_）」』】"
#: A place where a cut may be considered: a line break, punctuation, or a dash between spaces.
_CANDIDATE = re.compile(
    rf"\n+|[.!?…]+[{re.escape(_CLOSERS)}]*|[,;:][{re.escape(_CLOSERS)}]*|(?<=\s)[—–-](?=\s)"
    rf"|[{_WIDE_ENDS}]+[{re.escape(_CLOSERS)}]*|[{_WIDE_PAUSES}]"
)
#: A tag that has begun and not ended: ``<break time=`` or inline phonemes ``<<m|ɛ``.
_OPEN_TAG = re.compile(r"<<(?:(?!>>).)*$|<[/a-zA-Z][^<>]*$", re.DOTALL)
#: Signs inside a token that make it a URL, an address, a path or an abbreviation.
_TECHNICAL = frozenset("./@:\\")


class _Verdict(Enum):
    NO = "no"
    WAIT = "wait for more text"
    CLAUSE = "clause"
    SENTENCE = "sentence"


class ClauseSplitter:
    """Splits one stream of text. What it returns, joined, is what it was fed.

    Args:
        language: BCP 47 tag of the text.
        clause_characters: least length of a chunk that ends at a clause rather than a sentence: of the first
            chunk, the second, and so on; the last value holds for the rest. Characters.
        max_characters: a chunk is cut at a space, at the latest here.
        max_wait_seconds: text that has waited this long is cut at its last space: the first chunk, the second,
            and so on; the last value holds for the rest. Empty waits for ever.

    """

    def __init__(
        self,
        language: str = "en",
        *,
        clause_characters: Sequence[int] = (10, 40, 80),
        max_characters: int = 200,
        max_wait_seconds: Sequence[float] = (),
    ) -> None:
        self._language = language.split("-")[0].lower()
        self._clause_characters = tuple(clause_characters)
        self._max_characters = max_characters
        self._max_wait_seconds = tuple(max_wait_seconds)
        self._buffer = ""
        self._waiting_since: float | None = None
        self._chunks = 0

    @property
    def pending(self) -> str:
        """Text that has been fed and not returned."""
        return self._buffer

    @property
    def due(self) -> float | None:
        """When :meth:`tick` should be called, seconds; None while nothing waits."""
        if self._waiting_since is None or not self._max_wait_seconds or not self._buffer.strip():
            return None
        return self._waiting_since + _at_or_last(self._max_wait_seconds, self._chunks)

    def feed(self, text: str, now: float) -> list[str]:
        """Take ``text`` that arrived at ``now`` (seconds) and return the chunks that are complete."""
        if self._waiting_since is None or not self._buffer.strip():
            self._waiting_since = now
        self._buffer += text
        chunks = []
        while cut := self._find_cut():
            chunks.append(self._take(cut))
            self._waiting_since = now
        return chunks

    def tick(self, now: float) -> list[str]:
        """Return what has waited too long at ``now``, cut at its last space."""
        if self.due is None or now < self.due:
            return []
        cut = self._last_space(len(self._buffer))
        if not cut:
            self._waiting_since = now
            return []
        self._waiting_since = now
        return [self._take(cut)]

    def flush(self) -> list[str]:
        """Return everything that is left: no more text comes."""
        chunks = []
        while cut := self._find_cut(final=True):
            chunks.append(self._take(cut))
        if self._buffer:
            chunks.append(self._take(len(self._buffer)))
        self._waiting_since = None
        return chunks

    def _take(self, cut: int) -> str:
        chunk, self._buffer = self._buffer[:cut], self._buffer[cut:]
        self._chunks += bool(chunk.strip())
        return chunk

    def _find_cut(self, *, final: bool = False) -> int:
        """Return the length of the chunk to cut off, 0 for none yet."""
        least = _at_or_last(self._clause_characters, self._chunks)
        last_clause = 0
        for match in _CANDIDATE.finditer(self._buffer):
            end = match.end()
            if end > self._max_characters:
                break
            if end == len(self._buffer) and final:
                break
            verdict = self._judge(match, final=final)
            if verdict is _Verdict.SENTENCE:
                return self._with_spaces(end)
            if verdict is _Verdict.CLAUSE:
                if len(self._buffer[:end].strip()) >= least:
                    return self._with_spaces(end)
                last_clause = end
        if len(self._buffer) > self._max_characters:
            return self._with_spaces(last_clause) if last_clause else self._forced_cut()
        return 0

    def _judge(self, match: re.Match[str], *, final: bool) -> _Verdict:
        before, sign, after = self._buffer[: match.start()], match[0], self._buffer[match.end() :]
        if not any(character.isalnum() for character in before) or _OPEN_TAG.search(before):
            return _Verdict.NO
        if sign[0] == "\n" or sign[0] in _WIDE_ENDS:
            return _Verdict.SENTENCE
        if sign[0] in _WIDE_PAUSES:
            return _Verdict.CLAUSE
        token = before[before.rfind(" ") + 1 :]
        if after and not after[0].isspace():
            return _Verdict.NO
        if sign[0] in ",;:—–-":
            return self._judge_pause(sign, token, after)
        return self._judge_stop(before, sign, token, after, final=final)

    def _judge_pause(self, sign: str, token: str, after: str) -> _Verdict:
        if _TECHNICAL.intersection(token):
            return _Verdict.NO
        following = after.lstrip()[:1]
        if token[-1:].isdigit():
            if not following:
                return _Verdict.WAIT
            return _Verdict.NO if following.isdigit() else _Verdict.CLAUSE
        if not after and (sign[0] in ":—–-" or not token[-1:].isalpha()):
            return _Verdict.WAIT
        return _Verdict.CLAUSE

    def _judge_stop(self, before: str, sign: str, token: str, after: str, *, final: bool) -> _Verdict:
        if sign[0] in "!?":
            sure = after or (token[-1:].isalpha() and not _TECHNICAL.intersection(token))
            return _Verdict.SENTENCE if sure else _Verdict.WAIT
        if not after:
            return _Verdict.WAIT
        if token.strip(_CLOSERS).isdigit() and before.strip() == token:
            return _Verdict.NO  # the number of a list item
        following = re.match(r"\s*(\S*)(\s?)", after)
        assert following is not None
        word, complete = following[1], bool(following[2]) or final
        if token[-1:].isdigit() and (not complete or word[:1].islower()):
            return _Verdict.WAIT if not complete else _Verdict.NO  # "am 3. Mai" against "in 2019. Then"
        doubtful = _is_abbreviation(before, token)
        if not word and not final and (doubtful or len(token) <= 1 or _TECHNICAL.intersection(token)):
            return _Verdict.WAIT
        if _is_initial(before, token) or (doubtful and word[:1].islower()):
            return _Verdict.NO
        rest = (word or "X") + " yz"
        sentences = sentencex.segment(self._language, f"{before}{sign} {rest}")
        ends = len(sentences) > 1 and sentences[-1].strip() == rest
        return _Verdict.SENTENCE if ends else _Verdict.NO

    def _with_spaces(self, end: int) -> int:
        while end < len(self._buffer) and self._buffer[end].isspace():
            end += 1
        return end

    def _forced_cut(self) -> int:
        return self._last_space(self._max_characters) or self._max_characters

    def _last_space(self, limit: int) -> int:
        """Return the end of the last space before ``limit`` that is not inside a number or a tag."""
        for index in range(min(limit, len(self._buffer)) - 1, 0, -1):
            if not self._buffer[index].isspace() or not self._buffer[:index].strip():
                continue
            around = self._buffer[:index].rstrip()[-1:], self._buffer[index:].lstrip()[:1]
            if all(character.isdigit() for character in around) or _OPEN_TAG.search(self._buffer[:index]):
                continue
            return index + 1
        return 0


def _is_initial(before: str, token: str) -> bool:
    """Whether ``token`` is one of a name's initials: a capital after another, after a name, or before anything."""
    if len(token) != 1 or not token.isupper():
        return False
    previous = before[: -len(token)].rstrip()
    last = previous[previous.rfind(" ") + 1 :]
    return not last or last[0].isupper()


def _is_abbreviation(before: str, token: str) -> bool:
    """Whether ``token`` may be a measure or the like: a few letters after a number, as in "3.5 ft."."""
    previous = before[: -len(token)].rstrip()
    return 0 < len(token) <= 4 and token.isalpha() and previous[-1:].isdigit()


def _at_or_last(values: Sequence[T], index: int) -> T:
    return values[min(index, len(values) - 1)]
