"""What decoding a stretch of audio gives."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


class WordTimes(enum.Enum):
    """Whether the times of a text's words are wanted: not at all, on demand (``Transcript.align``), with the text."""

    NO = enum.auto()
    ON_DEMAND = enum.auto()
    WITH_TEXT = enum.auto()


@dataclass(frozen=True)
class Word:
    """One word with its punctuation; times in seconds of stream time, None where it was not aligned."""

    text: str
    confidence: float
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Segment:
    """A stretch of text between two of Whisper's timestamps, seconds of stream time."""

    text: str
    start: float
    end: float
    tokens: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Transcript:
    """The text of a stretch of audio and what Whisper says about its own certainty.

    Attributes:
        text: the text, stripped.
        words: its words, in order.
        segments: its segments, in order.
        language: ISO 639-1 code of the language that was decoded.
        language_probability: how sure the language is, 0 to 1; 1 where it was given.
        average_log_probability: mean log probability of a token.
        no_speech_probability: probability of Whisper's no-speech token, 0 to 1.
        compression_ratio: length of the text over its zlib length; high where it repeats itself.
        sentence_log_odds: log odds that a sentence ends with the last word (:mod:`asr.ending`); 0 where
            nobody asked.
        align: returns the same with the times of its words; blocks for tens of milliseconds. None where they are
            known or were not asked for.

    """

    text: str
    words: tuple[Word, ...] = ()
    segments: tuple[Segment, ...] = ()
    language: str = "en"
    language_probability: float = 1.0
    average_log_probability: float = 0.0
    no_speech_probability: float = 0.0
    compression_ratio: float = 0.0
    sentence_log_odds: float = 0.0
    align: "Callable[[], Transcript] | None" = field(default=None, repr=False, compare=False)

    @property
    def confidence(self) -> float:
        """Mean confidence of the words, 0 to 1."""
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else 0.0


def join(parts: Sequence[Transcript]) -> Transcript:
    """Return one transcript of consecutive parts."""
    parts = [part for part in parts if part.text]
    if len(parts) <= 1:
        return parts[0] if parts else Transcript("")
    words = tuple(word for part in parts for word in part.words)
    segments = tuple(segment for part in parts for segment in part.segments)
    text = " ".join(part.text for part in parts)
    last = parts[-1]
    return Transcript(
        text,
        words,
        segments,
        last.language,
        last.language_probability,
        sentence_log_odds=last.sentence_log_odds,
    )


def of_words(transcript: Transcript, words: Sequence[Word]) -> Transcript:
    """Return what is left of ``transcript`` with some of its words alone."""
    text = " ".join(word.text for word in words)
    return Transcript(text, tuple(words), (), transcript.language, transcript.language_probability)
