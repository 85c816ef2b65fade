# ruff: noqa: RUF001 - other scripts and phonemes
"""The splitter: earliest chunks that sound right, and nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.clauses import ClauseSplitter


def stream(pieces: list[str], language: str = "en", **options: float) -> list[str]:
    """Return the chunks of ``pieces`` fed one by one, then flushed."""
    splitter = ClauseSplitter(language, **options)  # type: ignore[arg-type]
    chunks = [chunk for piece in pieces for chunk in splitter.feed(piece, 0.0)]
    return chunks + splitter.flush()


def characters(text: str, language: str = "en") -> list[str]:
    """Return the chunks of ``text`` fed character by character, without surrounding spaces."""
    return [chunk.strip() for chunk in stream(list(text), language)]


texts = st.lists(
    st.sampled_from([*"abcA 1259.,;:!?…-—\"'()<>/@$%\n\t", "。", "，", "é", "😀", "www.", "Dr. "]),
    max_size=300,
).map("".join)


@given(st.lists(texts, max_size=8))
def test_chunks_joined_are_the_text(pieces: list[str]) -> None:
    """However the text arrives, nothing of it is lost, changed or reordered."""
    assert "".join(stream(pieces)) == "".join(pieces)


@given(texts)
def test_chunks_are_bounded(text: str) -> None:
    """No chunk is longer than the bound, but for spaces after it."""
    assert all(len(chunk.rstrip()) <= 200 for chunk in stream([text]))


def test_first_clause_comes_before_the_sentence_is_complete() -> None:
    """The first clause is given out as soon as its comma has arrived."""
    splitter = ClauseSplitter()
    assert splitter.feed("The capital of France", 0.0) == []
    assert splitter.feed(",", 0.0) == ["The capital of France,"]


def test_a_question_is_complete_without_a_next_letter() -> None:
    """A sentence that ends in a letter and a mark does not wait for more text."""
    assert ClauseSplitter().feed("How are you?", 0.0) == ["How are you?"]


def test_a_full_stop_is_complete_with_the_space_after_it() -> None:
    """A plain word before the full stop needs no next letter, only the space."""
    assert ClauseSplitter().feed("It is Paris. ", 0.0) == ["It is Paris. "]


def test_a_short_opening_is_not_torn_off() -> None:
    """Later chunks grow: a clause of a few words is joined to what follows."""
    chunks = characters("Well, the museum opens at nine, and the park at ten, but the tower is closed.")
    assert chunks[0] == "Well, the museum opens at nine,"
    assert len(chunks) == 2


@pytest.mark.parametrize(
    "whole",
    [
        "1,234.56", "$5.20", "3.5", "10:30", "3,5", "Dr. Smith", "e.g. this", "www.example.com", "me.too@x.org",
        "https://x.com/a?b=1,2", "Mr. and Mrs. Jones", "version 1.2.3", "5 p.m. today", "3, 4", "St. Paul",
        '<break time="1.5s" />', "<<m|ɛ|t>>", "U.S. dollars", "1. first", "3.5 ft. tall",
        "J. R. R. Tolkien", "John F. Kennedy", "10 min. late",
    ],
)  # fmt: skip
def test_never_inside(whole: str) -> None:
    """Numbers, prices, times, abbreviations, addresses and tags are never cut."""
    text = f"It was said that {whole} and so on it went for them."
    for chunk in characters(text):
        assert whole in chunk or not set(whole.split()) & set(chunk.split())


@pytest.mark.parametrize(
    ("language", "text", "first"),
    [
        ("de", "Das ist z.B. sehr gut. Wir kommen.", "Das ist z.B. sehr gut."),
        ("de", "Am 3. Mai kommt er zu uns. Ja.", "Am 3. Mai kommt er zu uns."),
        ("fr", "Voilà la réponse. Elle est simple.", "Voilà la réponse."),
        ("es", "La capital es París. Está en Francia.", "La capital es París."),
        ("zh", "你好。再见！", "你好。"),
        ("ja", "はい、そうです。では。", "はい、そうです。"),
        ("hi", "यह ठीक है। हाँ।", "यह ठीक है।"),
    ],
)
def test_sentences_of_other_languages(language: str, text: str, first: str) -> None:
    """Each language's own sentence ends are known."""
    assert characters(text, language)[0] == first


def test_text_that_waits_too_long_is_given_out_at_a_space() -> None:
    """After the longest wait, what is there is said, but not half a word."""
    splitter = ClauseSplitter(max_wait_seconds=(0.5,))
    assert splitter.feed("the number of peop", 10.0) == []
    assert splitter.due == pytest.approx(10.5)
    assert splitter.tick(10.4) == []
    assert splitter.tick(10.5) == ["the number of "]
    assert splitter.flush() == ["peop"]


def test_nothing_waits_after_a_flush() -> None:
    """A flushed splitter asks for no tick."""
    splitter = ClauseSplitter(max_wait_seconds=(0.5,))
    splitter.feed("some words", 0.0)
    splitter.flush()
    assert splitter.due is None


@given(st.lists(st.tuples(st.text(alphabet="ab1,.!? \n$@", max_size=12), st.floats(0, 2)), max_size=30))
def test_whatever_the_pace_nothing_is_lost_and_nothing_waits_too_long(steps: list[tuple[str, float]]) -> None:
    """However slowly text comes, its chunks joined are the text, and no whole word waits beyond its time."""
    splitter = ClauseSplitter(max_wait_seconds=(0.5, 1.0))
    now, chunks = 0.0, []
    for text, pause in steps:
        chunks += splitter.feed(text, now)
        now += pause
        while (due := splitter.due) is not None and due <= now:
            before = splitter.pending
            chunks += splitter.tick(due)
            assert splitter.due is None or splitter.due > due
            assert len(splitter.pending) < len(before) or " " not in before.strip()[:-1] or "1" in before
    chunks += splitter.flush()
    assert "".join(chunks) == "".join(text for text, _ in steps)
