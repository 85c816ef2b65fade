"""The waterfall in a terminal."""

from rich.console import Console

from telemetry.calls import table
from telemetry.waterfall import AXIS_CHARACTERS, Bar, render, trace_bars
from tests.telemetry.conftest import span


def text(renderable: object) -> str:
    """Return what would be printed."""
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(renderable)
    return console.export_text()


def test_children_are_indented_in_order_of_time() -> None:
    """A child stands below its parent; a span whose parent is elsewhere stands at the left."""
    call = span(number=1, start=10.0, seconds=2.0)
    late = span(number=3, name="tts", parent=call.span_id, start=11.0)
    early = span(number=2, name="asr", parent=call.span_id, start=10.5)
    stray = span(number=4, name="asr.server", parent="f" * 16, start=10.2)
    labels = [bar.label for bar in trace_bars([late, stray, early, call])]
    assert labels == ["call (gateway)", "  asr (gateway)", "  tts (gateway)", "asr.server (gateway)"]


def test_events_are_told_in_milliseconds_of_their_span() -> None:
    """Each event with its offset."""
    (bar,) = trace_bars([span(start=10.0, events=[{"name": "first_token", "at": 10.25, "attributes": {}}])])
    assert bar.note == "first_token +250"


def test_bars_lie_on_one_axis() -> None:
    """A bar's place and length are its share of the whole; nothing leaves the axis."""
    shown = text(render([Bar("all", 0.0, 1.0), Bar("half", 0.5, 1.0), Bar("moment", 1.0, 1.0)], title="turn"))
    rows = {line.split()[0]: line for line in shown.splitlines() if "█" in line}
    assert rows["all"].count("█") == AXIS_CHARACTERS
    assert rows["half"].count("█") == AXIS_CHARACTERS // 2
    assert rows["moment"].count("█") == 1
    assert rows["half"].rstrip().endswith("█")


def test_nothing_can_be_drawn() -> None:
    """No bars, and bars of no length, are no error."""
    assert "turn" in text(render([], title="turn"))
    assert "█" in text(render([Bar("x", 1.0, 1.0)], title="turn"))


def test_the_list_of_calls() -> None:
    """One row a call, with its percentiles in milliseconds; a call without turns has a dash."""
    figures = {"voice__voice_to_voice__p50": 0.5, "voice__voice_to_voice__p95": 0.75}
    shown = text(table([span(voice__call__door="twilio", **figures), span("b" * 32)]))
    assert "twilio" in shown
    assert "500" in shown
    assert "750" in shown
    assert " - " in shown
