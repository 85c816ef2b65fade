"""The tables of a measurement."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.table import Table

SHARES = ("p50", "p90", "p95", "max")
Figures = Mapping[str, Any]


def _table(title: str, *headings: str, rows: Iterable[Iterable[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"


def _spread(figures: Figures | None) -> list[str]:
    return [_ms((figures or {}).get(share)) for share in SHARES]


def _longest(figures: Figures) -> str:
    return f"{figures['max'] / figures['p50']:.1f}x" if figures else "-"


def _share(count: float, of: float) -> str:
    return f"{count:g} of {of:g} ({count / of:.0%})" if of else "-"


def latency(figures: Figures) -> list[Table | str]:
    """Return the comparison of systems, and what speculation gained and cost."""
    rows = []
    for name, system in figures["systems"].items():
        ratio = figures["ratios"].get(name, {})
        part = system.get("end_of_turn_share")
        rows.append(
            [
                name,
                str(system["turns"]),
                str(system["unanswered"]),
                *_spread(system["voice_to_voice"]),
                _longest(system["voice_to_voice"]),
                *(f"{ratio[share]:.2f}x" if ratio else "-" for share in ("p50", "p95")),
                f"{part:.0%}" if part else "-",
            ]
        )
    headings = (
        "system",
        "turns",
        "unanswered",
        *SHARES,
        "max to p50",
        "p50 to stock",
        "p95 to stock",
        "end of turn",
    )
    shown: list[Table | str] = [
        _table("voice to voice, milliseconds, measured by the caller", *headings, rows=rows)
    ]
    if paid := figures.get("speculation"):
        shown.append(
            f"speculation: p50 lower by {paid['p50_lower']:.0%}; answers the same in"
            f" {_share(paid['same_answers'], paid['compared'])}; {paid['speculations']} begun,"
            f" {paid['withdrawn']} withdrawn; {paid['wasted_tokens']} tokens thrown away beside"
            f" {paid['tokens']} used ({paid['wasted_share']:.1%})"
        )
    if "replies" in figures:
        long = _share(figures["replies_of_two_sentences_and_more"], figures["replies"])
        shown.append(f"replies of two sentences and more: {long}")
    return shown


def interruptions(figures: Figures) -> list[Table | str]:
    """Return how soon the agent was silent, and whether it kept what was heard."""
    return [
        _table(
            f"interruptions: {figures['interruptions']}, agent silenced in {figures['stopped']}"
            f" ({figures['too_late']} more came when the answer was over);"
            " milliseconds from the caller's first sample to the agent's last",
            "measured at",
            *SHARES,
            rows=[
                ["gateway", *_spread(figures["gateway_stop"])],
                ["caller", *_spread(figures["caller_stop"])],
            ],
        ),
        "words kept are the words heard, to the one being said: "
        + _share(figures["same_words"], figures["compared"])
        + f"; exactly: {figures['same_words_exactly']}",
    ]


def murmurs(figures: Figures) -> list[Table | str]:
    """Return which sounds took the turn, and how long the agent paused."""
    rows = [
        [
            kind,
            str(part["sounds"]),
            _share(part["took_the_turn"], part["sounds"]),
            _share(part["paused"], part["sounds"]),
            _ms(part["pause"].get("p50")),
            _ms(part["pause"].get("max")),
        ]
        for kind, part in (*figures["by_kind"].items(), ("all", figures["all"]))
    ]
    headings = ("sound", "sounds", "took the turn", "paused over 250 ms", "pause p50, ms", "max")
    return [_table("sounds over the agent's answer that are no interruption", *headings, rows=rows)]


def hesitations(figures: Figures) -> list[Table | str]:
    """Return cut-offs beside the delay of complete turns."""
    rows = [
        [
            name,
            _share(part["cut_off"], part["hesitant_turns"]),
            _share(part["fluent_cut_off"], part["fluent_turns"]),
            str(part["complete_turns"]),
            *_spread(part["delay"]),
        ]
        for name, part in figures["systems"].items()
    ]
    headings = ("system", "pause of 0.5 to 1.5 s inside", "fluent", "complete", *SHARES)
    return [_table("turns that were cut off; end-of-turn delay of complete ones, ms", *headings, rows=rows)]


def load(figures: Figures) -> list[Table | str]:
    """Return voice to voice and processor time by callers at once."""
    rows = [
        [
            str(step["callers"]),
            str(step["turns"]),
            str(step["unanswered"]),
            *_spread(step["voice_to_voice"]),
            f"{step['cpu_seconds_per_call_minute'] or 0:.1f}",
            f"{step['end_of_turn_share'] or 0:.0%}",
        ]
        for step in figures["steps"]
    ]
    headings = ("callers at once", "turns", "unanswered", *SHARES, "CPU s per call minute", "end of turn")
    return [_table("voice to voice under load, milliseconds", *headings, rows=rows)]


def endurance(figures: Figures) -> list[Table | str]:
    """Return what did not end, and what grew."""
    warm, end = figures["memory_after_first_turns"] or {}, figures["memory_at_the_end"]
    rows = [[name, f"{warm.get(name, 0):.0f}", f"{end[name]:.0f}"] for name in sorted(end)]
    return [
        f"{figures['turns']} turns in {figures['calls']} calls: {figures['unanswered']} unanswered,"
        f" {len(figures['failed_calls'])} calls failed; tasks of the gateway"
        f" {figures['tasks_before']} before, {figures['tasks_at_the_end']} after",
        _table("memory, megabytes", "server", "after the first turns", "at the end", rows=rows),
    ]


def echoes(figures: Figures) -> list[Table | str]:
    """Return who was interrupted by its own voice."""
    rows = [
        [
            row["system"],
            f"{row['level']} dB",
            _ms(row["delay"]),
            str(row["turns_taken"]),
            str(row["false_alarms"]),
            "yes" if row["finished"] else "no",
        ]
        for row in figures["rows"]
    ]
    headings = ("system", "echo", "late, ms", "turns taken", "false alarms", "answer finished")
    return [_table("the agent's own echo", *headings, rows=rows)]


TABLES: Mapping[str, Callable[[Figures], list[Table | str]]] = {
    "latency": latency,
    "long": latency,
    "interruptions": interruptions,
    "murmurs": murmurs,
    "hesitations": hesitations,
    "load": load,
    "endurance": endurance,
    "echo": echoes,
}
