"""`offhook slo report` and `offhook cost` over a store whose numbers are known."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from telemetry import names
from telemetry.cli import cost, slo
from telemetry.report import Calls, calls_at_objective
from telemetry.slo import load_objectives
from telemetry.store import SpanStore
from tests.telemetry.conftest import span

TURNS = {"a": (0.5, 0.5, 0.5, 1.5), "b": (0.6, 0.6, 0.6, 0.6)}


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpanStore:
    """Two agents' calls of four turns each; one of agent a's turns was slow, b's call had a fault."""
    monkeypatch.setenv("OFFHOOK_TRACE_STORE", str(tmp_path / "calls.sqlite"))
    store, now = SpanStore(tmp_path / "calls.sqlite"), time.time() - 1000
    for number, (agent, turns) in enumerate(TURNS.items()):
        trace, began = agent * 32, now + 100 * number
        attributes = {
            names.CALL_AGENT: agent, names.CALL_DOOR: "twilio", f"{names.CALL_USE}.machine_seconds": 120.0,
            names.CALL_OUTCOME: "fault" if agent == "b" else "completed",
            names.CALL_SECONDS: 60.0, names.CALL_COST: 0.08, f"{names.CALL_COST}.machine": 0.06,
            f"{names.CALL_COST}.llm": 0.02, names.CALL_COST_CURRENCY: "EUR",
        }  # fmt: skip
        spans = [span(trace, 1, start=began, seconds=60.0, **attributes)]
        for index, seconds in enumerate(turns):
            figures = {
                names.VOICE_TO_VOICE.name: seconds,
                names.TURN_OUTCOME: "answered",
                names.TURN_INDEX: index,
            }
            spans.append(span(trace, 2 + index, name=names.SPAN_TURN, start=began + index, **figures))
        store.add(spans, now=now + 500)
    return store


def run(*arguments: str) -> Result:
    """Run `offhook slo` or `offhook cost`."""
    group = slo if arguments[0] == "slo" else cost
    return CliRunner().invoke(group, list(arguments[1:]))


def test_the_report_counts_turns(known: SpanStore) -> None:
    """One of eight turns over 0.8 s: 87.5 percent kept, 2.5 times the budget used; one of two calls had a fault."""
    report = json.loads(run("slo", "report", "--json").output)
    rows = {row["objective"]: row for row in report["objectives"]}
    assert rows["voice-to-voice"]["good_share"] == pytest.approx(0.875)
    assert rows["voice-to-voice"]["budget_left"] == pytest.approx(-1.5)
    assert rows["calls-without-fault"]["bad"] == 1
    assert rows["time-to-first-sentence"]["good_share"] is None
    assert report["figures"]["voice_to_voice"]["p50"] == pytest.approx(0.6)
    assert report["worst"][0] == {
        "trace_id": "a" * 32, "turn": 3, "voice_to_voice": 1.5, "agent": "a", "door": "twilio", "version": None,
    }  # fmt: skip


def test_the_report_splits_by_agent(known: SpanStore) -> None:
    """Agent a broke the promise, agent b kept it."""
    report = json.loads(run("slo", "report", "--json", "--by", "agent").output)
    shares = {
        row["group"]: row["good_share"]
        for row in report["objectives"]
        if row["objective"] == "voice-to-voice"
    }
    assert shares == {"a": 0.75, "b": 1.0}


def test_the_report_for_a_reader(known: SpanStore) -> None:
    """Promised, kept and left, and the command that shows the worst turn."""
    shown = run("slo", "report").output
    for expected in ("Answers begin within 0.8 s", "95.00%", "87.50%", "-150%", f"offhook trace {'a' * 12}"):
        assert expected in shown


def test_cost_adds_up(known: SpanStore) -> None:
    """Two calls of a minute at 0.08: 0.08 a minute; against 0.05 with 0.02 of use, 1.80 an hour needs 60 minutes."""
    arguments = ("cost", "--json", "--minute-price", "0.05", "--hour-price", "1.8")
    answer = json.loads(run(*arguments).output)
    assert answer["total"] == pytest.approx(0.16)
    assert answer["per_minute"] == pytest.approx(0.08)
    assert answer["parts"] == pytest.approx({"machine": 0.12, "llm": 0.04})
    assert answer["by"] == pytest.approx({"a": 0.08, "b": 0.08})
    assert answer["break_even_minutes_an_hour"] == pytest.approx(60.0)
    assert (
        "cheaper than 0.05 a minute from 60.0 minutes of calls an hour"
        in run(*arguments[:1], *arguments[2:]).output
    )


def test_what_the_machine_costs_is_known_from_the_calls(known: SpanStore) -> None:
    """Shares of 240 s that cost 0.12 are 1.80 an hour: no need to say it again."""
    answer = json.loads(run("cost", "--json", "--minute-price", "0.05").output)
    assert answer["break_even_minutes_an_hour"] == pytest.approx(60.0)
    assert answer["per_call"] == pytest.approx(0.08)


def test_calls_at_the_objective(tmp_path: Path) -> None:
    """Alone every turn is fast, two at once still, three at once are slow: two."""
    store = SpanStore(tmp_path / "s")
    spans = [span(f"{n:032x}", 1, start=100.0 + 10 * n, seconds=30.0 - 10 * n) for n in range(3)]
    for number, (trace, at, seconds) in enumerate(((0, 105.0, 0.5), (1, 115.0, 0.5), (2, 125.0, 2.0))):
        figures = {names.VOICE_TO_VOICE.name: seconds, names.TURN_OUTCOME: "answered"}
        spans.append(span(f"{trace:032x}", 10 + number, name=names.SPAN_TURN, start=at, **figures))
    store.add(spans, now=130.0)
    objective = load_objectives().objectives["voice-to-voice"]
    assert calls_at_objective(Calls.stored(store, since=0.0).turns, objective) == 2


@pytest.mark.parametrize("command", [("slo", "report"), ("cost",)])
def test_without_calls_there_is_one_line(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty store is told as such, with its path."""
    monkeypatch.setenv("OFFHOOK_TRACE_STORE", str(tmp_path / "none.sqlite"))
    result = run(*command)
    assert result.exit_code == 1
    assert "no calls of the last 30 days in" in result.output


def test_generate_writes_once(tmp_path: Path) -> None:
    """The first time every file, the second time nothing; a broken file of objectives is one line."""
    assert "rules.yml" in run("slo", "generate", "--into", str(tmp_path)).output
    assert "is current" in run("slo", "generate", "--into", str(tmp_path)).output
    (tmp_path / "wrong.toml").write_text("[objectives]\n")
    result = run("slo", "generate", "--file", str(tmp_path / "wrong.toml"), "--into", str(tmp_path))
    assert result.exit_code == 1
    assert "wrong.toml: objectives:" in result.output
