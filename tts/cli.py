"""``offhook bench tts``: measures the mouth and prints a table and JSON."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from modelstore import ModelError
from serving.errors import ServingError
from serving.settings import load_section
from tts.errors import TtsError
from tts.settings import PiperSettings, TtsSettings


@click.command("tts")
@click.option("--url", help="Websocket base of a running mouth (ws://HOST:PORT); starts one where not given.")
@click.option("--voice", help="Name of a voice of the settings; their default voice where not given.")
@click.option("--rounds", type=click.IntRange(min=1), default=15, show_default=True, help="Repetitions.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here as well.")
def bench(url: str | None, voice: str | None, rounds: int, json_file: Path | None) -> None:
    """Measure the mouth: time to first audio by length of text, alone and with others, and time to silence.

    Beside a Piper voice, plain Piper, which renders a whole clause before it gives any of it, runs in between.
    """
    from tts.bench import measure

    try:
        settings = load_section("tts", TtsSettings)
        name = voice or settings.default_voice
        if name not in settings.voices:
            raise click.ClickException(f"no voice {name!r}; there are: {', '.join(sorted(settings.voices))}")
        chosen = settings.voices[name]
        model = chosen.model if isinstance(chosen, PiperSettings) else None
        figures = asyncio.run(measure(url, name, model, rounds))
    except (TtsError, ModelError, ServingError) as error:
        raise click.ClickException(str(error)) from None
    show(figures)
    text = json.dumps(figures, indent=1)
    if json_file:
        json_file.write_text(text + "\n", encoding="utf-8")
    click.echo(text)


def show(figures: dict[str, Any]) -> None:
    """Print ``figures`` as a table."""
    table = Table(title="Time to first audio, milliseconds (p50 / p95)")
    for column in ("text", "mouth", "plain Piper", "ratio", "real-time factor"):
        table.add_column(column, justify="left" if column == "text" else "right")
    rows = [(f"up to {length} characters", row) for length, row in figures["alone"].items()]
    for label, row in [*rows, ("4 calls at once, up to 25", figures["four_at_once"])]:
        mouth, plain, factor = row["first_audio_ms"], row.get("plain_piper_ms"), row.get("real_time_factor")
        table.add_row(
            label,
            _pair(mouth),
            _pair(plain) if plain else "",
            f"{mouth['p50'] / plain['p50']:.2f}" if plain else "",
            f"{factor['p50']:.3f}" if factor else "",
        )
    table.add_row("beside a long answer, up to 25", _pair(figures["beside_a_listener"]), "", "", "")
    table.add_row("cancel to last audio", _pair(figures["cancel_to_last_audio_ms"]), "", "", "")
    if (cpu := figures["cpu_seconds_per_second_of_speech"]) is not None:
        table.add_row("CPU s per s of speech", f"{cpu:.3f}", "", "", "")
    Console(stderr=True).print(table)


def _pair(summary: dict[str, float]) -> str:
    return f"{summary['p50']:.0f} / {summary['p95']:.0f}"
