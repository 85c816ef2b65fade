"""Commands of the mind: ``offhook llm``, ``offhook tune``, ``offhook bench failover`` and ``bench overhead``.

What takes long to import is imported by the command that needs it.
"""

import asyncio
import json
import secrets
import signal
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from pydantic import SecretStr

from llm.adapters import load_adapter, unload_adapter
from llm.command import Command
from llm.engine import LaunchSpec, launch_specs
from llm.errors import LLMError
from llm.profile import Adapter, load_profile, profile_names
from llm.settings import LLMSettings
from modelstore import ModelError
from serving.errors import ServingError
from serving.settings import load_section

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from llm.bench_failover import Summary
    from llm.bench_overhead import Overhead

P = ParamSpec("P")
R = TypeVar("R")

#: The issue's bound for the gap a failure adds to the survivor's own first token, seconds.
ADDED_GAP_BOUND = 0.3


def _plain_errors(command: "Callable[P, R]") -> "Callable[P, R]":
    """Turn our errors into one line and exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (LLMError, ModelError, ServingError) as error:
            raise click.ClickException(str(error)) from None

    return run


@click.group()
def llm() -> None:
    """Engine profiles and what becomes of them."""


@llm.command("command")
@click.argument("profile")
@_plain_errors
def show_command(profile: str) -> None:
    """Print the exact command line that PROFILE (a shipped name or a path) becomes."""
    for spec in launch_specs(load_profile(profile), load_section("llm", LLMSettings)):
        click.echo(Command(spec.argv, spec.public_env))


@llm.command("profiles")
@_plain_errors
def show_profiles() -> None:
    """List the profiles that ship."""
    for name in profile_names():
        click.echo(f"{name:14} {load_profile(name).description}")


@llm.command("load-adapter")
@click.argument("name")
@click.argument("path")
@_plain_errors
def load_lora(name: str, path: str) -> None:
    """Load the LoRA adapter at PATH into the running engine, as model NAME."""
    settings = load_section("llm", LLMSettings)
    key = settings.api_key.get_secret_value()
    asyncio.run(load_adapter(_url_of(settings), Adapter(name=name, path=path), api_key=key))


@llm.command("unload-adapter")
@click.argument("name")
@_plain_errors
def unload_lora(name: str) -> None:
    """Take the LoRA adapter NAME out of the running engine."""
    settings = load_section("llm", LLMSettings)
    asyncio.run(unload_adapter(_url_of(settings), name, api_key=settings.api_key.get_secret_value()))


@click.command()
@click.argument("profile")
@click.option(
    "--candidates", type=click.Path(path_type=Path), help="TOML file; default: what needs no more weights."
)
@click.option(
    "--transcripts", type=click.Path(path_type=Path), help="JSON file of calls; default: those that ship."
)
@click.option("--calls", default=2, show_default=True, type=click.IntRange(1), help="Calls at once.")
@click.option(
    "--rounds", default=1, show_default=True, type=click.IntRange(1), help="Times each call is played."
)
@click.option(
    "--folder", default="tune", show_default=True, type=click.Path(path_type=Path), help="Results go here."
)
@click.option("--cost-per-hour", type=float, help="What the machine costs an hour; adds a column.")
@_plain_errors
def tune(
    profile: str,
    candidates: Path | None,
    transcripts: Path | None,
    calls: int,
    rounds: int,
    folder: Path,
    cost_per_hour: float | None,
) -> None:
    """Try engine settings on real calls and rank them by p95 time to first sentence.

    A run that was broken off goes on where it stopped when started again with the same folder.
    """
    from llm import tune_report
    from llm.questions import load, shipped
    from llm.tune import Tuner
    from llm.tune_plan import Load, load_candidates

    tried = load_candidates(load_profile(profile), candidates)
    played = tuple(load(transcripts) if transcripts else shipped())
    plan = Load(played, concurrent=calls, rounds=rounds)
    settings = _own_place(secrets.token_urlsafe())
    results = _run(Tuner(plan, settings, folder, say=click.echo).run(tried))
    winner = tune_report.write(folder, tried, results, plan, cost_per_hour=cost_per_hour)
    click.echo(tune_report.markdown(tune_report.ranked(results), plan, cost_per_hour))
    if winner is None:
        raise click.ClickException(f"no candidate could be measured; see the logs in {folder}")
    click.echo(f"winner: {winner}; run it with OFFHOOK_LLM__PROFILE={winner} offhook up")


@click.command()
@click.option(
    "--profile", "profiles", multiple=True, help="Engine profile; give two or more (default: twice embedded)."
)
@click.option("--answers", default=100, show_default=True, type=click.IntRange(1), help="Answers to disturb.")
@click.option(
    "--fault", "faults", multiple=True, type=click.Choice(["kill", "freeze"]), help="Default: both in turn."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_plain_errors
def failover(profiles: Sequence[str], answers: int, faults: Sequence[str], as_json: bool) -> None:
    """Kill or freeze the engine that is speaking, and measure the silence.

    The engines are started here and speak with their profiles' weights. Exit status 1 when an answer was not
    completed, or when the median added gap is out of bounds.
    """
    key = secrets.token_urlsafe()
    specs = [_spec(name, key) for name in profiles or ("embedded", "embedded")]
    if len(specs) < 2:
        raise click.UsageError("an answer can only move where there are two engines; give --profile twice")
    summary = _run(_disturb(specs, key, answers, tuple(faults) or ("kill", "freeze"), quiet=as_json))
    click.echo(json.dumps(asdict(summary)) if as_json else _table(summary))
    if summary.complete < summary.answers or summary.added_p50 > ADDED_GAP_BOUND:
        raise SystemExit(1)


@click.command()
@click.option("--profile", default="embedded", show_default=True, help="Engine profile to start and ask.")
@click.option("--answers", default=100, show_default=True, type=click.IntRange(1), help="Answers each way.")
@_plain_errors
def overhead(profile: str, answers: int) -> None:
    """Compare first tokens through our client with those of bare HTTP streaming."""
    key = secrets.token_urlsafe()
    result = _run(_overhead(_spec(profile, key), key, answers))
    for name, seconds in asdict(result).items():
        click.echo(f"{name:12} {seconds if name == 'answers' else round(seconds * 1000, 2)}")
    click.echo(f"added p50    {(result.client_p50 - result.bare_p50) * 1000:.2f} ms")


async def _disturb(
    specs: Sequence[LaunchSpec], key: str, answers: int, faults: Sequence[str], *, quiet: bool
) -> "Summary":
    from llm.bench_failover import FailoverBench, summarise
    from llm.questions import shipped

    results = []
    with tempfile.TemporaryDirectory() as folder:
        async with FailoverBench(specs, folder=Path(folder), api_key=key) as bench:
            async for result in bench.run(shipped(), answers=answers, faults=faults):
                results.append(result)
                if not quiet:
                    click.echo(
                        f"{len(results):4} {result.fault:6} gap {result.gap_seconds * 1000:5.0f} ms, "
                        f"added {result.added_seconds * 1000:5.0f} ms"
                        f"{'' if result.complete else ', NOT COMPLETE'}{'' if result.same else ', other words'}"
                    )
    return summarise(results)


async def _overhead(spec: LaunchSpec, key: str, answers: int) -> "Overhead":
    from llm.bench_overhead import measure
    from llm.process import running

    with tempfile.TemporaryDirectory() as folder:
        async with running(spec, log=Path(folder) / "engine.log", api_key=key):
            return await measure(spec, api_key=key, answers=answers)


def _table(summary: "Summary") -> str:
    lines = [
        f"answers      {summary.answers}",
        f"complete     {summary.complete}",
        f"same text    {summary.same}",
        f"seamless     {summary.seamless}",
    ]
    figures = {name: value for name, value in asdict(summary).items() if isinstance(value, float)}
    lines += [f"{name.replace('_', ' '):12} {value * 1000:.0f} ms" for name, value in figures.items()]
    return "\n".join(lines)


def _run(work: "Coroutine[Any, Any, R]") -> R:
    """Run ``work``; on SIGTERM, as on Ctrl-C, the engines it has started are stopped before it ends."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    return asyncio.run(work)


def _url_of(settings: LLMSettings) -> str:
    return f"http://{settings.host}:{settings.port}"


def _own_place(key: str) -> LLMSettings:
    """Return the settings with a port nobody uses and a key nobody knows, so that nothing is disturbed."""
    settings = load_section("llm", LLMSettings)
    with socket.socket() as probe:
        probe.bind((settings.host, 0))
        port = probe.getsockname()[1]
    return settings.model_copy(update={"port": port, "api_key": SecretStr(key)})


def _spec(profile: str, key: str) -> LaunchSpec:
    specs = launch_specs(load_profile(profile), _own_place(key))
    if len(specs) != 1:
        raise click.UsageError(f"profile {profile} is {len(specs)} processes; choose one that is one")
    return specs[0]
