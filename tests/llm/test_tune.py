"""Tuning: every candidate is measured on a real engine, ranked by first sentence, and remembered."""

from pathlib import Path

import pytest

from llm import tune_report
from llm.errors import ProfileError
from llm.profile import LlamaCppProfile, load_profile
from llm.questions import Transcript, shipped
from llm.settings import LLMSettings
from llm.tune import RESULTS_FILE, Result, Tuner, accepted_length
from llm.tune_plan import Load, fingerprint, load_candidates
from serving.ports import free_port

from .conftest import KEY

CALLS = (
    Transcript(
        "Answer in one short sentence.", "Hello.", ("What is the capital of France?", "And of Italy?")
    ),
)


async def test_candidates_are_measured_ranked_and_not_measured_twice(
    embedded_model: None, tmp_path: Path
) -> None:
    """The winner is a profile that loads; a second run takes its figures from the first."""
    profile = load_profile("embedded")
    candidates = load_candidates(profile, None)[:2]
    plan = Load(CALLS, concurrent=2, rounds=2)
    told: list[str] = []
    tuner = Tuner(plan, LLMSettings(port=free_port(), api_key=KEY), tmp_path, say=told.append)
    results = await tuner.run(candidates)
    assert [result.error for result in results] == ["", ""]
    assert all(result.turns == 4 for result in results)
    assert all(0 < result.first_token_p50 <= result.first_sentence_p50 for result in results)
    assert results[0].accepted_length == 1.0
    assert all(result.cached_share > 0 for result in results)
    winner = tune_report.write(tmp_path, candidates, results, plan, cost_per_hour=1.0)
    assert winner
    assert isinstance(load_profile(str(winner)), LlamaCppProfile)
    assert (tmp_path / tune_report.PICTURE_FILE).read_bytes().startswith(b"\x89PNG")
    assert "| no speculation |" in (tmp_path / tune_report.REPORT_FILE).read_text()
    assert await tuner.run(candidates) == results
    assert told[-1].endswith("measured before")
    assert len((tmp_path / RESULTS_FILE).read_text().splitlines()) == 2


async def test_a_candidate_whose_engine_does_not_start_is_reported_and_tried_again(tmp_path: Path) -> None:
    """One engine that dies costs its own row only."""
    profile = load_profile("embedded").model_copy(update={"model": "/nowhere/model.gguf"})
    plan = Load(CALLS, concurrent=1)
    tuner = Tuner(plan, LLMSettings(port=free_port()), tmp_path)
    (result,) = await tuner.run(load_candidates(profile, None)[:1])
    assert "no such path" in result.error
    assert tune_report.write(tmp_path, [], [result], plan) is None
    assert "Not measured" in (tmp_path / tune_report.REPORT_FILE).read_text()
    assert await tuner.run([]) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "expected one or more"),
        ("[[candidate]]\nthreads = 2", "a name of its own"),
        ('[[candidate]]\nname = "a"\nthreads = 0', "threads = 0"),
        ('[[candidate]]\nname = "a"\nspeculation = {method = "eagle", tokens = 3}', "candidate 'a'"),
    ],
)
def test_a_wrong_candidate_is_refused_before_anything_starts(tmp_path: Path, text: str, says: str) -> None:
    """Hours of measuring are not begun with a typing error."""
    path = tmp_path / "candidates.toml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=says):
        load_candidates(load_profile("embedded"), path)


def test_the_shortest_first_sentence_wins_and_failures_come_last() -> None:
    """p95 of the first sentence decides, whatever the throughput."""
    slow = Result("slow", "1", first_sentence_p95=0.5, tokens_per_second=900)
    quick = Result("quick", "2", first_sentence_p95=0.3, tokens_per_second=100)
    broken = Result("broken", "3", error="died")
    assert [result.name for result in tune_report.ranked([broken, slow, quick])] == [
        "quick",
        "slow",
        "broken",
    ]


def test_another_load_is_another_measurement() -> None:
    """Results are only reused for the same question."""
    (candidate, *_) = load_candidates(load_profile("embedded"), None)
    keys = {fingerprint(candidate, Load(tuple(shipped()), concurrent=n)) for n in (1, 2)}
    assert len(keys) == 2


def test_accepted_length_counts_the_token_that_is_always_right() -> None:
    """Four drafts, six accepted guesses: two and a half tokens a step."""
    after = {"spec_decode_num_drafts_total": 4.0, "spec_decode_num_accepted_tokens_total": 6.0}
    assert accepted_length({}, after) == 2.5
    assert accepted_length({}, {}) == 1.0
