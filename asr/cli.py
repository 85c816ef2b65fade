"""``offhook bench asr``: measures the ear and prints a table and JSON."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from asr.bench import HALVES
from asr.errors import AsrError
from asr.settings import AsrSettings
from modelstore import ModelError, locate
from serving.errors import ServingError
from serving.settings import load_section

PARTS = ("accuracy", "turns", "noise", "vocabulary", "memory", "delay", "load")


@click.command("asr")
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    default=Path("../shared/audio/manifest.jsonl"),
    show_default=True,
    help="JSON lines: path, text, kind (see docs/benchmarks.md).",
)
@click.option(
    "--split",
    type=click.Choice(HALVES),
    help="Use the speakers of one half: those the settings were chosen on, or the others.",
)
@click.option("--clips", type=click.IntRange(min=1), help="Use at most this many clips of each kind.")
@click.option("--seconds", type=float, default=7200.0, show_default=True, help="Audio of the memory part.")
@click.option(
    "--streams", default="1,2,4,6,8", show_default=True, help="Numbers of streams of the load part."
)
@click.option(
    "--whisper-live",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Python of an environment with whisper-live: a further peer of the delay part.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here as well.")
def bench(parts: tuple[str, ...], json_file: Path | None, **options: Any) -> None:
    """Measure the ear: PARTS are accuracy, turns, noise, vocabulary, memory, delay, load; all where none is named.

    The first four play audio as fast as it goes and give the same every time; memory does so to a server, delay
    and load play to one in real time.
    """
    console = Console(stderr=True)
    figures: dict[str, Any] = {}
    try:
        runs = _runs(Options(**options), console)
        for name in parts or PARTS:
            figures[name] = runs[name]()
            _show(name, figures[name])
            if json_file:
                json_file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    except ImportError as error:
        raise click.ClickException(f"{error.name} is missing; install offhook[bench]") from None
    except (AsrError, ModelError, ServingError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(figures, indent=1))


@dataclass(frozen=True)
class Options:
    """What is measured, and on what: the options of the command, by their names."""

    manifest: Path
    split: str | None
    clips: int | None
    seconds: float
    streams: str
    whisper_live: Path | None


def _runs(options: Options, console: Console) -> dict[str, Callable[[], dict[str, Any]]]:
    """Load clips and models and return what measures each part."""
    from faster_whisper import WhisperModel

    from asr.bench import accuracy, corpus, delay, load, memory, noise, turns, vocabulary
    from asr.bench.offline import Player
    from asr.whisper import Whisper

    settings = load_section("asr", AsrSettings)
    clips = corpus.load(options.manifest)
    if options.split:
        clips = [clip for clip in clips if clip.half == options.split]
    if options.clips:
        clips = _limited(clips, options.clips)
    counts = [int(count) for count in options.streams.split(",")]
    path = locate(settings.model)
    whisper = Whisper(
        path,
        device=settings.device,
        compute_type=settings.compute_type,
        cpu_threads=settings.cpu_threads,
        settings=settings.decode,
    )
    player = Player(whisper, settings.turn, settings.decode)

    def progress(name: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
        return lambda items: track(list(items), description=name, console=console)

    def batch() -> Any:
        return WhisperModel(
            str(path),
            device=whisper.device,
            compute_type=whisper.compute_type,
            cpu_threads=settings.cpu_threads,
        )

    return {
        "accuracy": lambda: accuracy.measure(clips, player, batch(), progress("accuracy")),
        "turns": lambda: turns.measure(clips, player, settings.turn, progress("turns")),
        "noise": lambda: noise.measure(clips, player, progress("noise")),
        "vocabulary": lambda: vocabulary.measure(clips, player, progress("vocabulary")),
        "memory": lambda: memory.measure(clips, options.seconds, progress("memory")),
        "delay": lambda: delay.measure(clips, path, options.whisper_live, progress("delay")),
        "load": lambda: load.measure(clips, counts, progress("load")),
    }


def _limited(clips: list[Any], limit: int) -> list[Any]:
    kept: dict[str, int] = {}
    chosen = []
    for clip in clips:
        kept[clip.kind] = kept.get(clip.kind, 0) + 1
        if kept[clip.kind] <= limit:
            chosen.append(clip)
    return chosen


def _show(name: str, part: dict[str, Any]) -> None:
    console = Console()
    flat = {key: value for key, value in part.items() if not isinstance(value, list)}
    for title, rows in ((key, value) for key, value in part.items() if isinstance(value, list)):
        if rows and isinstance(rows[0], dict):
            table = Table(*rows[0], title=f"{name}: {title}")
            for row in rows:
                table.add_row(*(str(value) for value in row.values()))
            console.print(table)
    table = Table("figure", "value", title=name)
    for key, value in flat.items():
        table.add_row(key, str(value))
    console.print(table)
