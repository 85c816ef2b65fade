"""``offhook bench call``."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from voice.bench.systems import OFFHOOK, STOCK, SYSTEMS

#: Questions whose answers differ in length; spoken by the mouth where no recordings are given.
QUESTIONS = (
    "What is the capital of France?",
    "How many days are there in a week?",
    "What colour is the sky on a clear day?",
    "Can you tell me what a telephone is used for?",
    "What is the opposite of hot?",
)


@click.command("call")
@click.argument("files", nargs=-1, type=click.Path())
@click.option(
    "--rounds", default=8, show_default=True, type=click.IntRange(1, 1000), help="Calls to each system."
)
@click.option(
    "--system",
    "names",
    multiple=True,
    type=click.Choice(SYSTEMS),
    default=SYSTEMS,
    show_default=True,
    help="What to measure; may be given again.",
)
@click.option("--png", type=click.Path(path_type=Path), default=Path("bench-call.png"), show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures here.")
def bench(
    files: tuple[str, ...], rounds: int, names: tuple[str, ...], png: Path, json_file: Path | None
) -> None:
    """Hold scripted calls with Offhook and its peers in turn, and compare what the caller hears.

    FILES are recordings to ask, one a turn, instead of the built-in questions.
    """
    from voice.cli import plain_errors

    console = Console(stderr=True, highlight=False)
    figures = plain_errors(lambda: asyncio.run(_measure(files, rounds, names, console)))()
    _show(figures, png, json_file)


async def _measure(
    files: tuple[str, ...], rounds: int, names: tuple[str, ...], console: Console
) -> dict[str, dict[str, Any]]:
    from orchestration.agent import load_agent
    from orchestration.settings import load_configuration
    from voice.bench.calls import place_calls
    from voice.bench.figures import figures_of
    from voice.bench.systems import running_systems
    from voice.caller.questions import question_from_file, question_from_text

    configuration = load_configuration()
    report = lambda line: console.print(line, style="dim")  # noqa: E731 - a callback
    async with running_systems(configuration, names, report) as systems:
        mouth = f"http{configuration.tts_url.removeprefix('ws')}"
        voice = load_agent(configuration.gateway.agent).voice
        questions = [question_from_file(path) for path in files] or [
            await question_from_text(text, mouth_url=mouth, voice=voice) for text in QUESTIONS
        ]
        measured = await place_calls(systems, questions, rounds=rounds, progress=report)
    return {calls.system.name: figures_of(calls) for calls in measured}


def _show(figures: dict[str, dict[str, Any]], png: Path, json_file: Path | None) -> None:
    from voice.bench.figures import ratios
    from voice.bench.report import picture, table

    reference = STOCK if STOCK in figures else OFFHOOK
    console = Console(highlight=False, width=140)
    console.print(table(figures, ratios(figures, reference), reference))
    picture(figures, png)
    console.print(f"picture in {png}")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        console.print(f"figures in {json_file}")
