"""``offhook slo`` and ``offhook cost``."""

import json
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from telemetry.cost import Prices, break_even_minutes
from telemetry.errors import TelemetryError
from telemetry.report import GROUPS, Calls, as_json, calls_at_objective, grouped, spent
from telemetry.slo import Objectives, load_objectives
from telemetry.tracing import local_store

SECONDS_PER_DAY = 86400.0
#: Width of tables in a file or a pipe, characters.
PLAIN_COLUMNS = 140

file_option = click.option(
    "--file",
    "path",
    default="",
    envvar="OFFHOOK_TELEMETRY__SLOS",
    help="Objectives (default: those shipped).",
)
days_option = click.option(
    "--days", default=30.0, show_default=True, type=click.FloatRange(min=0.001), help="How far back."
)
json_option = click.option("--json", "plain_json", is_flag=True, help="Print one JSON object.")


def _objectives(path: str) -> Objectives:
    try:
        return load_objectives(path)
    except TelemetryError as error:
        raise click.ClickException(str(error)) from None


def _calls(days: float) -> Calls:
    store = local_store()
    calls = Calls.stored(store, since=time.time() - days * SECONDS_PER_DAY)
    if not calls.calls:
        raise click.ClickException(f"no calls of the last {days:g} days in {store.path}")
    return calls


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_COLUMNS)


@click.group()
def slo() -> None:
    """What callers are promised: generate what watches it, report how it stands."""


@slo.command("generate")
@file_option
@click.option("--into", type=click.Path(path_type=Path), default=Path("deploy"), show_default=True)
def generate_command(path: str, into: Path) -> None:
    """Write Prometheus rules, Alertmanager routes and Grafana dashboards."""
    from telemetry.generate import write

    changed = write(_objectives(path), into)
    for file in changed:
        click.echo(file)
    if not changed:
        click.echo(f"everything in {into} is current")


@slo.command("report")
@file_option
@days_option
@json_option
@click.option("--by", type=click.Choice(list(GROUPS)), help="Split by this.")
@click.option("--worst", default=5, show_default=True, type=click.IntRange(0, 100))
def report_command(path: str, days: float, plain_json: bool, by: str | None, worst: int) -> None:
    """Say how much of each budget is left, and which turns kept callers waiting longest."""
    calls, objectives = _calls(days), _objectives(path).all()
    report = as_json(calls, objectives, group_by=by or "", worst=worst)
    if plain_json:
        click.echo(json.dumps(report, indent=2))
        return
    console = _console()
    titles = {objective.name: objective for objective in objectives}
    table = Table(box=None, pad_edge=False)
    for heading in ("objective", by or "", "events", "promised", "kept", "budget left"):
        table.add_column(heading)
    for row in report["objectives"]:
        objective = titles[row["objective"]]
        share, left = row["good_share"], row["budget_left"]
        table.add_row(
            objective.title,
            row["group"],
            str(row["events"]),
            f"{objective.objective:.2%}",
            "-" if share is None else f"{share:.2%}",
            "-" if left is None else f"{left:.0%}",
        )
    console.print(table)
    figures = Table(box=None, pad_edge=False, title="milliseconds", title_justify="left")
    for heading in ("figure", "turns", "p50", "p95", "max"):
        figures.add_column(heading)
    for name, values in report["figures"].items():
        figures.add_row(
            name, str(values["count"]), *(f"{values[key] * 1000:.0f}" for key in ("p50", "p95", "max"))
        )
    console.print(figures)
    worst_turns = Table(box=None, pad_edge=False, title="longest waits", title_justify="left")
    for heading in ("ms", "turn", "agent", "door", "version", "trace"):
        worst_turns.add_column(heading)
    for turn in report["worst"]:
        worst_turns.add_row(
            f"{turn['voice_to_voice'] * 1000:.0f}",
            *(str(turn[key]) for key in ("turn", "agent", "door", "version")),
            f"offhook trace {turn['trace_id'][:12]}",
        )
    if report["worst"]:
        console.print(worst_turns)


@click.command()
@file_option
@days_option
@json_option
@click.option("--by", type=click.Choice(list(GROUPS)), default="agent", show_default=True)
@click.option("--minute-price", type=click.FloatRange(min=0), help="What a minute costs elsewhere.")
@click.option(
    "--hour-price",
    type=click.FloatRange(min=0),
    help="What this machine costs an hour (default: as [telemetry.prices] said when the calls were held).",
)
@click.option("--gpus", default=0, type=click.IntRange(min=0), help="GPUs of this machine.")
def cost(
    path: str,
    days: float,
    plain_json: bool,
    by: str,
    minute_price: float | None,
    hour_price: float | None,
    gpus: int,
) -> None:
    """Say what calls cost, and from how many minutes an hour this machine is cheaper than elsewhere."""
    calls = _calls(days)
    total = spent(calls.calls)
    answer: dict[str, Any] = {
        "currency": total.currency,
        "calls": total.calls,
        "minutes": total.minutes,
        "total": total.total,
        "per_minute": total.per_minute,
        "per_call": total.per_call,
        "parts": total.parts,
        "by": {key: spent(group).per_minute for key, group in grouped(calls.calls, by).items()},
        "calls_at_objective": {
            objective.name: calls_at_objective(calls.turns, objective) / max(1, gpus)
            for objective in _objectives(path).all()
            if objective.measured
        },
    }
    if minute_price is not None:
        hour = hour_price if hour_price is not None else total.machine_hour
        if hour is None:
            raise click.ClickException(
                "what an hour of this machine costs is not known from these calls: give --hour-price, or set "
                "machine_hour in [telemetry.prices] before the next calls"
            )
        prices = Prices(machine_hour=hour)
        answer["break_even_minutes_an_hour"] = break_even_minutes(prices, minute_price, total.used_per_minute)
    if plain_json:
        click.echo(json.dumps(answer, indent=2))
        return
    console = _console()
    console.print(
        f"{total.calls} calls, {total.minutes:.1f} minutes, {total.total:.4f} {total.currency}; "
        f"a call {total.per_call or 0.0:.5f}, a minute {total.per_minute or 0.0:.5f}"
    )
    for part, value in total.parts.items():
        console.print(f"  {part:8} {value:.4f}")
    for key, value in answer["by"].items():
        console.print(f"a minute with {by} {key}: {0.0 if value is None else value:.5f} {total.currency}")
    for name, count in answer["calls_at_objective"].items():
        console.print(f"calls at once that kept {name}, per {'GPU' if gpus else 'machine'}: {count:g}")
    if minute_price is not None:
        minutes = answer["break_even_minutes_an_hour"]
        console.print(
            "never cheaper than that price: what is bought by use alone costs more"
            if minutes is None
            else f"cheaper than {minute_price:g} a minute from {minutes:.1f} minutes of calls an hour"
        )
