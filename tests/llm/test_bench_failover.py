"""The failover benchmark's results survive a run that is broken off."""

from pathlib import Path

import pytest

from llm.bench_failover import Disturbed, ResultFile, summarise
from llm.errors import LLMError

RESULT = Disturbed("kill", True, True, True, 0.3, 0.05, "Paris.", "Paris.")


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """What was written whole is kept; a line that was broken off is not."""
    path = tmp_path / "new" / "results.jsonl"
    file = ResultFile(path, {"profiles": ("a", "b")})
    file.add(RESULT)
    with path.open("a") as half:
        half.write('{"fault": "fre')
    again = ResultFile(path, {"profiles": ("a", "b")})
    assert again.results == [RESULT]
    again.add(RESULT)
    assert ResultFile(path, {"profiles": ("a", "b")}).results == [RESULT, RESULT]


def test_results_of_something_else_are_not_mixed_in(tmp_path: Path) -> None:
    """Another pair of engines is another run."""
    ResultFile(tmp_path / "results.jsonl", {"profiles": ("a", "b")})
    with pytest.raises(LLMError, match="choose another --folder"):
        ResultFile(tmp_path / "results.jsonl", {"profiles": ("a", "c")})


def test_the_added_silence_is_what_the_survivor_did_not_need() -> None:
    """Gap minus the survivor's own time to first token."""
    summary = summarise([RESULT])
    assert (summary.answers, summary.complete, summary.same) == (1, 1, 1)
    assert summary.added_p95 == pytest.approx(0.25)
