"""``offhook bench call`` and ``offhook bench watching``."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from voice.bench.systems import OFFHOOK, STOCK, SYSTEMS

#: Spoken by the mouth where no recordings are given; every call of a system asks the next ones.
QUESTIONS = tuple(
    """
What is the capital of France?
How many days are there in a week?
What colour is the sky on a clear day?
Can you tell me what a telephone is used for?
What is the opposite of hot?
What is the capital of Italy?
Which animal says meow?
What do bees make?
How many hours are there in a day?
What do people drink in the morning?
Where do fish live?
What is the largest planet?
What is bread made of?
Who looks after people in a hospital?
What do you wear when it rains?
What is the capital of Germany?
How many months are there in a year?
What is the opposite of small?
What does a baker do?
Which season comes after winter?
What is ice made of?
What is the capital of Japan?
Why do birds have wings?
What do cows eat?
How many legs does a spider have?
What is a library for?
What is the opposite of early?
Which fruit is yellow and long?
What does a doctor do?
Where does the sun rise?
What is the capital of Greece?
How many minutes are there in an hour?
What do you use to cut paper?
What is the opposite of loud?
What is a bicycle?
Which month comes after May?
What is the capital of Portugal?
What do you find on a beach?
How do plants grow?
What is the opposite of heavy?
""".strip().splitlines()
)
QUESTIONS_A_CALL = 5
#: Turns that the recorder alone is measured over.
RECORDER_TURNS = 500


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

    FILES are recordings to ask, one a turn, instead of the built-in questions. The mouth's phrase cache is off.
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
        size = len(questions) if files else QUESTIONS_A_CALL
        calls = [questions[start : start + size] for start in range(0, len(questions), size)]
        measured = await place_calls(systems, calls, rounds=rounds, progress=report)
    return {one.system.name: figures_of(one) for one in measured}


def _show(figures: dict[str, dict[str, Any]], png: Path, json_file: Path | None) -> None:
    from voice.bench.figures import ratios, speculation
    from voice.bench.report import picture, table

    reference = STOCK if STOCK in figures else OFFHOOK
    console = Console(highlight=False, width=140)
    console.print(table(figures, ratios(figures, reference), reference))
    if paid := speculation(figures):
        console.print(
            f"speculation: p50 lower by {paid['p50_lower']:.0%}; {paid['same_answers']:g} of"
            f" {paid['compared']:g} answers the same; {paid['wasted_tokens']:g} tokens thrown away"
        )
    picture(figures, png)
    console.print(f"picture in {png}")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        console.print(f"figures in {json_file}")


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
    from voice.bench.report import watching_table

    console = Console(highlight=False, width=140)
    console.print(watching_table(found["variants"]))
    recorder = found["recorder"]
    console.print(
        f"the recorder alone: {recorder['waited_p95'] * 1000:.2f} ms p95 of a turn's wait, "
        f"{recorder['turn'] * 1000:.1f} ms processor time a turn, {recorder['export'] * 1000:.1f} ms on storing it"
    )
