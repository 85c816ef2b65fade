"""What ``offhook tune`` leaves behind: a ranking in Markdown, a picture, and the winner as a profile."""

from collections.abc import Sequence
from pathlib import Path

import tomli_w
from matplotlib.figure import Figure

from llm.tune import Result
from llm.tune_plan import Candidate, Load, table_of

REPORT_FILE, PICTURE_FILE, WINNER_FILE = "report.md", "report.png", "winner.toml"
#: Size of the picture, inches at 100 dots each.
PICTURE_WIDTH, BAR_HEIGHT, PICTURE_MARGIN = 9.0, 0.6, 1.5


def ranked(results: Sequence[Result]) -> list[Result]:
    """Return the results, shortest p95 time to first sentence first, failures last."""
    return sorted(results, key=lambda result: (bool(result.error), result.first_sentence_p95))


def write(
    folder: Path,
    candidates: Sequence[Candidate],
    results: Sequence[Result],
    load: Load,
    *,
    cost_per_hour: float | None = None,
) -> Path | None:
    """Write the report, the picture and the winner into ``folder``; return the winner's path.

    Args:
        folder: where they go.
        candidates: what was tried.
        results: what came of it.
        load: how it was asked.
        cost_per_hour: what the machine costs, in any currency; None leaves the column out.

    """
    order = ranked(results)
    (folder / REPORT_FILE).write_text(markdown(order, load, cost_per_hour), encoding="utf-8")
    measured = [result for result in order if not result.error]
    if not measured:
        return None
    _draw(folder / PICTURE_FILE, measured)
    winner = next(item for item in candidates if item.name == measured[0].name)
    table = {key: value for key, value in table_of(winner.profile).items() if key != "name"}
    path = folder / WINNER_FILE
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    return path


def markdown(results: Sequence[Result], load: Load, cost_per_hour: float | None) -> str:
    """Return the ranking as a Markdown page; times in milliseconds."""
    costly = cost_per_hour is not None
    beside = f", beside {load.busy} busy processes" if load.busy else ""
    head = ["", "first sentence p95", "p50", "first token p95", "p50", "longest gap p95", "tokens/s a call",
            "tokens a step", "cached", "turns/s", *(["per 1000 turns"] if costly else []), "ready after"]  # fmt: skip
    lines = [
        "# Engine settings by time to first sentence",
        "",
        f"{len(load.transcripts)} calls of {sum(len(call.turns) for call in load.transcripts)} turns in all, "
        f"played {load.rounds} times, {load.concurrent} at once{beside}. Times in milliseconds; the longest gap is "
        "that between two pieces of an answer's text.",
        "",
        "| " + " | ".join(head) + " |",
        "|---" + "|---:" * (len(head) - 1) + "|",
    ]
    lines += [
        "| " + " | ".join(_cells(result, cost_per_hour)) + " |" for result in results if not result.error
    ]
    failures = [f"- {result.name}: {result.error}" for result in results if result.error]
    return "\n".join([*lines, *(["", "Not measured:", "", *failures] if failures else []), ""])


def _cells(result: Result, cost_per_hour: float | None) -> list[str]:
    cost = []
    if cost_per_hour is not None:
        cost = [f"{cost_per_hour / 3600 / result.turns_per_second * 1000:.3f}"]
    return [
        result.name,
        f"{result.first_sentence_p95 * 1000:.0f}",
        f"{result.first_sentence_p50 * 1000:.0f}",
        f"{result.first_token_p95 * 1000:.0f}",
        f"{result.first_token_p50 * 1000:.0f}",
        f"{result.longest_gap_p95 * 1000:.0f}",
        f"{result.tokens_per_second:.1f}",
        f"{result.accepted_length:.2f}",
        f"{result.cached_share:.0%}",
        f"{result.turns_per_second:.2f}",
        *cost,
        f"{result.ready_seconds:.1f} s",
    ]


def _draw(path: Path, results: Sequence[Result]) -> None:
    """Draw p95 and p50 time to first sentence as bars, the best on top."""
    figure = Figure(figsize=(PICTURE_WIDTH, PICTURE_MARGIN + BAR_HEIGHT * len(results)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(results))
    axes.barh(places, [result.first_sentence_p95 * 1000 for result in results], color="#9ecae1", label="p95")
    axes.barh(places, [result.first_sentence_p50 * 1000 for result in results], color="#3182bd", label="p50")
    axes.set_yticks(places, [result.name for result in results])
    axes.invert_yaxis()
    axes.set_xlabel("time to first sentence, milliseconds")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(path, dpi=100)
