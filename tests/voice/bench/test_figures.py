"""What a measurement of calls says, worked out by hand."""

from typing import Any

import pytest

from voice.bench.figures import percentile, ratios, speculation, spread
from voice.bench.interruptions import figures, heard_of, in_the_sound, was_over
from voice.bench.latency import sentence_count
from voice.bench.parts import systems_of
from voice.bench.systems import OFFHOOK, PATIENT, STOCK, STOCK_TALKER, TALKER, WITHOUT_SPECULATION
from voice.caller.script import AskedTurn, Question


def side(p50: float, p95: float, *conversations: list[tuple[str, str]], wasted: int = 0) -> dict[str, Any]:
    """Return the figures of one system."""
    return {
        "voice_to_voice": {"p50": p50, "p95": p95},
        "conversations": [
            [{"heard": heard, "answered": answered} for heard, answered in turns] for turns in conversations
        ],
        "speculations": 3,
        "withdrawn": 1,
        "tokens": 93,
        "wasted_tokens": wasted,
    }


def test_percentiles_lie_between_the_nearest_values() -> None:
    """The 95th percentile of four values is 85 percent of the way from the third to the fourth."""
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.95) == pytest.approx(3.85)
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.0) == 1.0
    assert percentile([7.0], 0.95) == 7.0
    assert spread([7.0]) == {"p50": 7.0, "p90": 7.0, "p95": 7.0, "max": 7.0}
    assert spread([]) == {}


def test_ratios_are_shares_of_the_reference() -> None:
    """Each system is divided by the reference; one that never answered has none."""
    systems = {
        OFFHOOK: side(0.4, 0.6),
        STOCK: side(1.6, 2.0),
        WITHOUT_SPECULATION: {"turns": 4, "voice_to_voice": {}},
    }
    assert ratios(systems, STOCK) == {OFFHOOK: {"p50": 0.25, "p95": 0.3}, STOCK: {"p50": 1.0, "p95": 1.0}}
    assert ratios(systems, WITHOUT_SPECULATION) == {}


def test_answers_are_compared_until_both_heard_something_else() -> None:
    """From the first turn on that one side heard differently, a call is another conversation."""
    on = side(0.6, 1.0, [("a", "1"), ("b", "2"), ("c", "3")], [("d", "4")], wasted=7)
    off = side(1.0, 1.2, [("a", "1"), ("x", "9"), ("c", "3")], [("d", "5")])
    said = speculation({OFFHOOK: on, WITHOUT_SPECULATION: off})
    assert said["p50_lower"] == pytest.approx(0.4)
    assert (said["compared"], said["same_answers"]) == (2, 1)
    assert said["wasted_share"] == pytest.approx(0.07)


def test_speculation_needs_both_sides() -> None:
    """Without the other side, or where it never answered, nothing is claimed."""
    on = side(0.6, 1.0, [("a", "1")])
    assert speculation({OFFHOOK: on}) == {}
    assert speculation({OFFHOOK: on, WITHOUT_SPECULATION: {"turns": 1, "voice_to_voice": {}}}) == {}


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("", 0),
        ("the capital", 2),
        ("the capital of friends is", 5),
        ("capital of france", 4),
        ("the capital of france is paris", 6),
    ],
)
def test_where_an_answer_was_cut_is_found_in_spite_of_a_misheard_word(written: str, count: int) -> None:
    """The prefix nearest to what was written down is what was heard."""
    assert heard_of(["the", "capital", "of", "france", "is", "paris"], written.split()) == count


def test_what_a_recogniser_adds_after_a_cut_was_not_heard() -> None:
    """Words without a time of their own, at the end of the sound or beyond, are left out."""
    times = (("happy", 2.1), ("to", 2.5), ("show", 2.88), ("you.", 2.9), ("too.", 3.1))
    timed = [{"word": word, "start": start, "end": start + 0.1} for word, start in times]
    assert in_the_sound(timed, 2.9) == "happy to"


def test_the_word_being_said_may_count_or_not() -> None:
    """One word more or less is the one that was cut; two are a difference."""
    row = {"gateway_stop": 0.05, "caller_stop": 0.1}
    rows = [{**row, "kept": kept, "heard": 5} for kept in (4, 5, 6, 7)] + [{**row, "kept": None}]
    told = figures(rows, 0, [])
    assert (told["compared"], told["same_words"], told["same_words_exactly"]) == (4, 3, 1)
    assert told["stopped"] == 5


def over(*, stopped: float | None) -> AskedTurn:
    """Return what was said over an answer from 1 s on; the agent was last heard at ``stopped``."""
    question = Question(pcm=b"\x00\x40" * 800, said="wait", source="a test")
    return AskedTurn(question, asked_from=1.0, interrupting=True, agent_stopped=stopped)


def test_an_answer_that_was_over_was_not_interrupted() -> None:
    """What fell silent by itself before the caller spoke says nothing of how soon the agent gives way."""
    assert was_over({"interrupted": False}, over(stopped=0.9))
    assert was_over(None, over(stopped=1.01))
    assert not was_over({"interrupted": True}, over(stopped=0.9))
    assert not was_over({"interrupted": False}, over(stopped=1.1))
    assert not was_over({"interrupted": False}, over(stopped=None))


def test_sentences_are_counted() -> None:
    """The last one counts, ended or not."""
    assert sentence_count("One. Two? Three") == 3
    assert sentence_count("It is 3.5 metres.") == 1
    assert sentence_count("") == 0


def test_only_what_is_needed_is_started() -> None:
    """Each system once, and talkers where replies are long."""
    assert systems_of(["load", "endurance"], [STOCK]) == []
    assert systems_of(["hesitations"], [STOCK]) == [PATIENT]
    assert systems_of(["latency", "long"], [OFFHOOK, STOCK]) == [OFFHOOK, STOCK, TALKER, STOCK_TALKER]
    assert systems_of(["interruptions", "murmurs"], [STOCK]) == [TALKER]
