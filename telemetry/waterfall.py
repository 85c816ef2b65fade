"""Waterfalls for a terminal: bars on a common time axis."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from telemetry.store import StoredSpan

#: Width of the time axis, characters.
AXIS_CHARACTERS = 40


@dataclass(frozen=True)
class Bar:
    """One row: a label and the stretch of time it took, seconds from the axis's zero."""

    label: str
    start: float
    end: float
    note: str = ""


def render(bars: Sequence[Bar], *, title: str) -> Table:
    """Return the bars as a table: label, milliseconds, and the bar itself."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("ms", justify="right")
    table.add_column("at")
    table.add_column("")
    begin = min((bar.start for bar in bars), default=0.0)
    length = max((bar.end for bar in bars), default=0.0) - begin
    for bar in bars:
        table.add_row(bar.label, f"{(bar.end - bar.start) * 1000:.0f}", _draw(bar, begin, length), bar.note)
    return table


def rows(spans: Iterable[StoredSpan]) -> list[tuple[StoredSpan, int]]:
    """Return the spans of one trace and how deep they lie: children after their parents, in order of time."""
    spans = sorted(spans, key=lambda span: span.start)
    known = {span.span_id for span in spans}
    children: dict[str | None, list[StoredSpan]] = {}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in known else None, []).append(span)
    found: list[tuple[StoredSpan, int]] = []

    def add(parent: str | None, depth: int) -> None:
        for span in children.get(parent, []):
            found.append((span, depth))
            add(span.span_id, depth + 1)

    add(None, 0)
    return found


def trace_bars(spans: Iterable[StoredSpan]) -> list[Bar]:
    """Return a bar for every span of one trace, children indented under their parents, in order of time."""
    found = rows(spans)
    zero = min((span.start for span, _ in found), default=0.0)
    return [
        Bar(
            f"{'  ' * depth}{span.name} ({span.service.removeprefix('offhook-')})",
            span.start - zero,
            span.finish - zero,
            _note(span),
        )
        for span, depth in found
    ]


def _draw(bar: Bar, begin: float, length: float) -> Text:
    scale = AXIS_CHARACTERS / length if length > 0 else 0.0
    left = min(AXIS_CHARACTERS - 1, round((bar.start - begin) * scale))
    width = max(1, min(AXIS_CHARACTERS - left, round((bar.end - bar.start) * scale)))
    return Text(" " * left + "█" * width, style="cyan")


def _note(span: StoredSpan) -> str:
    events = [f"{event['name']} +{(event['at'] - span.start) * 1000:.0f}" for event in span.events]
    return "  ".join(events)
