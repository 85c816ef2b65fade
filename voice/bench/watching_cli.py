"""``offhook bench watching``."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

#: Turns that the recorder alone is measured over.
RECORDER_TURNS = 500


@click.command("watching")
@click.option(
    "--rounds", default=20, show_default=True, type=click.IntRange(2, 1000), help="Calls with each variant."
)
@click.option("--turns", default=3, show_default=True, type=click.IntRange(1, 20), help="Questions a call.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures here.")
def watching(rounds: int, turns: int, json_file: Path | None) -> None:
    """Hold the same calls with telemetry off, on, and on with a collector that hangs; compare what they cost."""
    from voice.cli import plain_errors

    console = Console(stderr=True, highlight=False)
    found = plain_errors(lambda: asyncio.run(_watch(rounds, turns, console)))()
    _show_watching(found)
    if json_file:
        json_file.write_text(json.dumps(found, indent=1), encoding="utf-8")


async def _watch(rounds: int, turns: int, console: Console) -> dict[str, Any]:
    from orchestration.agent import load_agent
    from orchestration.settings import load_configuration
    from voice.bench.latency import QUESTIONS
    from voice.bench.watching import figures, measure, recorder_cost
    from voice.caller.questions import question_from_text
    from voice.caller.script import Question

    configuration = load_configuration()
    voice = load_agent(configuration.gateway.agent).voice

    async def scripts(mouth: str) -> list[list[Question]]:
        asked = [await question_from_text(text, mouth_url=mouth, voice=voice) for text in QUESTIONS]
        return [asked[start : start + turns] for start in range(0, len(asked) - turns + 1, turns)]

    measured = await measure(
        configuration, scripts, rounds=rounds, report=lambda line: console.print(line, style="dim")
    )
    return {"recorder": recorder_cost(RECORDER_TURNS), "variants": figures(measured)}


def _show_watching(found: dict[str, Any]) -> None:
    console = Console(highlight=False, width=140)
    console.print(watching_table(found["variants"]))
    recorder = found["recorder"]
    console.print(
        f"the recorder alone: {recorder['waited_p95'] * 1000:.2f} ms p95 of a turn's wait, "
        f"{recorder['turn'] * 1000:.1f} ms processor time a turn, {recorder['export'] * 1000:.1f} ms on storing it"
    )


def watching_table(variants: dict[str, Any]) -> Table:
    """Return one row a variant of `offhook bench watching`, with 95 % intervals of what is more than without."""
    rows = Table(title="telemetry", title_justify="left", box=None)
    for heading in (
        "telemetry",
        "calls",
        "turns",
        "cpu s a call",
        "more cpu",
        "p50 ms",
        "more",
        "p95 ms",
        "more",
    ):
        rows.add_column(heading, justify="left" if heading == "telemetry" else "right")

    def spread(found: dict[str, float], scale: float, digits: int, unit: str) -> str:
        value, low, high = (f"{found[key] * scale:+.{digits}f}" for key in ("value", "low", "high"))
        return f"{value}{unit} ({low} to {high})"

    for name, found in variants.items():
        heard = found["voice_to_voice"]
        rows.add_row(
            name,
            str(found["calls"]),
            str(found["turns"]),
            f"{found['cpu_seconds_a_call']:.2f}",
            spread(found["more_cpu"], 100, 1, " %"),
            f"{heard['p50'] * 1000:.0f}",
            spread(found["more_p50"], 1000, 1, ""),
            f"{heard['p95'] * 1000:.0f}",
            spread(found["more_p95"], 1000, 1, ""),
        )
    return rows
