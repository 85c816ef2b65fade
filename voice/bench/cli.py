"""``offhook bench call``."""

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

PARTS = ("latency", "long", "interruptions", "murmurs", "hesitations", "load", "endurance", "echo")
#: The systems that `latency` can compare, as :mod:`voice.bench.systems` names them, and those it does by itself.
SYSTEMS = ("offhook", "offhook, no speculation", "offhook, no reading ahead", "stock pipecat")
COMPARED = ("offhook", "offhook, no speculation", "stock pipecat")


@click.command("call")
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--quick", is_flag=True, help="Little of everything: minutes, not an hour.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="latency, long: calls to each system.  [8]")
@click.option("--interruptions", type=click.IntRange(1, 1000), help="interruptions: how many.  [30]")
@click.option("--clips", type=click.IntRange(1, 1000), help="murmurs, hesitations: recordings at most.  [40]")
@click.option("--turns", type=click.IntRange(1, 100_000), help="endurance: how many.  [200]")
@click.option(
    "--callers", multiple=True, type=click.IntRange(1, 64), help="load: how many at once.  [1, 2, 4]"
)
@click.option(
    "--system",
    "names",
    multiple=True,
    type=click.Choice(SYSTEMS),
    default=COMPARED,
    show_default=True,
    help="latency, long: what to measure; may be given again.",
)
@click.option(
    "--ask", "files", multiple=True, type=click.Path(), help="A recording to ask instead of the questions."
)
@click.option(
    "--door",
    type=click.Choice(("twilio", "telnyx", "plivo", "vonage")),
    default="twilio",
    show_default=True,
    help="Which carrier's media stream the calls come through; the stock bot has Twilio's alone.",
)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    default=Path("../shared/audio/manifest.jsonl"),
    show_default=True,
    help="Recordings of murmurs, noises and turns, as `offhook bench asr` takes them.",
)
@click.option("--png", type=click.Path(path_type=Path), default=Path("bench-call.png"), show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures here.")
def bench(
    parts: tuple[str, ...], quick: bool, names: tuple[str, ...], files: tuple[str, ...], door: str,
    manifest: Path, png: Path, json_file: Path | None, **sizes: Any,
) -> None:  # fmt: skip
    """Hold scripted calls through a carrier's media stream in real time, and measure from the audio outside.

    \b
    PARTS, all of them where none is named:
      latency        voice to voice beside the peers; what speculation gains and costs
      long           the same with replies of two sentences and more
      interruptions  how soon the agent is silent, words kept against words heard
      murmurs        "mm-hm", "yeah", noises: what takes the turn
      hesitations    pauses inside a turn: what is cut off, and the delay of complete turns
      load           1, 2, 4 callers at once, processor time of a call minute
      endurance      many turns in one run: stuck calls, tasks, memory
      echo           the agent's own voice on the caller's line
    The mouth's phrase cache is off throughout.
    """
    from voice.bench.lab import QUICK, Sizes
    from voice.cli import plain_errors

    given = {name: value for name, value in sizes.items() if value}
    chosen = dataclasses.replace(QUICK if quick else Sizes(), **given)
    console = Console(stderr=True, highlight=False)
    run = _measure(parts or PARTS, names, chosen, files, door, manifest, console, png, json_file)
    plain_errors(lambda: asyncio.run(run))()


async def _measure(
    parts: tuple[str, ...], names: tuple[str, ...], sizes: Any, files: tuple[str, ...], door: str, manifest: Path,
    console: Console, png: Path, json_file: Path | None,
) -> None:  # fmt: skip
    from orchestration.agent import load_agent
    from orchestration.settings import load_configuration
    from voice.bench.lab import Lab
    from voice.bench.parts import measure, systems_of
    from voice.bench.systems import running_systems

    configuration = load_configuration()
    report = lambda line: console.print(line, style="dim")  # noqa: E731 - a callback
    figures: dict[str, Any] = {}
    async with running_systems(configuration, systems_of(parts, names), report) as systems:
        lab = Lab(
            systems=systems,
            mouth_url=f"http{configuration.tts_url.removeprefix('ws')}",
            ear_url=f"http{configuration.asr_url.removeprefix('ws')}",
            voice=load_agent(configuration.gateway.agent).voice,
            sizes=sizes,
            manifest=manifest,
            files=files,
            door=door,
            report=report,
        )
        for part in parts:
            figures[part] = await measure(lab, part, names)
            _show(part, figures, png, json_file)


def _show(part: str, figures: dict[str, Any], png: Path, json_file: Path | None) -> None:
    """Print a part that is done, and write down all there is so far: a run that is broken off keeps it."""
    from voice.bench.picture import draw
    from voice.bench.report import TABLES

    console = Console(highlight=False, width=140)
    for shown in TABLES[part](figures[part]):
        console.print(shown)
    if part == "latency":
        draw(figures[part]["systems"], png)
        console.print(f"picture in {png}")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        console.print(f"figures so far in {json_file}")
